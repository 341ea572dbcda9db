/** The figures that the README and docs/ring.md give, held to their bounds; bench/ring.ts prints them. */
import { describe, expect, test } from "vitest";

import { HashRing } from "../../../src/ring/index.ts";

const NAMINGS = [
  (set: number, i: number) => `10.${set}.${i >> 8}.${i & 255}:6379`,
  (set: number, i: number) => `redis-${set * 1_000 + i}`,
  (set: number, i: number) => `shard_${"abcdefghijklmnopqrst"[set]}_${i}.cache.internal`,
];

function sets(count: number, perNaming: number): string[][] {
  return NAMINGS.flatMap((name) =>
    Array.from({ length: perNaming }, (_, set) => Array.from({ length: count }, (__, i) => name(set, i))),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The greatest share relative to the fair one. */
function imbalance(ring: HashRing): number {
  const total = ring.members.reduce((sum, { weight }) => sum + weight, 0);
  const shares = ring.shares();
  return Math.max(...ring.members.map(({ id, weight }) => (shares.get(id) ?? 0) / (weight / total)));
}

describe("balance", () => {
  const sizes = [3, 10, 100, 961, 1_000];
  test.each(sizes)("of %i members is at most 1.05, or the fair share rounded up to a whole arc", (count) => {
    const bound = Math.max(1.05, (Math.ceil(16_384 / count) * count) / 16_384);
    const rings = sets(count, count > 100 ? 1 : 4).map((ids) => new HashRing(ids));

    for (const ring of rings) expect(imbalance(ring)).toBeLessThanOrEqual(bound);
  });

  test("of weighted members is at most 1.05, weights taken into account", () => {
    for (const ids of sets(100, 2)) {
      const members = ids.map((id, i) => ({ id, weight: 1 + (i % 5) }));

      expect(imbalance(new HashRing(members))).toBeLessThanOrEqual(1.05);
    }
  });

  test("of 10,000 members is as good as 16,384 arcs can be: two arcs at most", () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => `r${i}`);

    expect(imbalance(new HashRing(ids))).toBeCloseTo(2 / 1.6384, 10);
  });

  test("of as many members as arcs is perfect", () => {
    expect(imbalance(new HashRing(Array.from({ length: 16_384 }, (_, i) => `r${i}`)))).toBe(1);
  });
});

describe("movement when one member joins, and when it leaves again", () => {
  test.each([
    [3, 0.000_1],
    [10, 0.000_1],
    [30, 0.000_7],
    [60, 0.001],
    [100, 0.001_6],
  ])("at %i members is on average 1.2 times the ideal at most, and 1.25 at worst", (count, stayersMax) => {
    const movements = sets(count + 1, 20).map((ids) => {
      const fewer = new HashRing(ids.slice(0, -1));
      return { newcomer: ids.at(-1), ...fewer.movement(new HashRing(ids)) };
    });

    const ratios = movements.map(({ share }) => share * (count + 1));
    expect(mean(ratios)).toBeLessThanOrEqual(1.2);
    expect(Math.max(...ratios)).toBeLessThanOrEqual(1.25);
    expect(mean(movements.map(({ betweenStayers }) => betweenStayers))).toBeLessThanOrEqual(stayersMax);
    for (const { newcomer, moves } of movements) {
      const pairs = moves.filter(({ to }) => to !== newcomer).map(({ share }) => share);
      // Between any two members that stay: at most 0.1 % of the arcs.
      expect(Math.max(0, ...pairs)).toBeLessThanOrEqual(0.001);
    }
  });
});

describe("rebalance when one member joins, and when one leaves", () => {
  test.each([3, 10, 100])("at %i members moves the ideal and nothing between stayers", (count) => {
    for (const ids of sets(count + 1, 1)) {
      const fewer = new HashRing(ids.slice(0, -1));
      const joined = fewer.rebalance(ids);
      const gain = fewer.movement(joined);
      const left = joined.rebalance(ids.slice(1));
      const loss = joined.movement(left);

      expect(gain.arcs).toBe(Math.floor(16_384 / (count + 1)));
      expect(loss.share).toBe(joined.shares().get(ids[0]!));
      expect([gain.betweenStayers, loss.betweenStayers]).toEqual([0, 0]);
      expect(Math.max(imbalance(joined), imbalance(left))).toBeLessThanOrEqual(1.05);
    }
  });
});

test("rebalanced from one member to 200, each step moves the ideal", () => {
  let ring = new HashRing(["r0"]);
  for (let count = 2; count <= 200; count++) {
    const next = ring.rebalance(Array.from({ length: count }, (_, i) => `r${i}`));
    const { arcs, betweenStayers } = ring.movement(next);

    expect([arcs, betweenStayers]).toEqual([Math.floor(16_384 / count), 0]);
    ring = next;
  }
  expect(imbalance(ring)).toBeLessThanOrEqual(1.03);
});

test("what a member leaves behind goes to those who have the least", () => {
  const ids = Array.from({ length: 60 }, (_, i) => `r${i}`);
  let ring = new HashRing(ids);
  for (let count = 59; count >= 30; count--) ring = ring.rebalance(ids.slice(0, count));

  expect(imbalance(ring)).toBeLessThanOrEqual(1.01);
});

test("the other layouts' shares are as even as docs/ring.md says", () => {
  const ids = Array.from({ length: 100 }, (_, i) => `redis-${i}`);

  expect(imbalance(new HashRing(ids, { layout: "jump" }))).toBeCloseTo(1, 12);
  expect(imbalance(new HashRing(ids, { layout: "maglev" }))).toBeLessThan(1.002);
  expect(imbalance(new HashRing(ids, { layout: "points" }))).toBeLessThan(1.3);
  expect(imbalance(new HashRing(ids, { layout: "ketama" }))).toBeLessThan(1.3);
});
