/** What holds for every ring: fast-check looks for members, keys and loads for which it does not. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { HashRing, type Member } from "../../../src/ring/index.ts";
import { MaglevLayout } from "../../../src/ring/layouts/maglev.ts";
import { Rendezvous } from "../../../src/ring/layouts/rendezvous.ts";
import { readRoster } from "../../../src/ring/members.ts";
import { type SlowMember, slowArcOf, slowArcTable, slowMaglev } from "../../support/slow-ring.ts";

const ARCS = 16_384;
const LAYOUTS = ["arcs", "points", "ketama", "maglev", "jump"] as const;

type Complete = Required<Pick<Member, "id" | "weight">>;

const id = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `10.0.${a}.${b}:6379`),
  fc.nat(100_000).map((i) => `redis-${i}`),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
);
const fraction = fc.double({ min: 0.25, max: 4, noNaN: true });
const weight = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 9 }), fraction);
const key = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 30 }));

function members(minLength: number, maxLength: number): fc.Arbitrary<Complete[]> {
  return fc.uniqueArray(fc.record({ id, weight }), { selector: (member) => member.id, minLength, maxLength });
}

/** Members of one weight, which every layout takes. */
function equals(minLength: number, maxLength: number): fc.Arbitrary<Complete[]> {
  return members(minLength, maxLength).map((given) => given.map((member) => ({ ...member, weight: 1 })));
}

function ownersOf(ring: HashRing): string[] {
  return Array.from({ length: ARCS }, (_, arc) => ring.ownerOfArc(arc));
}

function capOf(given: readonly Complete[], member: Complete, ratio: number): number {
  const mean = (ARCS * member.weight) / given.reduce((sum, other) => sum + other.weight, 0);
  // A mean that is a whole number may come out a rounding error above it, and then one arc more is the cap.
  return Math.max(Math.ceil(mean + 1e-9), Math.floor(ratio * mean + 1e-9));
}

function countOf(owners: readonly string[], owner: string): number {
  return owners.reduce((count, other) => count + Number(other === owner), 0);
}

