/**
 * The common commands of one key: their types here, their behaviour in one place (`prepare`). Shards
 * answer them with a promise, a pipeline with itself. What is not listed goes through `call`, or
 * through `shards.for(key)`.
 *
 * The last parameter is always the options; a list of members or fields is one array before it.
 */
import { CoterieError, quote } from "../errors.ts";
import type { Argument, CallOptions, Reply } from "../redis/index.ts";

/** A key: text is sent as UTF-8. */
export type Key = string | Uint8Array;

/** What every command may say. For bytes as replies use `call(..., { reply: "bytes" })`. */
export type KeyOptions = Omit<CallOptions, "reply">;

/** `set`'s own options. `ttlMs` and `keepTtl` exclude each other. */
export interface SetOptions extends KeyOptions {
  /** Milliseconds after which the key is gone. Default: it stays. */
  readonly ttlMs?: number | undefined;
  /** True keeps the time to live that the key has. */
  readonly keepTtl?: boolean | undefined;
  /** Write only if the key is absent, or only if it is present; otherwise the answer is null. */
  readonly when?: "absent" | "present" | undefined;
}

type Fields = Readonly<Record<string, Argument>>;
type Many = readonly Argument[];

export interface KeyCommands {
  get(key: Key, options?: KeyOptions): Promise<string | null>;
  set(key: Key, value: Argument, options?: SetOptions): Promise<"OK" | null>;
  getdel(key: Key, options?: KeyOptions): Promise<string | null>;
  append(key: Key, value: Argument, options?: KeyOptions): Promise<number>;
  strlen(key: Key, options?: KeyOptions): Promise<number>;
  incr(key: Key, options?: KeyOptions): Promise<number>;
  decr(key: Key, options?: KeyOptions): Promise<number>;
  incrby(key: Key, by: number, options?: KeyOptions): Promise<number>;
  decrby(key: Key, by: number, options?: KeyOptions): Promise<number>;
  /** Seconds. 1 if the key exists, else 0. */
  expire(key: Key, seconds: number, options?: KeyOptions): Promise<number>;
  /** Milliseconds. 1 if the key exists, else 0. */
  pexpire(key: Key, ms: number, options?: KeyOptions): Promise<number>;
  /** Seconds left; -1 without an expiry, -2 without the key. */
  ttl(key: Key, options?: KeyOptions): Promise<number>;
  /** Milliseconds left; -1 without an expiry, -2 without the key. */
  pttl(key: Key, options?: KeyOptions): Promise<number>;
  persist(key: Key, options?: KeyOptions): Promise<number>;
  type(key: Key, options?: KeyOptions): Promise<string>;
  hget(key: Key, field: Argument, options?: KeyOptions): Promise<string | null>;
  hset(key: Key, fields: Fields, options?: KeyOptions): Promise<number>;
  hdel(key: Key, fields: Many, options?: KeyOptions): Promise<number>;
  hmget(key: Key, fields: Many, options?: KeyOptions): Promise<(string | null)[]>;
  /** All fields, as an object without a prototype. */
  hgetall(key: Key, options?: KeyOptions): Promise<Record<string, string>>;
  hexists(key: Key, field: Argument, options?: KeyOptions): Promise<number>;
  hincrby(key: Key, field: Argument, by: number, options?: KeyOptions): Promise<number>;
  hlen(key: Key, options?: KeyOptions): Promise<number>;
  lpush(key: Key, values: Many, options?: KeyOptions): Promise<number>;
  rpush(key: Key, values: Many, options?: KeyOptions): Promise<number>;
  lpop(key: Key, options?: KeyOptions): Promise<string | null>;
  rpop(key: Key, options?: KeyOptions): Promise<string | null>;
  llen(key: Key, options?: KeyOptions): Promise<number>;
  lrange(key: Key, start: number, stop: number, options?: KeyOptions): Promise<string[]>;
  ltrim(key: Key, start: number, stop: number, options?: KeyOptions): Promise<"OK">;
  sadd(key: Key, members: Many, options?: KeyOptions): Promise<number>;
  srem(key: Key, members: Many, options?: KeyOptions): Promise<number>;
  sismember(key: Key, member: Argument, options?: KeyOptions): Promise<number>;
  smembers(key: Key, options?: KeyOptions): Promise<string[]>;
  scard(key: Key, options?: KeyOptions): Promise<number>;
  /** Member to score. */
  zadd(key: Key, scores: Readonly<Record<string, number>>, options?: KeyOptions): Promise<number>;
  zrem(key: Key, members: Many, options?: KeyOptions): Promise<number>;
  zscore(key: Key, member: Argument, options?: KeyOptions): Promise<string | null>;
  zincrby(key: Key, by: number, member: Argument, options?: KeyOptions): Promise<string>;
  zrange(key: Key, start: Argument, stop: Argument, options?: KeyOptions): Promise<string[]>;
  zrank(key: Key, member: Argument, options?: KeyOptions): Promise<number | null>;
  zcard(key: Key, options?: KeyOptions): Promise<number>;
}

export type KeyCommandName = keyof KeyCommands;

