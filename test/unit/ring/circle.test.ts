/** The circle of points, and ketama's points on it, are those of their obvious twins. */
import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { HashRing } from "../../../src/ring/index.ts";
import { CircleLayout, packPoint } from "../../../src/ring/layouts/circle.ts";
import { slowGroups, slowShares, slowSuccessor } from "../../support/slow-ring.ts";

/** Positions at the ends of the circle and in the middle, and around each other. */
const position = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 2 ** 31 - 2, max: 2 ** 31 + 2 }),
  fc.integer({ min: 2 ** 32 - 4, max: 2 ** 32 - 1 }),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const points = fc.array(fc.record({ at: position, member: fc.nat(9) }), { minLength: 1, maxLength: 40 });

function circleOf(given: readonly { at: number; member: number }[]): CircleLayout {
  return new CircleLayout({
    name: "points",
    keySpace: "test",
    memberCount: 10,
    points: Float64Array.from(given, ({ at, member }) => packPoint(at, member)),
    position: (key) => Number(key) | 0,
  });
}

describe("a circle", () => {
  test("gives a position to the first point at or after it, the first member among equals", () => {
    fc.assert(
      fc.property(points, position, (given, wanted) => {
        const named = given.map(({ at, member }) => ({ at, id: `${member}` }));
        for (const asked of [wanted, ...given.map(({ at }) => at)]) {
          expect(`${circleOf(given).ownerIndex(`${asked}`)}`).toBe(slowSuccessor(named, asked));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("has the shares that its points cut out of it, equal points included", () => {
    fc.assert(
      fc.property(points, (given) => {
        const named = given.map(({ at, member }) => ({ at, id: `${member}` }));
        const shares = circleOf(given).shares();
        const expected = slowShares(named);

        expect([...shares]).toEqual(Array.from({ length: 10 }, (_, i) => expected.get(`${i}`) ?? 0));
      }),
      { numRuns: 500 },
    );
  });

  test("prefers members clockwise, and those without a point last", () => {
    const circle = circleOf([{ at: 10, member: 3 }, { at: 20, member: 1 }, { at: 30, member: 3 }]);

    expect([...circle.preference("15")]).toEqual([1, 3, 0, 2, 4, 5, 6, 7, 8, 9]);
    expect([...circle.preference("31")]).toEqual([3, 1, 0, 2, 4, 5, 6, 7, 8, 9]);
  });
});

describe("ketama", () => {
  const weight = fc.oneof(
    fc.constantFrom(1, 2, 3),
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 2 ** 24, max: 2 ** 40 }),
    fc.double({ min: 0.001, max: 10, noNaN: true }),
  );
  const weights = fc.oneof(
    fc.array(weight, { minLength: 1, maxLength: 30 }),
    fc.integer({ min: 1, max: 60 }).map((count) => Array.from({ length: count }, () => 1)),
  );

  test.each(["libketama", "nutcracker", "hashring"] as const)(
    "by the arithmetic of %s has exactly the points of its twin",
    (compat) => {
      fc.assert(
        fc.property(weights, (given) => {
          const members = given.map((each, i) => ({ id: `10.0.0.${10 + i}:6379`, weight: each }));
          const total = given.reduce((sum, each) => sum + each, 0);
          const expected = members.flatMap(({ id, weight: own }) =>
            Array.from({ length: slowGroups(compat, own, total, given.length) }, (_, group) => {
              const digest = createHash("md5").update(`${id}-${group}`).digest();
              return [0, 4, 8, 12].map((byte) => ({ at: digest.readUInt32LE(byte), id }));
            }).flat(),
          );
          const shares = new HashRing(members, { layout: "ketama", compat }).shares();

          expect(new Map([...shares].filter(([, share]) => share > 0))).toEqual(slowShares(expected));
        }),
        // Memory sizes in bytes, for which it matters that weights are rounded before they are divided.
        { numRuns: 60, examples: [[[192_569_860, 256_759_808, 192_569_853]], [[50_005_089, 200_020_332]]] },
      );
    },
  );
});
