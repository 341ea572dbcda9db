import { assert, integer, property, tuple } from "fast-check";
import { describe, expect, test } from "vitest";

import { seededRandom, simEnv } from "../../../src/testing/index.ts";
import { splitMix64, xoshiro128 } from "../../../src/testing/seeded-random.ts";

describe("the generator behind seededRandom", () => {
  test("xoshiro128** gives its authors' numbers for the state 1, 2, 3, 4", () => {
    const next = xoshiro128([1, 2, 3, 4]);

    expect(Array.from({ length: 10 }, () => next())).toEqual([
      11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492, 1_287_239_034, 3_734_860_849,
      3_729_100_597, 4_258_142_804,
    ]);
  });

  test("splitmix64 gives its author's numbers for the seed 1234567", () => {
    expect(splitMix64(1_234_567n, 3)).toEqual([
      6_457_827_717_110_365_317n,
      3_203_168_211_198_807_973n,
      9_817_491_932_198_370_423n,
    ]);
  });

  test("32-bit arithmetic agrees with the same generator in whole numbers", () => {
    const word = integer({ min: 0, max: 2 ** 32 - 1 });
    assert(
      property(tuple(word, word, word, word), (state) => {
        const fast = xoshiro128(state);
        const slow = obviousXoshiro128(state);
        for (let draw = 0; draw < 20; draw += 1) expect(fast()).toBe(slow());
      }),
      { numRuns: 50 },
    );
  });
});

describe("seededRandom", () => {
  test("a seed gives the numbers that are written down here, on every engine and for ever", () => {
    const random = seededRandom(42);

    expect([random.below(2 ** 32), random.below(2 ** 32), random.below(2 ** 32)]).toEqual([
      1_776_835_114, 4_165_204_688, 17_111_135,
    ]);
    expect(random.hex(6)).toBe("8a1f1ea6a66b");
    expect(random.fraction()).toBe(0.5947962007269413);
  });

  test("equal seeds agree for ever, different seeds part at once", () => {
    expect(hundredDraws(1)).toEqual(hundredDraws(1));
    expect(hundredDraws(1)).not.toEqual(hundredDraws(2));
    expect(hundredDraws(0)).not.toEqual(hundredDraws(2 ** 32));
  });

  test("two generators of one seed do not disturb each other", () => {
    const one = seededRandom(9);
    const two = seededRandom(9);

    const first = [one.below(100), one.below(100), one.below(100)];

    expect([two.below(100), two.below(100), two.below(100)]).toEqual(first);
  });

  test.each([[-1], [0.5], [Number.NaN], [2 ** 53]])("the seed %d is refused", (seed) => {
    expect(() => seededRandom(seed)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test.each([[0], [-1], [1.5], [2 ** 32 + 1], [Number.NaN]])("below(%d) is refused", (n) => {
    expect(() => seededRandom(1).below(n)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("simEnv is a whole environment of one seed: its clock and timers are one SimClock", async () => {
    const env = simEnv(3);
    const start = env.clock.now();
    let fired = false;
    env.timers.after(10, () => (fired = true));

    await env.clock.advance(10);

    expect(fired).toBe(true);
    expect(env.clock.now() - start).toBe(10);
    expect(env.random.hex(8)).toBe(seededRandom(3).hex(8));
  });
});

function hundredDraws(seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: 100 }, () => random.below(1000));
}

/** The published algorithm in arbitrary precision, masked to 32 bits after every step. */
function obviousXoshiro128(state: readonly [number, number, number, number]): () => number {
  const mask = 0xffff_ffffn;
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & mask;
  let [a, b, c, d] = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  return () => {
    const result = (rotate((b * 5n) & mask, 7n) * 9n) & mask;
    const shifted = (b << 9n) & mask;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11n);
    return Number(result);
  };
}
