/**
 * Keys, strings, hashes and lists of the simulated Redis: the commands that lock scripts and handshakes
 * use, with Redis' own replies and errors. A table, so that a test can compare each with a real server.
 */
import { ErrorReply, type RawReply, StatusReply } from "../lua/engine.ts";
import { type Keyspace, RedisFailure } from "./keyspace.ts";

/** `arity` counts the arguments after the name: least and most. */
export interface Command {
  readonly arity: readonly [number, number];
  readonly run: (db: Keyspace, args: readonly string[]) => RawReply;
}

export const OK: StatusReply = new StatusReply("OK");
const MANY = Number.POSITIVE_INFINITY;

export function syntaxError(): RedisFailure {
  return new RedisFailure("ERR syntax error");
}

/** A whole number of 64 bits, as far as doubles keep them. */
export function integer(text: string | undefined): number {
  if (text === undefined || !/^(?:0|-?[1-9]\d{0,18})$/.test(text)) {
    throw new RedisFailure("ERR value is not an integer or out of range");
  }
  return Number(text);
}

interface SetOptions {
  only?: "NX" | "XX";
  keepTtl?: boolean;
  get?: boolean;
  unit?: string;
  ttlMs?: number;
}

function setOptions(db: Keyspace, args: readonly string[]): SetOptions {
  const options: SetOptions = {};
  let life: string | undefined;
  for (let at = 0; at < args.length; at += 1) {
    const word = (args[at] as string).toUpperCase();
    const hasTtl = (options.unit ?? word) !== word || options.keepTtl === true;
    if ((word === "NX" || word === "XX") && options.only === undefined) options.only = word;
    else if (word === "GET") options.get = true;
    else if (word === "KEEPTTL" && options.unit === undefined) options.keepTtl = true;
    else if ((word === "PX" || word === "EX" || word === "PXAT") && !hasTtl && at + 1 < args.length) {
      at += 1;
      options.unit = word;
      life = args[at];
    } else {
      throw syntaxError();
    }
  }
  if (options.unit === undefined) return options;
  const value = integer(life);
  if (value <= 0) throw new RedisFailure("ERR invalid expire time in 'set' command");
  const ttlMs = options.unit === "PXAT" ? value - db.wallMs() : value * (options.unit === "EX" ? 1000 : 1);
  return { ...options, ttlMs };
}

function set(db: Keyspace, [key = "", value = "", ...rest]: readonly string[]): RawReply {
  const { only, keepTtl, get, ttlMs } = setOptions(db, rest);
  const before = db.entry(key);
  const old = get === true ? (db.string(key) ?? null) : null;
  const isBarred = (only === "NX" && before !== undefined) || (only === "XX" && before === undefined);
  if (isBarred) return old;
  const newEnd = ttlMs === undefined ? undefined : db.wallMs() + ttlMs;
  db.set(key, value, keepTtl === true ? before?.expiresAt : newEnd);
  return get === true ? old : OK;
}

function expire(db: Keyspace, [key = "", ms, only]: readonly string[], unit = 1): RawReply {
  const ttlMs = integer(ms) * unit;
  const entry = db.entry(key);
  if (entry === undefined) return 0;
  const at = db.wallMs() + ttlMs;
  const now = entry.expiresAt ?? MANY;
  switch (only?.toUpperCase()) {
    case undefined:
      break;
    case "NX":
      if (entry.expiresAt !== undefined) return 0;
      break;
    case "XX":
      if (entry.expiresAt === undefined) return 0;
      break;
    case "GT":
      if (at <= now) return 0;
      break;
    case "LT":
      if (at >= now) return 0;
      break;
    default:
      return new ErrorReply(`ERR Unsupported option ${only}`);
  }
  if (ttlMs <= 0) db.delete(key);
  else entry.expiresAt = at;
  return 1;
}

function ttl(db: Keyspace, key: string | undefined): number {
  const entry = db.entry(key as string);
  if (entry === undefined) return -2;
  return entry.expiresAt === undefined ? -1 : Math.max(0, entry.expiresAt - db.wallMs());
}

function hset(db: Keyspace, [key = "", ...pairs]: readonly string[]): RawReply {
  if (pairs.length % 2 === 1) return new ErrorReply("ERR wrong number of arguments for 'hset' command");
  const hash = db.hash(key) ?? new Map<string, string>();
  if (hash.size === 0) db.set(key, hash);
  let added = 0;
  for (let at = 0; at < pairs.length; at += 2) {
    if (!hash.has(pairs[at] as string)) added += 1;
    hash.set(pairs[at] as string, pairs[at + 1] as string);
  }
  return added;
}

function hdel(db: Keyspace, [key = "", ...fields]: readonly string[]): RawReply {
  const removed = fields.filter((field) => db.hash(key)?.delete(field) === true).length;
  db.dropIfEmpty(key);
  return removed;
}

function lrange(db: Keyspace, [key = "", from, to]: readonly string[]): RawReply {
  const [first, last] = [integer(from), integer(to)];
  const list = db.list(key) ?? [];
  return sliceOf(list, first, last);
}

/** The part from one index to another, both included, negative ones counted from the end. */
export function sliceOf<T>(list: readonly T[], from: number, to: number): T[] {
  const start = Math.max(0, from < 0 ? list.length + from : from);
  const end = to < 0 ? list.length + to : to;
  return list.slice(start, end + 1);
}

function incrby(db: Keyspace, key: string, by: number): RawReply {
  const value = integer(db.string(key) ?? "0") + by;
  db.set(key, String(value), db.entry(key)?.expiresAt);
  return value;
}

