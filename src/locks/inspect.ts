/**
 * Looking at locks from outside: who holds what as a quorum of the instances sees it, and taking one away.
 * Nothing here is needed for the locks to work.
 */
import { CoterieError, quote } from "../errors.ts";
import { readOptions, valueField } from "../options.ts";
import { encodeArguments } from "../redis/index.ts";
import { forceReleaseOp, type OpSink } from "./core/ops.ts";
import type { Engine } from "./engine/engine.ts";
import type { Member, MemberInstance } from "./group/index.ts";
import { counterOf } from "./resources.ts";
import { INSPECT } from "./scripts/index.ts";

/** One instance's view. */
export interface InstanceView {
  readonly instance: string;
  /** The holder there; undefined when it is free or the instance did not answer. */
  readonly holderToken: string | undefined;
  /** Milliseconds until it is free there if nothing is renewed. */
  readonly remainingMs: number;
  /** Why there is no answer. */
  readonly error?: CoterieError;
}

export interface LockInfo {
  readonly resource: string;
  /** True when a quorum of the instances has the same holder. */
  readonly held: boolean;
  readonly holderToken: string | undefined;
  /** Where the holder runs and since when, as far as its lock says so (milliseconds since 1970). */
  readonly host: string | undefined;
  readonly pid: number | undefined;
  readonly acquiredAt: number | undefined;
  readonly traceparent: string | undefined;
  /** Milliseconds until a quorum is free again if nothing is renewed; 0 when it is not held. */
  readonly remainingMs: number;
  /** How many tickets stand in the longest queue. */
  readonly waiters: number;
  /** No token of this resource is higher: the highest counter that was seen. */
  readonly fencingTokenMax: number;
  readonly instances: readonly InstanceView[];
}

export interface ListOptions {
  /** Which resources, as SCAN takes a pattern. Default `"*"`: all. */
  readonly match?: string | undefined;
}

const LIST_SHAPE = {
  match: valueField("*", "a non-empty pattern", (value) => typeof value === "string" && value !== ""),
};
const BASE_CHARS = 28;
const VALUE_CHARS = 36;
const SCAN_COUNT = 500;

interface Seen extends InstanceView {
  readonly info: string;
  readonly waiters: number;
  readonly counter: number;
}

export async function inspect(engine: Engine, resource: string): Promise<LockInfo> {
  engine.requireOpen();
  const { members, quorum } = engine.group;
  const seen = await Promise.all(members.map((member) => look(engine, member, resource)));
  const unreachable = seen.filter(({ error }) => error !== undefined);
  if (members.length - unreachable.length < quorum) {
    throw new CoterieError(
      "NO_QUORUM",
      `inspect ${quote(resource)}: ${members.length - unreachable.length} of ${members.length} instances ` +
        `answered, ${quorum} needed`,
      { cause: unreachable[0]?.error },
    );
  }
  return combine(resource, seen, quorum);
}

/**
 * Each resource once, in no order. What is taken or released meanwhile may be missed, and what stands on a
 * bare quorum of which one does not answer. Rejects with NO_QUORUM when a majority does not.
 */
export async function* list(
  engine: Engine,
  options: ListOptions = {},
): AsyncGenerator<LockInfo, undefined, undefined> {
  engine.requireOpen();
  const { match } = readOptions("list", options, LIST_SHAPE);
  if (engine.settings.keys === "plain") {
    throw new CoterieError("INVALID_ARGUMENT", "list: plain keys cannot be told from other keys");
  }
  const known = new Set<string>();
  const { members, quorum } = engine.group;
  let missing: CoterieError | undefined;
  let scanned = 0;
  for (const { instance, boot } of members) {
    if (boot === undefined) continue;
    try {
      for await (const resource of resourcesOn(instance, engine.keyOf("lock", ""), match)) {
        if (known.has(resource)) continue;
        known.add(resource);
        const info = await inspect(engine, resource);
        if (info.held) yield info;
      }
      scanned += 1;
    } catch (error) {
      // One that goes away meanwhile is missed only if too few others are left.
      if (!CoterieError.is(error) || error.code === "NO_QUORUM" || error.code === "CLOSED") throw error;
      missing = error;
    }
  }
  // Whatever a quorum holds stands on one of so many.
  const needed = members.length - quorum + 1;
  if (scanned >= needed) return;
  const message = `list: ${scanned} of ${members.length} instances could be read, ${needed} needed`;
  throw new CoterieError("NO_QUORUM", message, { details: { scanned, needed }, cause: missing });
}

