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
  test("a quorum is asked first, from a place that the counter decides", () => {
    const first = firstAsked([1, 1, 1]);

    expect(first.pick(0, MANY, 0)).toEqual([true, true, false]);
    expect(first.pick(1, MANY, 0)).toEqual([false, true, true]);
    expect(first.pick(5, MANY, 0)).toEqual([true, false, true]);
  });

  test("one that is away, and one that is slow, are not among the first", () => {
    expect(firstAsked([1, 1, 1], [0]).pick(0, MANY, 0)).toEqual([false, true, true]);
    expect(firstAsked([1, 9, 1]).pick(0, MANY, 0)).toEqual([true, false, true]);
    expect(firstAsked([0.1, 0.9, 0.1]).pick(0, MANY, 0)).toEqual([true, true, false]);
  });

  test("all are asked when no quorum is left beside those", () => {
    expect(firstAsked([1, 1, 1], [0, 1]).pick(0, MANY, 0)).toBeUndefined();
    expect(firstAsked([1, 9, 1], [0]).pick(0, MANY, 0)).toBeUndefined();
  });

  test("the others are left alone for several calls, within bounds", () => {
    const delayOf = (...callMs: readonly number[]): number => {
      const first = firstAsked(callMs);
      first.pick(0, MANY, 0);
      return first.delayMs;
    };

    expect(delayOf(0.2, 0.3, 0.2)).toBe(2);
    expect(delayOf(4, 5, 90)).toBe(15);
    expect(delayOf(80, 90, 85)).toBe(100);
  });

  test("now and then all are asked, so that what the others take is known", () => {
    const first = firstAsked([1, 1, 1]);
    const picks = Array.from({ length: 64 }, () => first.pick(0, MANY, 0));

    expect(picks.filter((pick) => pick === undefined)).toHaveLength(2);
  });

  test("what calls take is looked at again", () => {
    const callMs = [1, 1, 1];
    const exchanges = callMs.map((_, at) => ({ get callMs() { return callMs[at]; } }) as Exchange);
    const members = callMs.map(() => ({ boot: "record" }) as Member);
    const first = new FirstAsked(members, exchanges, SETTINGS);
    expect(first.pick(0, MANY, 0)).toEqual([true, true, false]);

    callMs[0] = 50;

    expect(first.pick(0, MANY, 100)).toEqual([false, true, true]);
  });
});

test("all are asked where few acquire, where that is wanted, and where none can be spared", () => {
  expect(firstAsked([1, 1, 1]).pick(0, 7, 0)).toBeUndefined();
  expect(firstAsked([1, 1, 1], [], { spareMs: 0 }).pick(0, MANY, 0)).toBeUndefined();
  expect(firstAsked([1, 1]).pick(0, MANY, 0)).toBeUndefined();
  expect(firstAsked([1], [], { quorum: 1 }).pick(0, MANY, 0)).toBeUndefined();
});
