import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { decideToken, Grant, leaseStart, majority } from "../../../src/locks/core/votes.ts";

describe("a majority", () => {
  test("is more than half, so that any two share an instance", () => {
    expect([1, 2, 3, 4, 5, 6, 7].map(majority)).toEqual([1, 2, 2, 3, 3, 4, 4]);
    fc.assert(fc.property(fc.integer({ min: 1, max: 1000 }), (count) => 2 * majority(count) > count));
  });
});

describe("the lease of a quorum", () => {
  const asked = (...sentAts: readonly number[]): Grant[] => sentAts.map((sentAt) => new Grant(sentAt, 1, 1));

  test("is undefined without a quorum", () => {
    expect(leaseStart(asked(), 1)).toBeUndefined();
    expect(leaseStart(asked(10, 20), 3)).toBeUndefined();
  });

  test("begins with the earliest of the latest grants that make a quorum", () => {
    expect(leaseStart(asked(30, 10, 20), 2)).toBe(20);
    expect(leaseStart(asked(10, 10, 50), 2)).toBe(10);
    expect(leaseStart(asked(7), 1)).toBe(7);
  });

  test("has a quorum of grants that began no earlier, and no quorum that all began later", () => {
    const sentAts = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(sentAts, fc.integer({ min: 1, max: 9 }), (all, quorum) => {
        const start = leaseStart(asked(...all), quorum);
        if (start === undefined) return all.length < quorum;
        const notBefore = all.filter((sentAt) => sentAt >= start).length;
        return notBefore >= quorum && all.filter((sentAt) => sentAt > start).length < quorum;
      }),
    );
  });

  test("leaves the grants as they were", () => {
    const grants = asked(1, 3, 2);

    leaseStart(grants, 2);

    expect(grants).toEqual(asked(1, 3, 2));
  });
});

describe("the fencing token", () => {
  const stored = (token: number): Grant => ({ sentAt: 0, stored: token, counter: token });
  const ahead = (counter: number): Grant => ({ sentAt: 0, stored: undefined, counter });

  test("is the proposal that a quorum has stored", () => {
    expect(decideToken([stored(7), stored(7)], 2)).toEqual({ token: 7 });
    expect(decideToken([stored(7), ahead(9), stored(7)], 2)).toEqual({ token: 7 });
  });

  test("is above every answer when no quorum has stored the same", () => {
    expect(decideToken([stored(7), ahead(9)], 2)).toEqual({ raiseTo: 10 });
    expect(decideToken([ahead(3), ahead(4)], 2)).toEqual({ raiseTo: 5 });
  });

  test("takes a second trip when grants of two rounds stored different proposals", () => {
    expect(decideToken([stored(7), stored(8)], 2)).toEqual({ raiseTo: 9 });
  });

  test("is raised above the counters also of those that stored", () => {
    expect(decideToken([stored(12), ahead(9)], 2)).toEqual({ raiseTo: 13 });
  });
});
