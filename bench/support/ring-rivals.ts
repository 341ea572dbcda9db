/**
 * The packages that the ring is compared with, behind one shape. Each is used as its documentation says, but
 * for the cache of `hashring`: it cannot be switched off ("max cache size" of 0 throws at the first
 * lookup), so its lookup is called as its own `get` calls it, with the two touches of the cache left out.
 */
import ConsistentHash from "consistent-hash";
import * as EffectRing from "effect/HashRing";
import * as PrimaryKey from "effect/PrimaryKey";
import HashringPackage from "hashring";
import { HashRing as KetamaPackage } from "ketama";

export interface Rival {
  readonly name: string;
  /** Sizes above are left out: the package fails there, or takes minutes to build. */
  readonly sizeMax: number;
  readonly build: (ids: readonly string[]) => RivalRing;
}

interface RivalRing {
  readonly lookup: (key: string) => unknown;
  /** The exact division of the hash circle, where the package lets it be read. */
  readonly points?: readonly Point[];
}

export interface Point {
  /** From 0 to 2^32 - 1; a key belongs to the first point at or after it. */
  readonly at: number;
  readonly owner: string;
}

class Named implements PrimaryKey.PrimaryKey {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  [PrimaryKey.symbol](): string {
    return this.id;
  }
}

export const RIVALS: readonly Rival[] = [
  { name: "`hashring` without its cache", sizeMax: 1_000, build: buildHashring },
  { name: "`ketama`", sizeMax: 1_000, build: buildKetama },
  { name: "`consistent-hash`", sizeMax: 1_000, build: buildConsistentHash },
  { name: "`effect` HashRing", sizeMax: 1_000, build: buildEffect },
];

function buildHashring(ids: readonly string[]): RivalRing {
  const ring = new HashringPackage([...ids]);
  return {
    lookup: (key) => ring.ring[ring.find(ring.hashValue(key))]?.server,
    points: ring.ring.map(({ value, server }) => ({ at: value, owner: server })),
  };
}

function buildKetama(ids: readonly string[]): RivalRing {
  const ring = new KetamaPackage([...ids]);
  const clock = (ring as unknown as { readonly clock: readonly (readonly [number, string])[] }).clock;
  return {
    lookup: (key) => ring.getNode(key),
    points: clock.map(([hash, owner]) => ({ at: hash + 2 ** 31, owner })),
  };
}

function buildConsistentHash(ids: readonly string[]): RivalRing {
  const ring = new ConsistentHash();
  for (const id of ids) ring.add(id);
  // It sorts its points at the first lookup, which belongs to building.
  ring.get("");
  return { lookup: (key) => ring.get(key) };
}

function buildEffect(ids: readonly string[]): RivalRing {
  const ring = EffectRing.make<Named>();
  EffectRing.addMany(ring, ids.map((id) => new Named(id)));
  return { lookup: (key) => EffectRing.get(ring, key) };
}

/** The exact share of each owner. */
export function sharesOf(points: readonly Point[]): Map<string, number> {
  const shares = new Map<string, number>();
  let before = (points.at(-1)?.at ?? 0) - 2 ** 32;
  for (const { at, owner } of points) {
    shares.set(owner, (shares.get(owner) ?? 0) + (at - before) / 2 ** 32);
    before = at;
  }
  return shares;
}

export interface Moved {
  /** The part of the circle that changes its owner. */
  readonly share: number;
  /** The part of it that moves between owners that are in both. */
  readonly betweenStayers: number;
}

/** What moves from one division of the circle to another, exactly. */
export function movedBetween(before: readonly Point[], after: readonly Point[]): Moved {
  const [olds, nexts] = [before, after].map((points) => new Set(points.map(({ owner }) => owner)));
  const ends = [...new Set([...before, ...after].map(({ at }) => at))].toSorted((a, b) => a - b);
  const [oldAt, nextAt] = [walker(before), walker(after)];
  let share = 0;
  let betweenStayers = 0;
  let last = (ends.at(-1) ?? 0) - 2 ** 32;
  for (const end of ends) {
    const [from, to] = [oldAt(end), nextAt(end)];
    const part = (end - last) / 2 ** 32;
    last = end;
    if (from === to) continue;
    share += part;
    if (nexts?.has(from) === true && olds?.has(to) === true) betweenStayers += part;
  }
  return { share, betweenStayers };
}

/** Answers the owner at positions that only rise. */
function walker(points: readonly Point[]): (position: number) => string {
  let next = 0;
  return (position) => {
    while (next < points.length && (points[next] as Point).at < position) next++;
    return (points[next % points.length] as Point).owner;
  };
}
