import { describe, expect, test } from "vitest";

import type { Exchange } from "../../../src/locks/engine/exchange.ts";
import { FirstAsked } from "../../../src/locks/engine/first-asked.ts";
import type { Member } from "../../../src/locks/group/index.ts";

const SETTINGS = { quorum: 2, spareMs: 2, spareFrom: 8 };
const MANY = 50;

/** Of instances that are members or not, and whose calls take so long. */
function firstAsked(callMs: readonly number[], away: readonly number[] = [], settings = {}): FirstAsked {
  const members = callMs.map((_, at) => ({ boot: away.includes(at) ? undefined : "record" }) as Member);
  const exchanges = callMs.map((ms) => ({ callMs: ms }) as Exchange);
  return new FirstAsked(members, exchanges, { ...SETTINGS, ...settings });
}

describe("while many acquire at once", () => {
  test("a quorum is asked first, another one after each turn of the wall clock", () => {
    const picks = [0, 20, 40, 59, 60].map((wallMs) => firstAsked([1, 1, 1]).pick(MANY, 0, wallMs));

    expect(picks).toEqual([
      [true, true, false],
      [false, true, true],
      [true, false, true],
      [true, false, true],
      [true, true, false],
    ]);
  });

  test("one that is away, and one that is slow, are not among the first", () => {
    expect(firstAsked([1, 1, 1], [0]).pick(MANY, 0, 0)).toEqual([false, true, true]);
    expect(firstAsked([1, 9, 1]).pick(MANY, 0, 0)).toEqual([true, false, true]);
    expect(firstAsked([0.1, 0.9, 0.1]).pick(MANY, 0, 0)).toEqual([true, true, false]);
  });

  test("all are asked when no quorum is left beside those", () => {
    expect(firstAsked([1, 1, 1], [0, 1]).pick(MANY, 0, 0)).toBeUndefined();
    expect(firstAsked([1, 9, 1], [0]).pick(MANY, 0, 0)).toBeUndefined();
  });

  test("the others are left alone for several calls, within bounds", () => {
    const delayOf = (...callMs: readonly number[]): number => {
      const first = firstAsked(callMs);
      first.pick(MANY, 0, 0);
      return first.delayMs;
    };

    expect(delayOf(0.2, 0.3, 0.2)).toBe(2);
    expect(delayOf(4, 5, 90)).toBe(15);
    expect(delayOf(80, 90, 85)).toBe(100);
  });

  test("now and then all are asked, so that what the others take is known", () => {
    const first = firstAsked([1, 1, 1]);
    const picks = Array.from({ length: 64 }, () => first.pick(MANY, 0, 0));

    expect(picks.filter((pick) => pick === undefined)).toHaveLength(2);
  });

  test("what calls take is looked at again", () => {
    const callMs = [1, 1, 1];
    const exchanges = callMs.map((_, at) => ({ get callMs() { return callMs[at]; } }) as Exchange);
    const members = callMs.map(() => ({ boot: "record" }) as Member);
    const first = new FirstAsked(members, exchanges, SETTINGS);
    expect(first.pick(MANY, 0, 0)).toEqual([true, true, false]);

    callMs[0] = 50;

    expect(first.pick(MANY, 100, 0)).toEqual([false, true, true]);
  });
});

test("all are asked where few acquire, where that is wanted, and where none can be spared", () => {
  expect(firstAsked([1, 1, 1]).pick(7, 0, 0)).toBeUndefined();
  expect(firstAsked([1, 1, 1], [], { spareMs: 0 }).pick(MANY, 0, 0)).toBeUndefined();
  expect(firstAsked([1, 1]).pick(MANY, 0, 0)).toBeUndefined();
  expect(firstAsked([1], [], { quorum: 1 }).pick(MANY, 0, 0)).toBeUndefined();
});
