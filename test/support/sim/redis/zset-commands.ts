/** Sorted sets of the simulated Redis, with Redis' own replies and errors. */
import { ErrorReply, type RawReply } from "../lua/engine.ts";
import { toGeneral } from "../lua/runtime.ts";
import { type Command, integer, sliceOf, syntaxError } from "./commands.ts";
import { type Keyspace, RedisFailure } from "./keyspace.ts";
import { type Ranked, SortedSet } from "./sorted-set.ts";

const MANY = Number.POSITIVE_INFINITY;

function double(text: string | undefined, what = "ERR value is not a valid float"): number {
  const lower = text?.toLowerCase() ?? "";
  if (/^\+?inf(?:inity)?$/.test(lower)) return Number.POSITIVE_INFINITY;
  if (/^-inf(?:inity)?$/.test(lower)) return Number.NEGATIVE_INFINITY;
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/.test(lower)) throw new RedisFailure(what);
  return Number(lower);
}

function scoreText(score: number): string {
  return toGeneral(score, 17);
}

const ZADD_FLAGS = new Set(["NX", "XX", "GT", "LT", "CH", "INCR"]);

function zadd(db: Keyspace, [key = "", ...rest]: readonly string[]): RawReply {
  const flags = new Set<string>();
  let at = 0;
  for (; ZADD_FLAGS.has(rest[at]?.toUpperCase() ?? ""); at += 1) flags.add(rest[at]?.toUpperCase() ?? "");
  const pairs = rest.slice(at);
  if (pairs.length === 0 || pairs.length % 2 === 1) throw syntaxError();
  if (flags.has("INCR")) throw new Error("SimRedis: ZADD INCR is not had");
  if (flags.has("NX") && flags.has("XX")) {
    return new ErrorReply("ERR XX and NX options at the same time are not compatible");
  }
  if (["GT", "LT", "NX"].filter((flag) => flags.has(flag)).length > 1) {
    return new ErrorReply("ERR GT, LT, and/or NX options at the same time are not compatible");
  }
  const members = Array.from({ length: pairs.length / 2 }, (_, n) => ({
    score: double(pairs[n * 2]),
    member: pairs[n * 2 + 1] as string,
  }));
  const set = db.sortedSet(key) ?? new SortedSet();
  let [added, changed] = [0, 0];
  for (const { score, member } of members) {
    const before = set.score(member);
    if (before === undefined ? flags.has("XX") : flags.has("NX")) continue;
    if (before === undefined) added += 1;
    else if ((flags.has("GT") && score <= before) || (flags.has("LT") && score >= before)) continue;
    else if (before !== score) changed += 1;
    set.set(member, score);
  }
  if (set.size > 0 && db.entry(key) === undefined) db.set(key, set);
  return flags.has("CH") ? added + changed : added;
}

function withScores(found: readonly Ranked[], isWanted: boolean): RawReply {
  return found.flatMap(({ member, score }) => (isWanted ? [member, scoreText(score)] : [member]));
}

interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}

function bound(text: string | undefined): Bound {
  const isOpen = text?.startsWith("(") === true;
  return { isOpen, value: double(isOpen ? text.slice(1) : text, "ERR min or max is not a float") };
}

/** Redis reads the numbers before it looks at the key. */
function between(db: Keyspace, key: string, min: Bound, max: Bound): Ranked[] {
  const isAbove = (score: number): boolean => (min.isOpen ? score > min.value : score >= min.value);
  const isBelow = (score: number): boolean => (max.isOpen ? score < max.value : score <= max.value);
  return (db.sortedSet(key)?.ranked() ?? []).filter(({ score }) => isAbove(score) && isBelow(score));
}

interface RangeOptions {
  byScore: boolean;
  reversed: boolean;
  scores: boolean;
  limit: readonly [number, number] | undefined;
}

