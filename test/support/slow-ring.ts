/**
 * The ring's slow, obvious twin: what src/ring computes with tables and tricks, done again from its
 * description with Buffers, BigInts, sorting and Math.log. It shares no code with src/ring.
 */
import { Buffer } from "node:buffer";

export interface SlowMember {
  readonly id: string;
  readonly weight: number;
}

const ARCS = 16_384;
const WORD = 2n ** 32n;

/** Redis Cluster's slot, one bit at a time, over the bytes that Redis would see. */
export function slowArcOf(key: string | Uint8Array): number {
  const bytes = Buffer.from(key);
  const open = bytes.indexOf("{");
  const close = open < 0 ? -1 : bytes.indexOf("}", open + 1);
  const hashed = close > open + 1 ? bytes.subarray(open + 1, close) : bytes;
  let register = 0;
  for (const byte of hashed) {
    for (let bit = 7; bit >= 0; bit--) {
      const out = (register >> 15) ^ ((byte >> bit) & 1);
      register = ((register << 1) & 0xffff) ^ (out === 1 ? 0x1021 : 0);
    }
  }
  return register % ARCS;
}

/** The table of the layout "arcs", as a list of ids. */
export function slowArcTable(members: readonly SlowMember[], shareRatioMax: number): string[] {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const opinions = new Map(sorted.map((member) => [member.id, slowOpinion(member, sorted)]));
  const keenest = (arc: number, among: readonly SlowMember[]) => {
    const ranked = among.map(({ id }) => ({ id, rated: (opinions.get(id) as Opinion)(arc) }));
    return ranked.toSorted((a, b) => compareRated(a.rated, b.rated))[0]?.id as string;
  };
  const table = Array.from({ length: ARCS }, (_, arc) => keenest(arc, sorted));
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const cap = ({ weight }: SlowMember) => {
    const mean = (ARCS * weight) / total;
    return Math.max(Math.ceil(mean), Math.floor(shareRatioMax * mean));
  };
  const arcsOf = (id: string) => table.flatMap((owner, arc) => (owner === id ? [arc] : []));
  const excess: number[] = [];
  for (const member of sorted) {
    const costOf = (arc: number) => (opinions.get(member.id) as Opinion)(arc).cost;
    excess.push(...arcsOf(member.id).toSorted((a, b) => costOf(a) - costOf(b)).slice(cap(member)));
  }
  for (const arc of excess) table[arc] = "";
  for (const arc of excess.toSorted((a, b) => a - b)) {
    table[arc] = keenest(arc, sorted.filter((member) => arcsOf(member.id).length < cap(member)));
  }
  return table;
}

interface Rated {
  readonly cost: number;
  readonly tie: number;
}
type Opinion = (arc: number) => Rated;

function compareRated(a: Rated, b: Rated): number {
  return a.cost - b.cost || b.tie - a.tie;
}

/** What the member thinks of each arc: its cost in the race, and its luck when two cost the same. */
function slowOpinion(member: SlowMember, all: readonly SlowMember[]): Opinion {
  const weight = member.weight / Math.max(...all.map((other) => other.weight));
  const draw = slowDraws(member.id);
  const keys = Array.from({ length: 6 }, (_, k) => (draw() % ARCS) | (k % 2));
  const tieSeed = draw();
  const isEqual = all.every((other) => other.weight === member.weight);
  return (arc) => {
    let rank = BigInt(arc);
    for (const k of [0, 2, 4]) {
      rank = ((rank ^ BigInt(keys[k] ?? 0)) * BigInt(keys[k + 1] ?? 0)) % BigInt(ARCS);
      rank ^= rank >> 7n;
    }
    const top = (Number(rank) + 0.5) / ARCS;
    const cost = isEqual ? ARCS - Number(rank) : -Math.log(top) / weight;
    return { cost, tie: slowMix(tieSeed ^ Number((BigInt(arc + 1) * 0x9e3779b1n) % WORD)) };
  };
}

