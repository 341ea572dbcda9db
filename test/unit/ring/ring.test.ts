/** What a ring answers, told by examples. */
import { createHash } from "node:crypto";

import { describe, expect, test } from "vitest";

import { arcOf, HashRing } from "../../../src/ring/index.ts";

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `redis-${i}`);
}

const keys = Array.from({ length: 2_000 }, (_, i) => `user:${i}`);

describe("a ring", () => {
  const ring = new HashRing(["c", "a", { id: "b", weight: 2, zone: "z" }]);

  test("lists its members by id, complete and frozen", () => {
    expect(ring.members).toEqual([
      { id: "a", weight: 1 },
      { id: "b", weight: 2, zone: "z" },
      { id: "c", weight: 1 },
    ]);
    expect(ring.size).toBe(3);
    expect(ring.layout).toBe("arcs");
    expect([ring.members, ...ring.members].every((value) => Object.isFrozen(value))).toBe(true);
  });

  test("answers one owner for a key in every form", () => {
    for (const key of keys) {
      const owner = ring.owner(key);

      expect(ring.members[ring.ownerIndex(key)]?.id).toBe(owner);
      expect(ring.ownerOfArc(arcOf(key))).toBe(owner);
      expect(ring.owner(new TextEncoder().encode(key))).toBe(owner);
      expect(ring.owner(`{${key}}:cart`)).toBe(owner);
    }
  });

  test("of one member gives it everything", () => {
    for (const layout of ["arcs", "points", "ketama", "maglev", "jump"] as const) {
      const alone = new HashRing(["a"], { layout });

      expect(new Set(keys.map((key) => alone.owner(key)))).toEqual(new Set(["a"]));
      expect(alone.shares()).toEqual(new Map([["a", 1]]));
      expect(alone.owners("k", 1)).toEqual(["a"]);
    }
  });

  test("knows only the ratios of weights", () => {
    const tableOf = (factor: number) => {
      const members = [1, 2, 7].map((weight, i) => ({ id: `r${i}`, weight: weight * factor }));
      return new HashRing(members).toJSON().arcs;
    };

    for (const factor of [3, 10, 1e-300, 1e300]) expect(tableOf(factor)).toBe(tableOf(1));
  });

  test("bears weights at the top of what numbers can be", () => {
    const members = ["a", "b", "c"].map((id) => ({ id, weight: Number.MAX_VALUE }));

    expect(new HashRing(members).toJSON().arcs).toBe(new HashRing(["a", "b", "c"]).toJSON().arcs);
    expect(new HashRing(["a"]).rebalance(members).shares().get("a")).toBeLessThan(0.36);
  });

  test("bears weights as far apart as numbers go", () => {
    const shares = new HashRing([{ id: "a", weight: 5e-324 }, { id: "b", weight: 1.7e308 }]).shares();

    expect(shares.get("b")).toBe(1);
    expect(shares.get("a")).toBe(0);
  });
});

describe("the table", () => {
  // These digests are a promise: processes of different versions and machines must place keys alike.
  test.each([
    ["ten members", numbered(10), "e04fb975d7ff56c3"],
    ["weights", ["a", "b", "c", "d"].map((id, i) => ({ id, weight: i + 1 })), "29ea2e3fa4fb6e1e"],
    ["a thousand members", numbered(1_000), "eb6d169dcf7d17b6"],
  ])("of %s is the same for ever", (_, members, digest) => {
    const { arcs } = new HashRing(members).toJSON();

    expect(createHash("sha256").update(arcs ?? "").digest("hex").slice(0, 16)).toBe(digest);
  });
});

test.each([
  ["arcs", "65d8fb8825212efb"],
  ["points", "e5aede9f0118286f"],
  ["ketama", "7df56ad5cd348e3a"],
  ["maglev", "e22aec2df3670f8b"],
  ["jump", "b2f767ce8074d886"],
] as const)("the layout %s answers the same for ever, stand-ins included", (layout, digest) => {
  const ring = new HashRing(numbered(12), { layout });
  const answers = keys.map((key) => ring.owners(key, 3).join());

  expect(createHash("sha256").update(answers.join("\n")).digest("hex").slice(0, 16)).toBe(digest);
});

