import { describe, expect, test } from "vitest";

import type { Exchange } from "../../../src/locks/engine/exchange.ts";
import { FirstAsked } from "../../../src/locks/engine/first-asked.ts";
import type { Member } from "../../../src/locks/group/index.ts";

const SETTINGS = { quorum: 2, spareMs: 2, spareFrom: 8 };
const MANY = 50;

/** Who is asked first, after the one that asks all. */
function pickOf(...given: Parameters<typeof firstAsked>): readonly boolean[] | undefined {
  const first = firstAsked(...given);
  first.pick(MANY, 0, 0);
  return first.pick(MANY, 1, 0);
}

/** Of instances that are members or not, and whose calls take so long. */
function firstAsked(callMs: readonly number[], away: readonly number[] = [], settings = {}): FirstAsked {
  const members = callMs.map((_, at) => ({ boot: away.includes(at) ? undefined : "record" }) as Member);
  const exchanges = callMs.map((ms) => ({ callMs: ms }) as Exchange);
  return new FirstAsked(members, exchanges, { ...SETTINGS, ...settings });
}

describe("while many acquire at once", () => {
  test("a quorum is asked first, another one after each turn of the wall clock", () => {
    const picks = [0, 100, 200, 299, 300].map((wallMs) => {
      const first = firstAsked([1, 1, 1]);
      first.pick(MANY, 0, wallMs);
      return first.pick(MANY, 1, wallMs);
    });

    expect(picks).toEqual([
      [true, true, false],
      [false, true, true],
      [true, false, true],
      [true, false, true],
      [true, true, false],
    ]);
  });

  test("one that is away, and one that is slow, are not among the first", () => {
    expect(pickOf([1, 1, 1], [0])).toEqual([false, true, true]);
    expect(pickOf([1, 9, 1])).toEqual([true, false, true]);
    expect(pickOf([0.1, 0.9, 0.1])).toEqual([true, true, false]);
  });

  test("all are asked when no quorum is left beside those", () => {
    expect(pickOf([1, 1, 1], [0, 1])).toBeUndefined();
    expect(pickOf([1, 9, 1], [0])).toBeUndefined();
  });

  test("the others are left alone for several calls, within bounds", () => {
    const delayOf = (...callMs: readonly number[]): number => {
      const first = firstAsked(callMs);
      for (const now of [0, 1]) first.pick(MANY, now, 0);
      return first.delayMs;
    };

    expect(delayOf(0.2, 0.3, 0.2)).toBe(2);
    expect(delayOf(4, 5, 90)).toBe(15);
    expect(delayOf(80, 90, 85)).toBe(100);
  });

  test("now and then all are asked, so that one which was slow is heard of again", () => {
    const first = firstAsked([1, 1, 1]);
    const picks = Array.from({ length: 250 }, (_, now) => first.pick(MANY, now, 0));

    expect(picks.flatMap((pick, now) => (pick === undefined ? [now] : []))).toEqual([0, 100, 200]);
  });

  test("what calls take is looked at again", () => {
    const callMs = [1, 1, 1];
    const exchanges = callMs.map((_, at) => ({ get callMs() { return callMs[at]; } }) as Exchange);
    const members = callMs.map(() => ({ boot: "record" }) as Member);
    const first = new FirstAsked(members, exchanges, SETTINGS);
    first.pick(MANY, 0, 0);
    expect(first.pick(MANY, 1, 0)).toEqual([true, true, false]);

    callMs[0] = 50;

    expect(first.pick(MANY, 50, 0)).toEqual([false, true, true]);
  });
});

test("all are asked where few acquire, where that is wanted, and where none can be spared", () => {
  const few = firstAsked([1, 1, 1]);
  expect([0, 1, 2].map((now) => few.pick(7, now, 0))).toEqual([undefined, undefined, undefined]);
  expect(pickOf([1, 1, 1], [], { spareMs: 0 })).toBeUndefined();
  expect(pickOf([1, 1])).toBeUndefined();
  expect(pickOf([1], [], { quorum: 1 })).toBeUndefined();
});
