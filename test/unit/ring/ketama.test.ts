/**
 * The layout "ketama" is bit for bit the `hashring` package's placement, and libketama's and nutcracker's
 * arithmetic by its own description; test/integration asks a real nutcracker.
 */
import HashringPackage from "hashring";
import { describe, expect, test } from "vitest";

import { HashRing, type KetamaOptions } from "../../../src/ring/index.ts";

/** The empty key stands apart: nutcracker does not hash it. */
const odd = ["z", "a", "{tag}x", "é", "日本語", "😀", " ", "x".repeat(55), "x".repeat(56), "x".repeat(99)];
const keys = odd.concat(Array.from({ length: 4_990 }, (_, i) => `user:${i}:${(i * 7_919) % 10_007}`));

function servers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `10.0.${i % 7}.${i}:${6_379 + (i % 3)}`);
}

interface Case {
  readonly weights: readonly number[];
  readonly options?: Omit<KetamaOptions, "layout" | "compat">;
  readonly theirs?: Readonly<Record<string, unknown>>;
}

/** The same ring by both. */
function both({ weights, options = {}, theirs = {} }: Case): [HashRing, HashringPackage] {
  const ids = servers(weights.length);
  const members = ids.map((id, i) => ({ id, weight: weights[i] ?? 1 }));
  const config = Object.fromEntries(members.map(({ id, weight }) => [id, { weight }]));
  return [
    new HashRing(members, { layout: "ketama", compat: "hashring", ...options }),
    new HashringPackage(config, "md5", theirs),
  ];
}

const three = { weights: [1, 2, 1] };

describe("the hashring package", () => {
  test.each<[string, Case]>([
    ["one server", { weights: [1] }],
    ["three equal ones", { weights: [1, 1, 1] }],
    ["seven, where doubles lose a group of points", { weights: Array.from({ length: 7 }, () => 1) }],
    ["forty", { weights: Array.from({ length: 40 }, () => 1) }],
    ["weights", { weights: [1, 2, 3, 4, 5] }],
    ["weights far apart", { weights: [1, 1_000, 30] }],
    ["fractions for weights", { weights: [0.5, 1.25, 3] }],
    ["a default port", { ...three, options: { defaultPort: 6_380 }, theirs: { "default port": 6_380 } }],
    ["more points", { ...three, options: { groupsPerMember: 100 }, theirs: { "vnode count": 100 } }],
    ["3 replicas", { ...three, options: { pointsPerGroup: 3 }, theirs: { compatibility: "hash_ring" } }],
  ])("with %s gives 5,000 keys to the same servers", (_, given) => {
    const [ours, theirs] = both(given);

    expect(keys.map((key) => ours.owner(key))).toEqual(keys.map((key) => theirs.get(key)));
  });

  test("gives the same servers in order of preference", () => {
    const [ours, theirs] = both({ weights: [1, 2, 3, 1, 1] });
    for (const key of keys.slice(0, 1_000)) expect(ours.owners(key, 5)).toEqual(theirs.range(key, 5));
  });

  test("has the same shares, summed over its own points", () => {
    const [ours, theirs] = both({ weights: [1, 2, 3] });
    const shares = new Map<string, number>();
    let before = theirs.ring.at(-1)!.value - 2 ** 32;
    for (const { value, server } of theirs.ring) {
      shares.set(server, (shares.get(server) ?? 0) + (value - before) / 2 ** 32);
      before = value;
    }

    for (const [id, share] of ours.shares()) expect(share).toBeCloseTo(shares.get(id) ?? 0, 12);
  });
});

describe("the arithmetic of float32", () => {
  test("differs from doubles at seven servers, and the placements with it", () => {
    const members = servers(7);
    const ownersBy = (compat: "libketama" | "nutcracker" | "hashring") => {
      const ring = new HashRing(members, { layout: "ketama", compat, hash: "md5" });
      return keys.map((key) => ring.owner(key));
    };

    expect(ownersBy("libketama")).toEqual(ownersBy("nutcracker"));
    expect(ownersBy("hashring")).not.toEqual(ownersBy("libketama"));
  });
});

describe("options", () => {
  test("nutcracker's defaults are its own: fnv1a_64, and 11211 left out of names", () => {
    const ring = new HashRing(["10.0.0.1:11211", "b"], { layout: "ketama", compat: "nutcracker" });

    expect(ring.toJSON().options).toEqual({
      layout: "ketama",
      compat: "nutcracker",
      hash: "fnv1a_64",
      hashTag: "",
      defaultPort: 11_211,
      groupsPerMember: 40,
      pointsPerGroup: 4,
    });
  });

  test("a default port of 0 leaves names alone", () => {
    const members = ["10.0.0.1:11211", "10.0.0.2:11211"];
    const named = new HashRing(members, { layout: "ketama", compat: "nutcracker", defaultPort: 0 });
    const unnamed = new HashRing(members, { layout: "ketama", compat: "nutcracker" });

    expect(keys.some((key) => named.owner(key) !== unnamed.owner(key))).toBe(true);
  });

  test("a hash tag is off until its two characters are given", () => {
    const plain = new HashRing(servers(9), { layout: "ketama" });
    const tagged = new HashRing(servers(9), { layout: "ketama", hashTag: "{}" });

    const ownersBy = (ring: HashRing) => new Set(keys.slice(0, 99).map((key) => ring.owner(`{u}${key}`)));

    expect(ownersBy(plain).size).toBeGreaterThan(1);
    expect(ownersBy(tagged)).toEqual(new Set([tagged.owner("u")]));
  });

  test("a weight too small for a point is a member without keys, and still the last resort", () => {
    const ring = new HashRing([{ id: "a", weight: 1_000_000 }, { id: "b", weight: 1 }], { layout: "ketama" });

    expect(ring.shares().get("b")).toBe(0);
    expect(ring.owners("k", 2)).toEqual(["a", "b"]);
  });
});