describe("owners", () => {
  const zoned = new HashRing(Array.from({ length: 9 }, (_, i) => ({ id: `r${i}`, zone: `z${i % 3}` })));

  test("are members of different zones first when asked, and repeat zones when there are no more", () => {
    for (const key of keys.slice(0, 200)) {
      const five = zoned.owners(key, 5, { distinctZones: true });

      expect(new Set(five.slice(0, 3).map((id) => Number(id.slice(1)) % 3)).size).toBe(3);
      expect(five).toHaveLength(5);
      expect(new Set(five).size).toBe(5);
      expect(five[0]).toBe(zoned.owner(key));
      expect(new Set(zoned.owners(key, 9, { distinctZones: true })).size).toBe(9);
    }
  });

  test("without zones are zones of their own", () => {
    const mixed = new HashRing([{ id: "a", zone: "z" }, { id: "b", zone: "z" }, "c", "d"]);
    for (const key of keys.slice(0, 200)) {
      const three = mixed.owners(key, 3, { distinctZones: true });

      expect(three.filter((id) => id === "a" || id === "b")).toHaveLength(1);
    }
  });

  test("after the first are spread over the others, not one stand-in for all", () => {
    for (const layout of ["arcs", "points", "ketama", "maglev", "jump"] as const) {
      const ring = new HashRing(["a", "b", "c", "d", "e"], { layout });
      const seconds = keys.filter((key) => ring.owner(key) === "a").map((key) => ring.owners(key, 2)[1]);

      expect(new Set(seconds)).toEqual(new Set(["b", "c", "d", "e"]));
    }
  });

  test("name as second whoever takes over when the first leaves, but for the bound", () => {
    const ring = new HashRing(["a", "b", "c", "d", "e"]);
    const after = ring.without("a");
    const orphans = keys.filter((key) => ring.owner(key) === "a");
    const asForetold = orphans.filter((key) => after.owner(key) === ring.owners(key, 2)[1]);

    expect(asForetold.length).toBeGreaterThan(0.97 * orphans.length);
  });
});

describe("ownerWithin", () => {
  const ring = new HashRing(["a", "b", { id: "c", weight: 2 }]);

  test("is the owner while nobody is loaded", () => {
    for (const key of keys) expect(ring.ownerWithin(key, new Map())).toBe(ring.owner(key));
  });

  test("passes by a member that is full, in order of preference", () => {
    for (const key of keys.slice(0, 300)) {
      const [first, second] = ring.owners(key, 3) as [string, string];
      const loads = new Map([[first, 1_000]]);

      expect(ring.ownerWithin(key, loads)).toBe(second);
      expect(ring.ownerWithin(key, (id) => loads.get(id) ?? 0)).toBe(second);
    }
  });

  test("ignores the loads of those who are no members", () => {
    const loads = new Map([["gone", 1e9]]);

    for (const key of keys.slice(0, 50)) expect(ring.ownerWithin(key, loads)).toBe(ring.owner(key));
  });

  test("finds a member whatever the loads, huge ones included", () => {
    const huge = new Map([["a", Number.MAX_VALUE], ["b", Number.MAX_VALUE], ["c", 2 ** 53]]);

    expect(ring.members.map(({ id }) => id)).toContain(ring.ownerWithin("k", huge));
  });
});

describe("a change of members", () => {
  const ring = new HashRing(["a", "b", "c"], { shareRatioMax: 1.2 });

  test("makes a new ring of the same options and leaves the old one alone", () => {
    const before = JSON.stringify(ring);
    const more = ring.with({ id: "d", weight: 2, zone: "z" });

    expect(more.members).toContainEqual({ id: "d", weight: 2, zone: "z" });
    expect(more.toJSON()).toEqual(
      new HashRing(["a", "b", "c", { id: "d", weight: 2, zone: "z" }], { shareRatioMax: 1.2 }).toJSON(),
    );
    expect(more.without("d").toJSON()).toEqual(ring.toJSON());
    expect(JSON.stringify(ring)).toBe(before);
  });

  test("with the id of a member replaces that member", () => {
    const heavier = ring.with({ id: "b", weight: 5 });

    expect(heavier.members.map(({ weight }) => weight)).toEqual([1, 5, 1]);
    expect(heavier.with("b").toJSON()).toEqual(ring.toJSON());
  });

  test("in layout jump is allowed at the end alone, and the order of members counts", () => {
    const jump = new HashRing(["z", "a", "m"], { layout: "jump" });
    const more = jump.with("b");

    expect(more.without("b").toJSON()).toEqual(jump.toJSON());
    expect(() => more.without("a")).toThrow(/can lose only its last member, "b"/);
    expect(more.toJSON().members.map(({ id }) => id)).toEqual(["z", "a", "m", "b"]);
    expect(more.members.map(({ id }) => id)).toEqual(["a", "b", "m", "z"]);
    for (const key of keys) expect(["b", jump.owner(key)]).toContain(more.owner(key));
    const sorted = new HashRing(["a", "m", "z"], { layout: "jump" });

    expect(keys.some((key) => jump.owner(key) !== sorted.owner(key))).toBe(true);
  });
});

