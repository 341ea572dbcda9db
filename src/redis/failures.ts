/**
 * From what went wrong to what the caller must know: did it certainly not happen, or may it have?
 * A command that was never written did not happen. One that was written and not answered may have,
 * unless it only reads. An error reply means that the server looked at it and said no.
 */
import { CoterieError, type ErrorCode } from "../errors.ts";
import type { CommandSpec } from "./commands.ts";
import type { WireCommand } from "./wire.ts";

/** Replies by which a server says that it did nothing and why; by their first word. */
const REFUSALS: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ["LOADING", "LOADING"],
  ["MASTERDOWN", "LOADING"],
  ["BUSY", "LOADING"],
  ["READONLY", "READONLY"],
  ["OOM", "OUT_OF_MEMORY"],
  ["MISCONF", "READONLY"],
  ["NOREPLICAS", "READONLY"],
]);

/** Commands that run code: it may have written before it failed, and words its errors as it likes. */
const RUNS_CODE = /^(eval|evalsha|fcall)/;
/** What only a server says, before it runs any code. */
const SAID_BEFORE = /^(LOADING \w+ is loading|BUSY \w+ is busy|MASTERDOWN Link with MASTER is down)/;

/** Commands whose error replies may quote a secret that they were given. */
const QUOTES_SECRETS = new Set(["acl", "auth", "config", "hello", "migrate"]);

/** The caller's error for an error reply. Its text is the server's own; arguments are never in it. */
export function replyFailure(instance: string, command: string, reply: Error): CoterieError {
  const said = withoutArguments(command, reply.message);
  const word = said.split(" ", 1)[0] ?? "";
  const message = `instance "${instance}" refused ${command.toUpperCase()}: ${said}`;
  const didNothing = !RUNS_CODE.test(command) || SAID_BEFORE.test(said);
  const code = (didNothing ? REFUSALS.get(word) : undefined) ?? "REPLY_ERROR";
  const details = { instance, command, reply: word };
  return new CoterieError(code, message, { details, cause: new Error(said) });
}

/** True for the server's own answer that it does not know the script, and so ran nothing. */
export function isUnknownScript(error: unknown): boolean {
  return CoterieError.is(error, "REPLY_ERROR") && /: NOSCRIPT No matching script/.test(error.message);
}

function withoutArguments(command: string, text: string): string {
  const said = text.replace(/, with args beginning with.*/s, "");
  return QUOTES_SECRETS.has(command) ? said.replaceAll(/'[^']*'/g, "'***'") : said;
}

/** The caller's error when a written command got no answer. */
export function unanswered(
  instance: string,
  command: WireCommand,
  why: string,
  more: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): CoterieError {
  const name = command.name.toUpperCase();
  const details = { instance, command: command.name, ...more };
  if (command.spec.readOnly) {
    return new CoterieError("NO_ANSWER", `instance "${instance}" did not answer ${name}: ${why}`, {
      details,
      cause,
    });
  }
  return new CoterieError(
    "MAYBE_APPLIED",
    `instance "${instance}" did not answer ${name}: ${why}; it may or may not have run`,
    { details, cause },
  );
}

/** The caller's error when the command was not sent because the instance cannot be reached. */
export function unreachable(instance: string, state: string, lastError: string | undefined): CoterieError {
  const reason = lastError === undefined ? state : `${state}: ${lastError}`;
  return new CoterieError("UNREACHABLE", `instance "${instance}" cannot be reached (${reason})`, {
    details: { instance, state, lastError },
  });
}

/** The error's text alone: ioredis hangs the arguments of a failed AUTH on its errors. */
export function plainMessage(error: unknown): string {
  return error instanceof Error ? redact(error.message) : redact(String(error));
}

/** The text without the credentials of any URL in it. */
function redact(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/)\S*@/gi, "$1***@");
}

export function cannotEncode(spec: CommandSpec, cause: unknown): CoterieError {
  const message = `${spec.name.toUpperCase()}: the arguments cannot be encoded`;
  return new CoterieError("INVALID_ARGUMENT", message, { details: { command: spec.name }, cause });
}

export function closedError(instance: string): CoterieError {
  return new CoterieError("CLOSED", `instance "${instance}" is closed`, {
    details: { instance },
  });
}

export function circuitOpen(instance: string, openMs: number, retryAfterMs: number): CoterieError {
  const silentMs = Math.round(openMs);
  return new CoterieError(
    "CIRCUIT_OPEN",
    `instance "${instance}" does not answer (for ${silentMs} ms); the next try is made for you`,
    { details: { instance, silentMs, retryAfterMs } },
  );
}