/** How many arguments stand between the key and the options. */
const MIDDLE: Readonly<Record<KeyCommandName, number>> = {
  get: 0,
  set: 1,
  getdel: 0,
  append: 1,
  strlen: 0,
  incr: 0,
  decr: 0,
  incrby: 1,
  decrby: 1,
  expire: 1,
  pexpire: 1,
  ttl: 0,
  pttl: 0,
  persist: 0,
  type: 0,
  hget: 1,
  hset: 1,
  hdel: 1,
  hmget: 1,
  hgetall: 0,
  hexists: 1,
  hincrby: 2,
  hlen: 0,
  lpush: 1,
  rpush: 1,
  lpop: 0,
  rpop: 0,
  llen: 0,
  lrange: 2,
  ltrim: 2,
  sadd: 1,
  srem: 1,
  sismember: 1,
  smembers: 0,
  scard: 0,
  zadd: 1,
  zrem: 1,
  zscore: 1,
  zincrby: 2,
  zrange: 2,
  zrank: 1,
  zcard: 0,
};

export const KEY_COMMAND_NAMES: readonly KeyCommandName[] = Object.keys(MIDDLE) as KeyCommandName[];

/** A command of one key, ready to be routed. */
export interface Prepared {
  readonly name: KeyCommandName;
  readonly key: Key;
  /** All arguments, the key first. */
  readonly args: readonly Argument[];
  readonly options: KeyOptions | undefined;
  /** Makes the promised value out of the reply, where the two differ. */
  readonly finish: ((reply: Reply) => unknown) | undefined;
}

/** From a method's parameters to what is sent; throws INVALID_ARGUMENT or INVALID_OPTION. */
export function prepare(name: KeyCommandName, received: readonly unknown[]): Prepared {
  const key = received[0] as Key;
  const middle = MIDDLE[name];
  const options = received[middle + 1] as SetOptions | undefined;
  const optionsFit = options === undefined || (typeof options === "object" && options !== null);
  if (received.length > middle + 2 || !optionsFit) {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `${name}: takes a key, ${middle} more arguments and options, got ${received.length} parameters`,
      { details: { command: name } },
    );
  }
  if (options !== undefined) checkOptionNames(name, options);
  const args: Argument[] = [key];
  for (let at = 1; at <= middle; at += 1) addArguments(name, args, received[at]);
  if (name === "set" && options !== undefined) args.push(...setFlags(options));
  const finish = name === "hgetall" ? toRecord : undefined;
  if (options === undefined) return { name, key, args, options, finish };
  const { deadlineMs, signal } = options;
  return { name, key, args, options: { deadlineMs, signal }, finish };
}

const KEY_OPTION_NAMES = ["deadlineMs", "signal"];
const SET_OPTION_NAMES = [...KEY_OPTION_NAMES, "ttlMs", "keepTtl", "when"];


function checkOptionNames(name: KeyCommandName, options: object): void {
  const known = name === "set" ? SET_OPTION_NAMES : KEY_OPTION_NAMES;
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new CoterieError(
      "INVALID_OPTION",
      `${name}: unknown option ${quote(option)} (known: ${known.join(", ")})`,
      { details: { command: name, option } },
    );
  }
}

/** A single value, a list of members, or a record of fields (for zadd: of scores). */
function addArguments(name: KeyCommandName, args: Argument[], value: unknown): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) {
    args.push(value as Argument);
    return;
  }
  const listed: readonly unknown[] = Array.isArray(value)
    ? value
    : Object.entries(value).flatMap(([field, of]) => (name === "zadd" ? [of, field] : [field, of]));
  if (listed.length === 0) {
    throw new CoterieError("INVALID_ARGUMENT", `${name}: needs at least one member or field, got none`, {
      details: { command: name },
    });
  }
  // Not spread into push: a list may be longer than the stack is deep.
  for (const one of listed) args.push(one as Argument);
}

function setFlags({ ttlMs, keepTtl, when }: SetOptions): Argument[] {
  const flags: Argument[] = [];
  if (ttlMs !== undefined) {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
      throw new CoterieError(
        "INVALID_OPTION",
        `set: ttlMs must be an integer of at least 1, got ${quote(ttlMs)}`,
      );
    }
    if (keepTtl === true) {
      throw new CoterieError("INVALID_OPTION", "set: ttlMs and keepTtl exclude each other");
    }
    flags.push("PX", ttlMs);
  }
  if (keepTtl === true) flags.push("KEEPTTL");
  if (when === undefined) return flags;
  if (when !== "absent" && when !== "present") {
    throw new CoterieError("INVALID_OPTION", `set: when must be "absent" or "present", got ${quote(when)}`);
  }
  flags.push(when === "absent" ? "NX" : "XX");
  return flags;
}

function toRecord(reply: Reply): Record<string, Reply> {
  const flat = reply as readonly Reply[];
  const record = Object.create(null) as Record<string, Reply>;
  for (let at = 0; at + 1 < flat.length; at += 2) record[String(flat[at])] = flat[at + 1] as Reply;
  return record;
}
