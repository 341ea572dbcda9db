/** What one call may say, and what is refused before it is sent. */
import { WAIT_MS_MAX } from "../env/index.ts";
import { abortError, CoterieError, quote } from "../errors.ts";
import { invalidOption } from "../options.ts";
import { type CommandSpec, Encoded, type SentArgument } from "./commands.ts";
import type { WireCommand } from "./wire.ts";

/** What one call may say. */
export interface CallOptions {
  /** Milliseconds after which the caller gets an error; the default is the instance's own. */
  readonly deadlineMs?: number | undefined;
  /** Aborts the wait, not the command: one that was sent may still run. */
  readonly signal?: AbortSignal | undefined;
  /** `"bytes"` leaves strings as Buffers. Default `"text"` (UTF-8). */
  readonly reply?: "text" | "bytes" | undefined;
}

export const NO_OPTIONS: CallOptions = {};

/** The error for a call that must not be sent; undefined when it may. */
export function invalidCall(
  spec: CommandSpec,
  args: readonly SentArgument[],
  options: CallOptions,
): CoterieError | undefined {
  for (let at = 0; at < args.length; at += 1) {
    const arg: unknown = args[at];
    if (typeof arg === "string" || typeof arg === "number") continue;
    if (arg instanceof Uint8Array || arg instanceof Encoded) continue;
    return new CoterieError(
      "INVALID_ARGUMENT",
      `${spec.name.toUpperCase()}: argument ${at + 1} must be a string, a number or bytes, got ${quote(arg)}`,
      { details: { command: spec.name, argument: at } },
    );
  }
  return options === NO_OPTIONS ? undefined : invalidOptions(spec, options);
}

function invalidOptions(spec: CommandSpec, options: CallOptions): CoterieError | undefined {
  const what = spec.name.toUpperCase();
  if (typeof options !== "object" || options === null) {
    return new CoterieError("INVALID_OPTION", `${what}: options must be an object, got ${quote(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (name === "deadlineMs" || name === "signal" || name === "reply") continue;
    return new CoterieError(
      "INVALID_OPTION",
      `${what}: unknown option ${quote(name)} (known: deadlineMs, signal, reply)`,
      { details: { command: spec.name, option: name } },
    );
  }
  const { deadlineMs, signal, reply } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    return invalidOption(what, "signal", "an AbortSignal", signal);
  }
  if (
    deadlineMs !== undefined &&
    !(typeof deadlineMs === "number" && deadlineMs > 0 && deadlineMs <= WAIT_MS_MAX)
  ) {
    return invalidOption(what, "deadlineMs", `a number above 0, at most ${WAIT_MS_MAX}`, deadlineMs);
  }
  if (reply !== undefined && reply !== "text" && reply !== "bytes") {
    return invalidOption(what, "reply", '"text" or "bytes"', reply);
  }
  return signal?.aborted === true ? abortError(signal, what) : undefined;
}

/** Who waits under each signal: one listener a signal, however many calls share it. */
const waiting = new WeakMap<AbortSignal, Set<WireCommand>>();

/** Gives the command up with ABORTED when the signal aborts. */
export function abortWith(command: WireCommand, signal: AbortSignal, done: Promise<unknown>): void {
  let commands = waiting.get(signal);
  if (commands === undefined) {
    const all = new Set<WireCommand>();
    commands = all;
    waiting.set(signal, all);
    signal.addEventListener("abort", () => all.forEach((one) => one.settleWith(aborted(one, signal))), {
      once: true,
    });
  }
  commands.add(command);
  const forget = (): boolean => waiting.get(signal)?.delete(command) ?? false;
  done.then(forget, forget);
}

function aborted(command: WireCommand, signal: AbortSignal): CoterieError {
  const { name, spec } = command;
  return new CoterieError("ABORTED", `waiting for ${name.toUpperCase()} was aborted; it may have run`, {
    retryable: spec.readOnly,
    details: { command: name },
    cause: signal.reason,
  });
}
