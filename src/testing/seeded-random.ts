/**
 * Chance that a seed replays: xoshiro128** 1.1 (Blackman and Vigna, 2018), its four words filled from the
 * seed by splitmix64 (Vigna, 2015), as its authors advise. Its one idea: 32-bit integer operations only,
 * so that every engine and every version of it draws the same numbers from the same seed, for ever.
 * It must never be used for secrets: 16 bytes of output give the whole future away.
 */
import { CoterieError, type Env, type Random } from "../index.ts";
import { SimClock } from "./sim-clock.ts";

const WORD_VALUES = 2 ** 32;

/** A Random whose draws depend on the seed alone: a whole number from 0 to 2^53 - 1. */
export function seededRandom(seed: number): Random {
  const next = xoshiro128(wordsOf(seed));
  return {
    below: (n) => below(next, n),
    // 53 bits, as many as a double holds below 1.
    fraction: () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53,
    hex: (bytes) => hex(next, bytes),
  };
}

/** A whole environment of one seed: chance from the seed, and one SimClock for clock and timers. */
export function simEnv(seed: number): Env & { readonly clock: SimClock } {
  const clock = new SimClock();
  return { clock, timers: clock, random: seededRandom(seed) };
}

/** The generator itself, from a state of four 32-bit words that are not all zero. */
export function xoshiro128(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state;
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
}

/** The first `count` 64-bit numbers of splitmix64. */
export function splitMix64(seed: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, at) => {
    let z = BigInt.asUintN(64, seed + BigInt(at + 1) * 0x9e37_79b9_7f4a_7c15n);
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  });
}

function wordsOf(seed: number): [number, number, number, number] {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new CoterieError("INVALID_ARGUMENT", `a seed is a whole number from 0 to 2^53 - 1, got ${seed}`);
  }
  const [low = 0n, high = 0n] = splitMix64(BigInt(seed), 2);
  return [lowWord(low), lowWord(low >> 32n), lowWord(high), lowWord(high >> 32n)];
}

function lowWord(from: bigint): number {
  return Number(BigInt.asUintN(32, from));
}

/** Draws again instead of folding the uneven rest, so that no number is likelier than another. */
function below(next: () => number, n: number): number {
  if (!Number.isInteger(n) || n < 1 || n > WORD_VALUES) {
    throw new CoterieError("INVALID_ARGUMENT", `below: n is a whole number from 1 to 2^32, got ${n}`);
  }
  const even = WORD_VALUES - (WORD_VALUES % n);
  let drawn = next();
  // Ends with probability 1: at least half of all draws are below `even`.
  while (drawn >= even) drawn = next();
  return drawn % n;
}

function hex(next: () => number, bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new CoterieError("INVALID_ARGUMENT", `hex: bytes is a whole number of at least 0, got ${bytes}`);
  }
  let digits = "";
  while (digits.length < bytes * 2) digits += next().toString(16).padStart(8, "0");
  return digits.slice(0, bytes * 2);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