describe("fromArcs", () => {
  const masters = ["n1", "n2", "n3"];
  const cluster = HashRing.fromArcs(masters, (arc) => masters[Math.floor((3 * arc + 1) / 16_384)] as string);

  test("takes over a table such as a Redis Cluster's", () => {
    expect([0, 5_460, 5_461, 10_922, 10_923, 16_383].map((arc) => cluster.ownerOfArc(arc))).toEqual(
      ["n1", "n1", "n2", "n2", "n3", "n3"],
    );
    expect(HashRing.from(cluster.toJSON()).toJSON()).toEqual(cluster.toJSON());
  });

  test("is the start of least movement", () => {
    const movement = cluster.movement(cluster.rebalance(["n1", "n2", "n3", "n4"]));

    expect(movement.arcs).toBe(4_096);
    expect(new Set(movement.moves.map(({ to }) => to))).toEqual(new Set(["n4"]));
    expect(movement.betweenStayers).toBe(0);
  });
});

describe("rebalance", () => {
  test("takes from a member what it wants least: mostly what the computed ring would not give it", () => {
    const all = HashRing.fromArcs(["a", "b"], () => "a");
    const computed = new HashRing(["a", "b"]);
    const shared = all.rebalance(["a", "b"]);
    const numbers = Array.from({ length: 16_384 }, (_, arc) => arc);
    const arcs = numbers.filter((arc) => shared.ownerOfArc(arc) === "b");
    const meantForB = arcs.filter((arc) => computed.ownerOfArc(arc) === "b");

    expect(arcs).toHaveLength(16_384 - Math.floor(1.05 * 8_192));
    expect(meantForB.length).toBeGreaterThan(0.7 * arcs.length);
  });

  test("raises a member whose weight grew to its fair share, and no other", () => {
    const ring = new HashRing(["a", "b", "c", "d"]);
    const heavier = ring.rebalance(["a", "b", "c", { id: "d", weight: 3 }]);
    const { moves, betweenStayers, share } = ring.movement(heavier);

    expect(heavier.shares().get("d")).toBe(0.5);
    expect(new Set(moves.map(({ to }) => to))).toEqual(new Set(["d"]));
    expect(betweenStayers).toBe(share);
  });

  test("in other layouts is the ring of the new members", () => {
    for (const layout of ["points", "ketama", "maglev", "jump"] as const) {
      const ring = new HashRing(["a", "b"], { layout }).rebalance(["a", "b", "c"]);

      expect(ring.toJSON()).toEqual(new HashRing(["a", "b", "c"], { layout }).toJSON());
    }
  });
});

describe("movement", () => {
  test("of a ring to itself is nothing", () => {
    for (const layout of ["arcs", "points", "ketama", "maglev", "jump"] as const) {
      const ring = new HashRing(["a", "b", "c"], { layout });
      const movement = ring.movement(new HashRing(["a", "b", "c"], { layout }));

      expect(movement).toMatchObject({ share: 0, betweenStayers: 0, moves: [] });
    }
  });

  test("tells each arc that moves, from whom to whom", () => {
    const before = HashRing.fromArcs(["a", "b"], (arc) => (arc < 8_192 ? "a" : "b"));
    const after = HashRing.fromArcs(["a", "b", "c"], (arc) => (arc < 100 ? "c" : arc < 9_000 ? "a" : "b"));

    expect(before.movement(after)).toEqual({
      share: 908 / 16_384,
      betweenStayers: 808 / 16_384,
      arcs: 908,
      moves: [
        { from: "a", to: "c", share: 100 / 16_384, ranges: [{ first: 0, last: 99 }] },
        { from: "b", to: "a", share: 808 / 16_384, ranges: [{ first: 8_192, last: 8_999 }] },
      ],
    });
  });

  test("in layout jump is a part of every bucket to the new one", () => {
    const before = new HashRing(["a", "b", "c"], { layout: "jump" });
    const { share, arcs, moves } = before.movement(before.with("d"));

    expect(share).toBeCloseTo(1 / 4, 12);
    expect(arcs).toBeUndefined();
    expect(moves.map(({ from, to }) => `${from}>${to}`)).toEqual(["a>d", "b>d", "c>d"]);
    expect(before.with("d").movement(before).share).toBeCloseTo(1 / 4, 12);
  });

  test("can be told between layouts that hash keys alike", () => {
    const points = new HashRing(["a", "b"], { layout: "points" });
    const maglev = new HashRing(["a", "b"], { layout: "maglev", tableSize: 251 });
    const moved = keys.filter((key) => points.owner(key) !== maglev.owner(key)).length / keys.length;

    expect(points.movement(maglev).share).toBeCloseTo(moved, 1);
  });
});

test("owners of distinct zones come soon, though thousands of members stand in few zones", () => {
  const zoned = Array.from({ length: 10_000 }, (_, i) => ({ id: `r${i}`, zone: `z${i % 3}` }));
  const ring = new HashRing(zoned);
  const begin = performance.now();
  for (let i = 0; i < 5; i++) expect(ring.owners(`k${i}`, 4, { distinctZones: true })).toHaveLength(4);

  // It took 777 ms a call when each stand-in cost a pass over all members.
  expect(performance.now() - begin).toBeLessThan(2_000);
});