function rangeOptions(words: readonly string[]): RangeOptions {
  const options: RangeOptions = { byScore: false, reversed: false, scores: false, limit: undefined };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]?.toUpperCase();
    if (word === "BYSCORE") options.byScore = true;
    else if (word === "REV") options.reversed = true;
    else if (word === "WITHSCORES") options.scores = true;
    else if (word === "LIMIT" && at + 2 < words.length) {
      options.limit = [integer(words[at + 1]), integer(words[at + 2])];
      at += 2;
    } else {
      throw syntaxError();
    }
  }
  return options;
}

function limited(found: Ranked[], limit: readonly [number, number] | undefined): Ranked[] {
  if (limit === undefined) return found;
  const [offset, count] = limit;
  return offset < 0 ? [] : found.slice(offset, count < 0 ? undefined : offset + count);
}

function zrange(db: Keyspace, [key = "", from, to, ...words]: readonly string[]): RawReply {
  const { byScore, reversed, scores, limit } = rangeOptions(words);
  if (limit !== undefined && !byScore) {
    return new ErrorReply(
      "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
    );
  }
  if (byScore) {
    const [min, max] = reversed ? [bound(to), bound(from)] : [bound(from), bound(to)];
    const found = between(db, key, min, max);
    return withScores(limited(reversed ? found.toReversed() : found, limit), scores);
  }
  const [first, last] = [integer(from), integer(to)];
  const ranked = db.sortedSet(key)?.ranked() ?? [];
  return withScores(sliceOf(reversed ? ranked.toReversed() : ranked, first, last), scores);
}

function remove(db: Keyspace, key: string, members: readonly string[]): number {
  const set = db.sortedSet(key);
  const removed = members.filter((member) => set?.delete(member) === true).length;
  db.dropIfEmpty(key);
  return removed;
}

function zrank(db: Keyspace, key: string, member: string): RawReply {
  const at = db.sortedSet(key)?.ranked().findIndex((each) => each.member === member) ?? -1;
  return at < 0 ? null : at;
}

function zscore(set: SortedSet | undefined, member: string): string | null {
  const score = set?.score(member);
  return score === undefined ? null : scoreText(score);
}

export const SORTED_SET_COMMANDS: Readonly<Record<string, Command>> = {
  ZADD: { arity: [3, MANY], run: zadd },
  ZCARD: { arity: [1, 1], run: (db, [key]) => db.sortedSet(key as string)?.size ?? 0 },
  ZSCORE: { arity: [2, 2], run: (db, [key = "", member = ""]) => zscore(db.sortedSet(key), member) },
  ZMSCORE: {
    arity: [2, MANY],
    run: (db, [key = "", ...members]) => {
      const set = db.sortedSet(key);
      return members.map((member) => zscore(set, member));
    },
  },
  ZRANK: { arity: [2, 2], run: (db, [key, member]) => zrank(db, key as string, member as string) },
  ZRANGE: { arity: [3, MANY], run: zrange },
  ZRANGEBYSCORE: {
    arity: [3, MANY],
    run: (db, [key = "", min, max, ...words]) => {
      const { scores, limit } = rangeOptions(words);
      return withScores(limited(between(db, key, bound(min), bound(max)), limit), scores);
    },
  },
  ZCOUNT: {
    arity: [3, 3],
    run: (db, [key = "", min, max]) => between(db, key, bound(min), bound(max)).length,
  },
  ZREM: { arity: [2, MANY], run: (db, [key = "", ...members]) => remove(db, key, members) },
  ZREMRANGEBYSCORE: {
    arity: [3, 3],
    run: (db, [key = "", min, max]) => {
      const found = between(db, key, bound(min), bound(max));
      return remove(db, key, found.map(({ member }) => member));
    },
  },
  ZREMRANGEBYRANK: {
    arity: [3, 3],
    run: (db, [key = "", from, to]) => {
      const [first, last] = [integer(from), integer(to)];
      const found = sliceOf(db.sortedSet(key)?.ranked() ?? [], first, last);
      return remove(db, key, found.map(({ member }) => member));
    },
  },
};