async function* resourcesOn(
  instance: MemberInstance,
  head: string,
  match: string,
): AsyncGenerator<string, undefined, undefined> {
  let cursor = "0";
  do {
    const reply = await instance.call("scan", [cursor, "MATCH", head + match, "COUNT", SCAN_COUNT]);
    const [next, keys] = reply as [string, readonly string[]];
    cursor = next;
    for (const key of keys) yield key.slice(head.length);
  } while (cursor !== "0");
}

/** True when anybody held it; rejects when less than a quorum could be told. */
export async function forceRelease(engine: Engine, resource: string): Promise<boolean> {
  engine.requireOpen();
  const { exchanges, group } = engine;
  const answers = await new Promise<(string | CoterieError)[]>((resolve) => {
    const heard: (string | CoterieError)[] = [];
    const hear = (answer: string | CoterieError): void => {
      heard.push(answer);
      if (heard.length === exchanges.length) resolve(heard);
    };
    const sink: OpSink = {
      onAnswer: (at, _op, answer) => hear(answer === "L" ? cameLate(group.members[at]?.id) : answer),
      onFailure: (_at, _op, error) => hear(error),
    };
    const key = encodeArguments([engine.keyOf("lock", resource)]);
    const op = forceReleaseOp(key, sink, engine.settings.deadlineMs);
    for (const exchange of exchanges) exchange.send(op);
  });
  const errors = answers.filter((answer) => CoterieError.is(answer));
  if (answers.length - errors.length < group.quorum) {
    throw new CoterieError(
      "NO_QUORUM",
      `forceRelease ${quote(resource)}: ${answers.length - errors.length} of ${answers.length} instances ` +
        `did it, ${group.quorum} needed`,
      { retryable: true, cause: errors[0] },
    );
  }
  return answers.includes("+");
}

function cameLate(instance: string | undefined): CoterieError {
  const message = `instance "${instance}": the command came too late and did nothing`;
  return new CoterieError("NO_ANSWER", message, { details: { instance } });
}

async function look(engine: Engine, { id, instance }: Member, resource: string): Promise<Seen> {
  const { name } = engine.settings;
  const key = engine.keyOf("lock", resource);
  try {
    const keys = [key, `${name}:queue:${key}`, `${name}:counters`];
    const reply = await instance.run(INSPECT, keys, [counterOf(resource)]);
    const [value, ms, waiters, counter] = reply as [string | null, number, number, string];
    return {
      instance: id,
      holderToken: value?.slice(0, BASE_CHARS),
      remainingMs: value === null ? 0 : Math.max(0, ms),
      info: value?.slice(VALUE_CHARS) ?? "",
      waiters,
      counter: Number(counter),
    };
  } catch (error) {
    if (!CoterieError.is(error)) throw error;
    return { instance: id, holderToken: undefined, remainingMs: 0, error, info: "", waiters: 0, counter: 0 };
  }
}

function combine(resource: string, seen: readonly Seen[], quorum: number): LockInfo {
  const holder = seen.find((one) => isHeld(seen, one.holderToken, quorum));
  const { holderToken } = holder ?? {};
  const left = seen.filter((one) => one.holderToken === holderToken).map(({ remainingMs }) => remainingMs);
  const { host, pid, acquiredAt, traceparent } = readInfo(holder?.info ?? "");
  return {
    resource,
    held: holder !== undefined,
    holderToken,
    host,
    pid,
    acquiredAt,
    traceparent,
    remainingMs: holder === undefined ? 0 : (left.toSorted((a, b) => b - a)[quorum - 1] ?? 0),
    waiters: Math.max(...seen.map(({ waiters }) => waiters)),
    fencingTokenMax: Math.max(...seen.map(({ counter }) => counter)),
    instances: seen.map(({ instance, holderToken: there, remainingMs, error }) => ({
      instance,
      holderToken: there,
      remainingMs,
      ...(error === undefined ? {} : { error }),
    })),
  };
}

function isHeld(seen: readonly Seen[], holderToken: string | undefined, quorum: number): boolean {
  if (holderToken === undefined) return false;
  return seen.filter((one) => one.holderToken === holderToken).length >= quorum;
}

/** Written by another process, perhaps of another version: whatever is not as expected is left out. */
function readInfo(text: string): Pick<LockInfo, "host" | "pid" | "acquiredAt" | "traceparent"> {
  const none = { host: undefined, pid: undefined, acquiredAt: undefined, traceparent: undefined };
  if (text === "") return none;
  try {
    const { host, pid, acquiredAt, traceparent } = JSON.parse(text) as Record<string, unknown>;
    return {
      host: typeof host === "string" ? host : undefined,
      pid: typeof pid === "number" ? pid : undefined,
      acquiredAt: typeof acquiredAt === "number" ? acquiredAt : undefined,
      traceparent: typeof traceparent === "string" ? traceparent : undefined,
    };
  } catch (error) {
    if (error instanceof SyntaxError) return none;
    throw error;
  }
}
