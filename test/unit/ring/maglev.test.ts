/** The layout "maglev": its table and the ranges that it stands for. */
import { describe, expect, test } from "vitest";

import { HashRing } from "../../../src/ring/index.ts";
import { MaglevLayout } from "../../../src/ring/layouts/maglev.ts";
import { readRoster } from "../../../src/ring/members.ts";

describe("the layout maglev", () => {
  test.each([2, 3, 251, 65_537, 2_097_143])("of %i entries has ranges that end where entries do", (size) => {
    const { lasts } = new MaglevLayout(readRoster(["a", "b"]), size).pieces();
    const entryOf = (position: number) => Math.floor((position * size) / 2 ** 32);
    const wrong = lasts.findIndex((last, i) => entryOf(last) !== i || entryOf(last + 1) !== i + 1);

    expect(lasts).toHaveLength(size);
    expect(lasts.at(-1)).toBe(2 ** 32 - 1);
    expect(wrong).toBe(-1);
  });

  test("gives each member its weight's part", () => {
    const members = [1, 2, 3, 10, 0.5].map((weight, i) => ({ id: `r${i}`, weight }));
    const shares = new HashRing(members, { layout: "maglev" }).shares();

    for (const { id, weight } of members) expect((shares.get(id) ?? 0) * 16.5).toBeCloseTo(weight, 2);
  });

  test("is made at once however far apart the weights are", () => {
    const members = Array.from({ length: 16_384 }, (_, i) => ({ id: `r${i}`, weight: i === 0 ? 1 : 1e-9 }));
    const begin = performance.now();
    const shares = new HashRing(members, { layout: "maglev", tableSize: 2_097_143 }).shares();

    expect(shares.get("r0")).toBe(1);
    // It takes about 0.2 s, and took 72 when every member was asked in every round.
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  test.each([1e308, 5e-324])("takes weights of %d as any others", (weight) => {
    const members = ["a", "b", "c"].map((id) => ({ id, weight }));
    const ring = new HashRing(members, { layout: "maglev" });

    expect(ring.shares()).toEqual(new HashRing(["a", "b", "c"], { layout: "maglev" }).shares());
  });

  test("with as many entries as members gives each one", () => {
    const ring = new HashRing(["a", "b", "c", "d", "e"], { layout: "maglev", tableSize: 5 });

    for (const share of ring.shares().values()) expect(share).toBeCloseTo(0.2, 8);
  });

  test("moves about the ideal for few members", () => {
    const ring = new HashRing(["a", "b", "c", "d"], { layout: "maglev" });

    expect(ring.movement(ring.with("e")).share).toBeLessThan(0.2 * 1.3);
  });
});

test("the layout points gives each member about its weight's part, of any size", () => {
  const members = [1, 2, 3, 2 ** 33].map((weight, i) => ({ id: `r${i}`, weight }));
  const ring = new HashRing(members.slice(0, 3), { layout: "points", pointsPerWeight: 2_000 });
  const huge = new HashRing(members.slice(2), { layout: "points", pointsPerWeight: 2 ** -20 });

  for (const { id, weight } of members.slice(0, 3)) {
    expect(Math.abs((ring.shares().get(id) ?? 0) * 6 - weight)).toBeLessThan(0.2);
  }
  expect(huge.shares().get("r3")).toBeGreaterThan(0.999);
  expect(huge.shares().get("r2")).toBeGreaterThan(0);
});