function slowIdHash(id: string): [number, number] {
  let first = 0x811c9dc5n;
  let second = 0x2f3b9a41n;
  for (let i = 0; i < id.length; i++) {
    const unit = BigInt(id.charCodeAt(i));
    first = ((first ^ unit) * 0x01000193n) % WORD;
    second = ((second + unit) * 0x85ebca6bn) % WORD;
    second ^= second >> 15n;
  }
  return [slowMix(Number(first) ^ id.length), slowMix(Number(second))];
}

function slowDraws(id: string): () => number {
  let [low, high] = slowIdHash(id);
  return () => {
    low = (low + 0x9e3779b9) % 2 ** 32;
    high = slowMix(high ^ low);
    return slowMix((high + low) % 2 ** 32);
  };
}

function slowMix(value: number): number {
  let mixed = BigInt.asUintN(32, BigInt(value));
  mixed = ((mixed ^ (mixed >> 16n)) * 0x21f0aaadn) % WORD;
  mixed = ((mixed ^ (mixed >> 15n)) * 0x735a2d97n) % WORD;
  return Number(mixed ^ (mixed >> 15n));
}

/** The bucket by the paper of Lamping and Veach, in BigInts. */
export function slowJump(high: number, low: number, count: number): number {
  let state = BigInt(high) * WORD + BigInt(low);
  let bucket = -1;
  let next = 0;
  while (next < count) {
    bucket = next;
    state = (state * 2862933555777941757n + 1n) % 2n ** 64n;
    next = Math.floor((bucket + 1) * (2 ** 31 / (Number(state >> 33n) + 1)));
  }
  return bucket;
}

/**
 * The owner of each entry of Maglev's table, round by round: in each, every member whose turns so far are
 * fewer than its weight's part of the rounds takes the next free entry of its own permutation.
 */
export function slowMaglev(members: readonly SlowMember[], tableSize: number): string[] {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const weightMax = Math.max(...sorted.map(({ weight }) => weight));
  const table: string[] = Array.from({ length: tableSize });
  const orders = sorted.map(({ id }) => {
    const [first, second] = slowIdHash(id);
    const step = (second % (tableSize - 1)) + 1;
    return Array.from({ length: tableSize }, (_, i) => (first + i * step) % tableSize);
  });
  const turns = sorted.map(() => 0);
  for (let round = 1, filled = 0; filled < tableSize; round++) {
    for (const [i, { id, weight }] of sorted.entries()) {
      const turn = (turns[i] as number) + 1;
      if (filled === tableSize || turn * weightMax > round * weight) continue;
      turns[i] = turn;
      table[orders[i]!.find((entry) => table[entry] === undefined) as number] = id;
      filled++;
    }
  }
  return table;
}

/** The owner on a circle: the point with the least distance clockwise, the first id among equals. */
export function slowSuccessor(points: readonly { at: number; id: string }[], position: number): string {
  const distance = (at: number) => (at - position + 2 ** 32) % 2 ** 32;
  const nearest = points.toSorted((a, b) => distance(a.at) - distance(b.at) || (a.id < b.id ? -1 : 1));
  return nearest[0]!.id;
}

/** The exact share of each id on a circle of points. */
export function slowShares(points: readonly { at: number; id: string }[]): Map<string, number> {
  const sorted = points.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  const firsts = sorted.filter(({ at }, i) => i === 0 || at !== sorted[i - 1]?.at);
  const shares = new Map<string, number>();
  for (const [i, { at, id }] of firsts.entries()) {
    const before = firsts[i - 1]?.at ?? (firsts.at(-1)?.at ?? 0) - 2 ** 32;
    shares.set(id, (shares.get(id) ?? 0) + (at - before) / 2 ** 32);
  }
  return shares;
}

/** How many groups of points ketama gives a member, in the arithmetic of each program's C or JavaScript. */
export function slowGroups(compat: string, weight: number, total: number, count: number): number {
  if (compat === "hashring") return Math.floor((weight / total) * 40 * count);
  const float = (value: number) => Float32Array.of(value)[0] ?? Number.NaN;
  const part = float(float(weight) / float(total));
  if (compat === "libketama") return Math.floor(float(part * 40 * count));
  const points = float(float(float(part * 160) / 4) * float(count));
  return Math.floor(float(points + 1e-10));
}
