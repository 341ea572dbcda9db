/**
 * Replies of a real and a simulated Redis side by side. Times may differ by what a loaded machine needs
 * between the two; everything else is equal or it is a lie of the simulation.
 */
import { ErrorReply, type RawReply, StatusReply } from "../lua/engine.ts";
import type { SimRedis } from "./sim-redis.ts";

const MS_APART_MAX = 2_000;
/** Scores and places are smaller, and exact. */
const REST_MS_MIN = 500;
const REST_MS_MAX = 1_000_000_000;

export type PlainReply = string | number | null | readonly PlainReply[];

/** As ioredis gives replies; an error is its text from the first word on. */
export function plain(reply: RawReply): PlainReply {
  if (reply instanceof StatusReply) return reply.text;
  if (reply instanceof ErrorReply) return errorText(reply.text);
  if (typeof reply === "string") return isAscii(reply) ? reply : Buffer.from(reply, "latin1").toString();
  return typeof reply === "object" && reply !== null ? reply.map(plain) : reply;
}

/** An error without the place in the script, which the two word differently. */
export function errorText(text: string): string {
  const said = text.replace(/ script: .*/s, "").replace(/^(?:ERR )?user_script:\d+: /, "script: ");
  return said.startsWith("script: ") ? said.replace(/attempt to .*/, "attempt") : said;
}

/** Equal but for times: numbers in the same place may be as far apart as the two calls. */
function isAlike(a: PlainReply, b: PlainReply): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each: PlainReply, at) => isAlike(each, b[at] as PlainReply));
  }
  if (a === b) return true;
  if (typeof a === "number" && typeof b === "number") return areTimesAlike(a, b);
  if (typeof a !== "string" || typeof b !== "string") return false;
  const [left, right] = [wordsOf(a), wordsOf(b)];
  return (
    left.length === right.length &&
    left.every((word, at) => word === right[at] || areTimesAlike(Number(word), Number(right[at])))
  );
}

/** Throws with both when they differ by more than times. */
export function requireAlike(what: unknown, expected: PlainReply, got: PlainReply): void {
  if (isAlike(expected, got)) return;
  const [head, real, sim] = [what, expected, got].map((each) => JSON.stringify(each));
  throw new Error(`${head} differs:\n real ${real}\n sim  ${sim}`);
}

/** Seconds and microseconds, where a script begins with them, are one instant. */
const HEAD_TIME = /^(ABSTAIN )?(\d{10}) (\d{1,6})(?=\n|$)/;

function wordsOf(text: string): string[] {
  const timed = text.replace(HEAD_TIME, (_, abstains = "", seconds: string, micros: string) => {
    return `${abstains}${Number(seconds) * 1e6 + Number(micros)}`;
  });
  return timed.split(/(?<=[\s!])|(?=[\s!])/);
}

/** Milliseconds that are left, or microseconds since 1970. */
function areTimesAlike(a: number, b: number): boolean {
  if (!Number.isFinite(a) || !Number.isFinite(b) || a < 0 || b < 0) return false;
  const isInstant = a > 1e15 && b > 1e15;
  const isRest = a < REST_MS_MAX && b < REST_MS_MAX && Math.max(a, b) > REST_MS_MIN;
  return Math.abs(a - b) <= MS_APART_MAX * (isInstant ? 1000 : isRest ? 1 : 0);
}

/** Everything that a server holds, to be compared: by key its type, value and time to live. */
export async function contents(
  call: (words: readonly string[]) => PlainReply | Promise<PlainReply>,
): Promise<PlainReply> {
  const keys = ((await call(["KEYS", "*"])) as readonly string[]).toSorted();
  const readers: Readonly<Record<string, readonly string[]>> = {
    string: ["GET"],
    hash: ["HGETALL"],
    zset: ["ZRANGE", "0", "-1", "WITHSCORES"],
    list: ["LRANGE", "0", "-1"],
  };
  const all: PlainReply[] = [];
  for (const key of keys) {
    const type = String(await call(["TYPE", key]));
    const [name = "", ...rest] = readers[type] ?? [];
    all.push([key, type, await call([name, key, ...rest]), await call(["PTTL", key])]);
  }
  return all;
}

/** A text as the simulation has it: its UTF-8 bytes, one a character. */
export function bytesOf(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString("latin1");
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

export function simCall(redis: SimRedis): (words: readonly string[]) => PlainReply {
  return (words) => plain(redis.execute(words.map(bytesOf)));
}