function typeOf(db: Keyspace, key: string): string {
  const value = db.entry(key)?.value;
  if (value === undefined) return "none";
  if (typeof value === "string") return "string";
  if (value instanceof Map) return "hash";
  return Array.isArray(value) ? "list" : "zset";
}

/** SCAN: the cursor is the place, in the order of making, up to which keys were given. */
function scan(db: Keyspace, [cursor, ...rest]: readonly string[]): RawReply {
  const from = Number(cursor);
  let [pattern, count, type]: [string, number, string | undefined] = ["*", 10, undefined];
  for (let at = 0; at < rest.length; at += 2) {
    const word = rest[at]?.toUpperCase();
    const value = rest[at + 1];
    if (word === "MATCH" && value !== undefined) pattern = value;
    else if (word === "COUNT" && value !== undefined) count = integer(value);
    else if (word === "TYPE" && value !== undefined) type = value;
    else throw syntaxError();
  }
  const matches = globPattern(pattern);
  const after = db.keys().filter((key) => (db.entry(key)?.order ?? 0) > from);
  const looked = after.slice(0, count);
  const last = looked.at(-1);
  const next = looked.length < after.length && last !== undefined ? db.entry(last)?.order : 0;
  const isOfType = (key: string): boolean => type === undefined || typeOf(db, key) === type;
  return [String(next), looked.filter((key) => matches.test(key) && isOfType(key))];
}

/** Redis' glob as a regular expression; sets of characters are not had. */
export function globPattern(glob: string): RegExp {
  const source = glob.replaceAll(/\\(.)|([*?])|(\W)/gs, (all, escaped?: string, wild?: string) => {
    if (all === "[") throw new Error(`SimRedis: no sets in patterns: ${glob}`);
    if (wild !== undefined) return wild === "*" ? "[^]*" : "[^]";
    return escapeChar(escaped ?? all);
  });
  return new RegExp(`^${source}$`);
}

function escapeChar(char: string): string {
  return /\w/.test(char) ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

export const KEY_COMMANDS: Readonly<Record<string, Command>> = {
  GET: { arity: [1, 1], run: (db, [key]) => db.string(key as string) ?? null },
  MGET: {
    arity: [1, MANY],
    run: (db, keys) =>
      keys.map((key) => {
        const value = db.entry(key)?.value;
        return typeof value === "string" ? value : null;
      }),
  },
  SET: { arity: [2, MANY], run: set },
  DEL: { arity: [1, MANY], run: (db, keys) => keys.filter((key) => db.delete(key)).length },
  UNLINK: { arity: [1, MANY], run: (db, keys) => keys.filter((key) => db.delete(key)).length },
  EXISTS: { arity: [1, MANY], run: (db, keys) => keys.filter((key) => db.entry(key) !== undefined).length },
  TYPE: { arity: [1, 1], run: (db, [key]) => new StatusReply(typeOf(db, key as string)) },
  INCR: { arity: [1, 1], run: (db, [key]) => incrby(db, key as string, 1) },
  INCRBY: { arity: [2, 2], run: (db, [key, by]) => incrby(db, key as string, integer(by)) },
  PTTL: { arity: [1, 1], run: (db, [key]) => ttl(db, key) },
  TTL: { arity: [1, 1], run: (db, [key]) => {
    const ms = ttl(db, key);
    return ms < 0 ? ms : Math.floor((ms + 500) / 1000);
  } },
  PEXPIRE: { arity: [2, 3], run: expire },
  EXPIRE: { arity: [2, 3], run: (db, args) => expire(db, args, 1000) },
  PERSIST: { arity: [1, 1], run: (db, [key]) => {
    const entry = db.entry(key as string);
    if (entry?.expiresAt === undefined) return 0;
    entry.expiresAt = undefined;
    return 1;
  } },
  HGET: { arity: [2, 2], run: (db, [key, field]) => db.hash(key as string)?.get(field as string) ?? null },
  HSET: { arity: [3, MANY], run: hset },
  HSETNX: { arity: [3, 3], run: (db, [key = "", field = "", value = ""]) =>
    db.hash(key)?.has(field) === true ? 0 : hset(db, [key, field, value]) },
  HMGET: { arity: [2, MANY], run: (db, [key = "", ...fields]) => {
    const hash = db.hash(key);
    return fields.map((field) => hash?.get(field) ?? null);
  } },
  HGETALL: { arity: [1, 1], run: (db, [key]) => [...(db.hash(key as string) ?? [])].flat() },
  HKEYS: { arity: [1, 1], run: (db, [key]) => [...(db.hash(key as string)?.keys() ?? [])] },
  HLEN: { arity: [1, 1], run: (db, [key]) => db.hash(key as string)?.size ?? 0 },
  HEXISTS: { arity: [2, 2], run: (db, [key = "", field = ""]) => Number(db.hash(key)?.has(field) ?? false) },
  HDEL: { arity: [2, MANY], run: hdel },
  RPUSH: { arity: [2, MANY], run: (db, [key = "", ...values]) => {
    const list = db.list(key) ?? [];
    if (list.length === 0) db.set(key, list);
    return list.push(...values);
  } },
  LRANGE: { arity: [3, 3], run: lrange },
  LLEN: { arity: [1, 1], run: (db, [key]) => db.list(key as string)?.length ?? 0 },
  SCAN: { arity: [1, MANY], run: scan },
  KEYS: { arity: [1, 1], run: (db, [glob]) => {
    const matches = globPattern(glob as string);
    return db.keys().filter((key) => matches.test(key));
  } },
  DBSIZE: { arity: [0, 0], run: (db) => db.keys().length },
};