describe("the layout arcs", () => {
  test("has the table of its slow twin", () => {
    fc.assert(
      fc.property(members(1, 5), fc.constantFrom(1, 1.01, 1.05, 16_384), (given, shareRatioMax) => {
        const ring = new HashRing(given, { shareRatioMax });
        expect(ownersOf(ring)).toEqual(slowArcTable(given as SlowMember[], shareRatioMax));
      }),
      { numRuns: 12 },
    );
  });

  test("finds what the slow twin finds, for any key", () => {
    const ring = new HashRing(["a", "b", "c", "d"]);
    const table = ownersOf(ring);
    fc.assert(
      fc.property(key, (given) => {
        expect(ring.owner(given)).toBe(table[slowArcOf(given)]);
      }),
      { numRuns: 2_000 },
    );
  });

  test("gives nobody more than the bound allows", () => {
    fc.assert(
      fc.property(members(1, 60), fc.double({ min: 1, max: 2, noNaN: true }), (given, shareRatioMax) => {
        const owners = ownersOf(new HashRing(given, { shareRatioMax }));
        for (const member of given) {
          expect(countOf(owners, member.id)).toBeLessThanOrEqual(capOf(given, member, shareRatioMax));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("gives each member its weight's share, within six standard deviations", () => {
    fc.assert(
      fc.property(members(2, 30), (given) => {
        const shares = new HashRing(given).shares();
        const total = given.reduce((sum, member) => sum + member.weight, 0);
        for (const member of given) {
          const mean = (ARCS * member.weight) / total;
          const share = (shares.get(member.id) ?? 0) * ARCS;
          expect(Math.abs(share - mean)).toBeLessThan(6 * Math.sqrt(mean) + 1);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("without a bound moves nothing but what the one who came or went owns", () => {
    fc.assert(
      fc.property(members(2, 30), (given) => {
        const more = new HashRing(given, { shareRatioMax: 16_384 });
        const { id: last } = given.at(-1)!;
        const fewer = more.without(last);
        const [leaving, joining] = [more.movement(fewer), fewer.movement(more)];

        expect(leaving.share).toBe(more.shares().get(last));
        expect(new Set(leaving.moves.map(({ from }) => from))).toEqual(new Set([last]));
        expect([leaving.betweenStayers, joining.betweenStayers]).toEqual([0, 0]);
        expect(new Set(joining.moves.map(({ to }) => to))).toEqual(new Set([last]));
      }),
      { numRuns: 60 },
    );
  });

  test("with the bound moves at most half as much again, little of it between stayers", () => {
    fc.assert(
      fc.property(equals(2, 60), (given) => {
        const fewer = new HashRing(given.slice(0, -1));
        const { share, betweenStayers } = fewer.movement(new HashRing(given));

        expect(share * given.length).toBeLessThan(1.5);
        expect(betweenStayers).toBeLessThan(0.004);
      }),
      { numRuns: 60 },
    );
  });
});

test("stand-ins are the keenest of those that are left, one after the other", () => {
  fc.assert(
    fc.property(members(1, 60), fc.nat(ARCS - 1), (given, arc) => {
      const rendezvous = new Rendezvous(readRoster(given));
      const seen = new Set([0]);
      for (const member of rendezvous.others(arc, 0)) {
        expect(member).toBe(rendezvous.keenest(arc, (other) => !seen.has(other)));
        seen.add(member);
      }
      expect(seen.size).toBe(given.length);
    }),
    { numRuns: 100 },
  );
});

test("the layout maglev has the table of its slow twin", () => {
  const whole = fc.record({ id, weight: fc.integer({ min: 1, max: 1_000 }) });
  const given = fc.uniqueArray(whole, { selector: (member) => member.id, minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(given, fc.constantFrom(13, 61, 251, 1_021), (each, tableSize) => {
      const layout = new MaglevLayout(readRoster(each), tableSize);
      const ids = readRoster(each).ids;
      expect(Array.from(layout.pieces().owners, (owner) => ids[owner])).toEqual(slowMaglev(each, tableSize));
    }),
    { numRuns: 60 },
  );
});

describe("every layout", () => {
  const unordered = LAYOUTS.filter((layout) => layout !== "jump");

  test.each(unordered)("%s does not care how members are ordered", (layout) => {
    const shuffled = members(1, 20).chain((given) =>
      fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length })),
    );
    fc.assert(
      fc.property(shuffled, fc.array(key, { minLength: 5, maxLength: 20 }), ([given, other], keys) => {
        const [a, b] = [new HashRing(given, { layout }), new HashRing(other, { layout })];
        expect(JSON.stringify(a)).toBe(JSON.stringify(b));
        for (const each of keys) expect(a.owners(each, a.size)).toEqual(b.owners(each, b.size));
      }),
      { numRuns: 40 },
    );
  });

  test.each(LAYOUTS)("%s prefers each member once, the owner first", (layout) => {
    fc.assert(
      fc.property(equals(1, 20), key, fc.boolean(), (given, each, distinctZones) => {
        const zoned = given.map((member, i) => (i % 2 === 0 ? member : { ...member, zone: `z${i % 5}` }));
        const ring = new HashRing(zoned, { layout });
        const all = ring.owners(each, given.length, { distinctZones });

        expect(all[0]).toBe(ring.owner(each));
        expect(all.toSorted()).toEqual(given.map((member) => member.id).toSorted());
        for (let count = 1; count < all.length; count++) {
          expect(ring.owners(each, count, { distinctZones })).toEqual(all.slice(0, count));
        }
      }),
      { numRuns: 40 },
    );
  });

  test.each(LAYOUTS)("%s comes back from JSON as it was", (layout) => {
    fc.assert(
      fc.property(equals(1, 20), fc.array(key, { minLength: 5, maxLength: 20 }), (given, keys) => {
        const ring = new HashRing(given, { layout });
        for (const back of [HashRing.from(JSON.stringify(ring)), HashRing.from(ring.toJSON())]) {
          expect(back.toJSON()).toEqual(ring.toJSON());
          expect(keys.map((each) => back.owner(each))).toEqual(keys.map((each) => ring.owner(each)));
          expect(ring.movement(back).share).toBe(0);
        }
      }),
      { numRuns: 20 },
    );
  });

  test.each(LAYOUTS)("%s has shares that add up to one and that its keys bear out", (layout) => {
    fc.assert(
      fc.property(equals(1, 12), fc.nat(1_000_000), (given, salt) => {
        const ring = new HashRing(given, { layout });
        const shares = ring.shares();
        const owned = new Map<string, number>();
        for (let i = 0; i < 2_000; i++) {
          const owner = ring.owner(`${salt}/${i}`);
          owned.set(owner, (owned.get(owner) ?? 0) + 1);
        }

        expect([...shares.values()].reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
        for (const [owner, share] of shares) {
          const expected = 2_000 * share;
          expect(Math.abs((owned.get(owner) ?? 0) - expected)).toBeLessThan(6 * Math.sqrt(expected) + 6);
        }
      }),
      { numRuns: 15 },
    );
  });

  test.each(LAYOUTS)("%s moves what movement says and nothing else", (layout) => {
    fc.assert(
      fc.property(equals(2, 12), fc.array(key, { minLength: 50, maxLength: 50 }), (given, keys) => {
        const before = new HashRing(given.slice(0, -1), { layout });
        const after = before.with(given.at(-1)!);
        const { moves, share } = before.movement(after);
        const pairs = new Set(moves.map(({ from, to }) => `${from}\0${to}`));

        expect(moves.reduce((sum, move) => sum + move.share, 0)).toBeCloseTo(share, 12);
        const seen = keys.map((each) => [before.owner(each), after.owner(each)]);
        const untold = seen.filter(([from, to]) => from !== to && !pairs.has(`${from}\0${to}`));
        expect(untold).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

test.each(["points", "jump"] as const)("the layout %s never moves keys between stayers", (layout) => {
  fc.assert(
    fc.property(equals(2, 20), (given) => {
      const before = new HashRing(given.slice(0, -1), { layout });
      expect(before.movement(before.with(given.at(-1)!)).betweenStayers).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test("movement names exactly the arcs whose owner differs", () => {
  fc.assert(
    fc.property(members(1, 12), members(1, 12), (one, other) => {
      const [before, after] = [new HashRing(one), new HashRing(other)];
      const told: (string | undefined)[] = Array.from({ length: ARCS });
      for (const { from, to, ranges } of before.movement(after).moves) {
        for (const { first, last } of ranges) told.fill(`${from}\0${to}`, first, last + 1);
      }
      const next = ownersOf(after);
      const pairs = ownersOf(before).map((owner, arc) => [owner, next[arc]]);

      expect(told).toEqual(pairs.map(([from, to]) => (from === to ? undefined : `${from}\0${to}`)));
    }),
    { numRuns: 20 },
  );
});

describe("bounded loads", () => {
  const ratio = fc.double({ min: 1, max: 3, noNaN: true });

  test.each(LAYOUTS)("in layout %s no member ever has more than its part", (layout) => {
    fc.assert(
      fc.property(equals(1, 12), ratio, fc.nat(1_000), (given, loadRatioMax, salt) => {
        const ring = new HashRing(given, { layout });
        const loads = new Map<string, number>();
        for (let total = 1; total <= 200; total++) {
          const owner = ring.ownerWithin(`${salt}/${total % 40}`, loads, { loadRatioMax });
          loads.set(owner, (loads.get(owner) ?? 0) + 1);

          const fair = (loadRatioMax * total) / given.length;
          expect(loads.get(owner)).toBeLessThanOrEqual(Math.ceil(fair + 1e-9));
        }
      }),
      { numRuns: 20 },
    );
  });

  test("is the first in order of preference that has room, weights taken into account", () => {
    const loaded = members(1, 12).chain((given) =>
      fc.tuple(fc.constant(given), fc.array(fc.nat(50), { minLength: 12, maxLength: 12 })),
    );
    fc.assert(
      fc.property(loaded, ratio, key, ([given, drawn], loadRatioMax, each) => {
        const amounts = drawn.slice(0, given.length);
        const loads = new Map(given.map((member, i) => [member.id, amounts[i] ?? 0]));
        const ring = new HashRing(given);
        const total = amounts.reduce((sum, amount) => sum + amount, 1);
        const weights = given.reduce((sum, member) => sum + member.weight, 0);
        const weightOf = new Map(given.map((member) => [member.id, member.weight]));
        const fair = (owner: string) => (loadRatioMax * total * (weightOf.get(owner) ?? 0)) / weights;
        // Where rounding decides between two whole numbers, either is right.
        fc.pre(given.every((member) => Math.abs(fair(member.id) - Math.round(fair(member.id))) > 1e-9));
        const expected = ring
          .owners(each, ring.size)
          .find((owner) => (loads.get(owner) ?? 0) < Math.ceil(fair(owner)));

        expect(ring.ownerWithin(each, loads, { loadRatioMax })).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });
});

describe("rebalance", () => {
  /** A ring after some changes, and the members to go to. */
  const change = fc.tuple(members(1, 14), fc.array(members(1, 14), { maxLength: 3 }), members(1, 14));

  test("keeps the bound, moves the least that any table within it could, and is the same everywhere", () => {
    fc.assert(
      fc.property(change, fc.constantFrom(1, 1.05, 1.5), ([start, steps, goal], shareRatioMax) => {
        let ring = new HashRing(start, { shareRatioMax });
        let present = start;
        for (const next of [...steps, goal]) {
          const after = ring.rebalance(next);
          const owners = ownersOf(after);

          for (const member of next) {
            expect(countOf(owners, member.id)).toBeLessThanOrEqual(capOf(next, member, shareRatioMax));
          }
          expect(ring.movement(after).arcs).toBe(leastMovement(ownersOf(ring), present, next, shareRatioMax));
          const elsewhere = HashRing.from(JSON.stringify(ring)).rebalance(next.toReversed());
          expect(elsewhere.toJSON()).toEqual(after.toJSON());
          [ring, present] = [after, next];
        }
      }),
      { numRuns: 40 },
    );
  });

  test("scaling all weights moves nothing", () => {
    fc.assert(
      fc.property(members(1, 30), fc.constantFrom(0.1, 3, 10, 1e100), (given, factor) => {
        const ring = new HashRing(given);
        const scaled = given.map((member) => ({ ...member, weight: member.weight * factor }));
        expect(ring.movement(ring.rebalance(scaled)).arcs).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("scaling all weights and a newcomer move what the newcomer alone moves", () => {
    const ids = Array.from({ length: 100 }, (_, i) => `r${i}`);
    const ring = new HashRing(ids);
    const doubled = [...ids, "new"].map((each) => ({ id: each, weight: 2 }));
    const arcs = ring.movement(ring.rebalance([...ids, "new"])).arcs;

    expect(ring.movement(ring.rebalance(doubled)).arcs).toBe(arcs);
  });

  test("to the same members moves nothing", () => {
    fc.assert(
      fc.property(members(1, 30), members(1, 30), (start, goal) => {
        const ring = new HashRing(start).rebalance(goal);
        expect(ring.rebalance(goal).toJSON()).toEqual(ring.toJSON());
      }),
      { numRuns: 40 },
    );
  });

  test("gives a newcomer its fair share, rounded down", () => {
    fc.assert(
      fc.property(members(2, 30), (given) => {
        const newcomer = given.at(-1)!;
        const fewer = given.slice(0, -1);
        const owners = ownersOf(new HashRing(fewer).rebalance(given));
        const mean = (ARCS * newcomer.weight) / given.reduce((sum, member) => sum + member.weight, 0);

        expect(countOf(owners, newcomer.id)).toBeGreaterThanOrEqual(Math.floor(mean - 1e-9));
      }),
      { numRuns: 40 },
    );
  });
});

/**
 * No table within the bound can do with less: arcs of those who are gone and arcs above a cap must leave,
 * and whoever is new or heavier must get what it lacks of its fair share, rounded down.
 */
function leastMovement(owners: string[], before: Complete[], after: Complete[], ratio: number): number {
  const oldWeights = new Map(before.map((member) => [member.id, member.weight]));
  const stayers = after.filter((member) => oldWeights.has(member.id));
  const oldTotal = stayers.reduce((sum, member) => sum + (oldWeights.get(member.id) ?? 0), 0);
  const newTotal = stayers.reduce((sum, member) => sum + member.weight, 0);
  const ids = new Set(after.map((member) => member.id));
  const total = after.reduce((sum, member) => sum + member.weight, 0);
  let leaving = owners.filter((owner) => !ids.has(owner)).length;
  let due = 0;
  for (const member of after) {
    const has = countOf(owners, member.id);
    leaving += Math.max(0, has - capOf(after, member, ratio));
    const old = oldWeights.get(member.id);
    const isRiser = old === undefined || member.weight / newTotal > (old / oldTotal) * (1 + 1e-12);
    if (isRiser) due += Math.max(0, Math.floor((ARCS * member.weight) / total + 1e-9) - has);
  }
  return Math.max(leaving, due);
}
