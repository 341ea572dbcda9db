/**
 * Weighted rendezvous (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): of
 * every cell each member has an opinion of its own, and the keenest member gets it. A member that joins or
 * leaves therefore moves only the cells that it wins or had won.
 *
 * The opinion is a *rank*: each member puts the 16,384 cells in an order of its own, a permutation seeded by
 * its id. Independent random scores would do as well on average, but permutations give every member exactly
 * one first choice, one second and so on, which halves the variance of the shares and with it what the bound
 * on shares must move later (docs/decisions/0010).
 *
 * With weights, the member of the least cost -ln(rank as a fraction) / weight wins, which is an exponential
 * race: each wins in proportion to its weight. Two processes must agree to the last bit, and ECMAScript does
 * not fix the bits of Math.log, so the 16,384 logarithms are computed here by +, -, x and / alone, which
 * IEEE 754 rounds the same everywhere.
 */
import { mix32 } from "../hash/position.ts";
import { invariant } from "../../invariant.ts";
import type { Roster } from "../members.ts";

/** Cells of a rendezvous; the arcs layout has one per arc. */
export const CELL_COUNT = 16_384;

/** What a position of 32 bits is shifted by to name a cell. */
export const CELL_SHIFT = 18;

const MASK = CELL_COUNT - 1;
const ROUNDS = 3;
/** After so many stand-ins it is cheaper to sort the members that are left. */
const PASSES_MAX = 8;
const KEYS_PER_MEMBER = 2 * ROUNDS;

export class Rendezvous {
  readonly size: number;
  /** For each member three rounds of (XOR key, odd factor), 14 bits each. */
  readonly #keys: Uint16Array;
  /** Breaks the ties of members that rank a cell alike. */
  readonly #tieSeeds: Uint32Array;
  /** 1 / weight for each member, or undefined when all weights are equal and the rank alone decides. */
  readonly #slowness: Float64Array | undefined;

  constructor(roster: Roster) {
    this.size = roster.ids.length;
    this.#keys = new Uint16Array(this.size * KEYS_PER_MEMBER);
    this.#tieSeeds = new Uint32Array(this.size);
    for (const [member, id] of roster.ids.entries()) this.#seed(member, id);
    this.#slowness = roster.isEqual ? undefined : roster.weights.map((weight) => 1 / weight);
  }

  /** The keenest member of every cell. */
  winners(): Uint16Array {
    const winners = new Uint16Array(CELL_COUNT);
    if (this.#slowness === undefined) this.#raceByRank(winners);
    else this.#raceByCost(winners, this.#slowness);
    return winners;
  }

  /** Where the member puts the cell in its own order: 16,383 for the cell it wants most, 0 for the last. */
  rank(member: number, cell: number): number {
    const at = member * KEYS_PER_MEMBER;
    let rank = cell;
    for (let round = at; round < at + KEYS_PER_MEMBER; round += 2) {
      rank = Math.imul(rank ^ (this.#keys[round] as number), this.#keys[round + 1] as number) & MASK;
      rank ^= rank >>> 7;
    }
    return rank;
  }

  /** The keenest of the members for which `accepts` is true; -1 if there is none. */
  keenest(cell: number, accepts: (member: number) => boolean): number {
    let best = -1;
    let bestCost = Infinity;
    for (let member = 0; member < this.size; member++) {
      if (!accepts(member)) continue;
      const cost = this.#cost(member, cell);
      if (best >= 0 && !this.#isKeener(member, cost, best, bestCost, cell)) continue;
      best = member;
      bestCost = cost;
    }
    return best;
  }

  /** All members but `first`, the keenest first; the first few cost a pass each, the rest one sorting. */
  *others(cell: number, first: number): Generator<number> {
    const costs = Float64Array.from({ length: this.size }, (_, member) => this.#cost(member, cell));
    const isTaken = new Uint8Array(this.size);
    isTaken[first] = 1;
    const passes = Math.min(this.size - 1, PASSES_MAX);
    for (let pass = 0; pass < passes; pass++) {
      let best = -1;
      for (let member = 0; member < this.size; member++) {
        if (isTaken[member] === 1) continue;
        const [cost, bestCost] = [costs[member] as number, costs[best] ?? Infinity];
        if (best < 0 || this.#isKeener(member, cost, best, bestCost, cell)) best = member;
      }
      isTaken[best] = 1;
      yield best;
    }
    const isBefore = (a: number, b: number) =>
      this.#isKeener(a, costs[a] as number, b, costs[b] as number, cell);
    const rest = Array.from(isTaken.keys()).filter((member) => isTaken[member] === 0);
    yield* rest.toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  /** Equal weights: the highest rank wins, in whole numbers alone. */
  #raceByRank(winners: Uint16Array): void {
    const best = new Int16Array(CELL_COUNT).fill(-1);
    for (let member = 0; member < this.size; member++) {
      const [x0, f0, x1, f1, x2, f2] = this.#keysOf(member);
      for (let cell = 0; cell < CELL_COUNT; cell++) {
        let rank = Math.imul(cell ^ x0, f0) & MASK;
        rank = Math.imul(rank ^ (rank >>> 7) ^ x1, f1) & MASK;
        rank = Math.imul(rank ^ (rank >>> 7) ^ x2, f2) & MASK;
        rank ^= rank >>> 7;
        const bestRank = best[cell] as number;
        if (rank < bestRank) continue;
        if (rank === bestRank && !this.#winsTie(member, winners[cell] as number, cell)) continue;
        best[cell] = rank;
        winners[cell] = member;
      }
    }
  }

  #raceByCost(winners: Uint16Array, slowness: Float64Array): void {
    const costs = rankCosts();
    const best = new Float64Array(CELL_COUNT).fill(Infinity);
    for (let member = 0; member < this.size; member++) {
      const slow = slowness[member] as number;
      for (let cell = 0; cell < CELL_COUNT; cell++) {
        const cost = (costs[this.rank(member, cell)] as number) * slow;
        const bestCost = best[cell] as number;
        if (!this.#isKeener(member, cost, winners[cell] as number, bestCost, cell)) continue;
        best[cell] = cost;
        winners[cell] = member;
      }
    }
  }

  #cost(member: number, cell: number): number {
    const rank = this.rank(member, cell);
    if (this.#slowness === undefined) return MASK - rank;
    return (rankCosts()[rank] as number) * (this.#slowness[member] as number);
  }

  #isKeener(member: number, cost: number, against: number, againstCost: number, cell: number): boolean {
    return cost < againstCost || (cost === againstCost && this.#winsTie(member, against, cell));
  }

  #winsTie(member: number, against: number, cell: number): boolean {
    const salt = Math.imul(cell + 1, 0x9e3779b1);
    const mine = mix32((this.#tieSeeds[member] as number) ^ salt);
    const theirs = mix32((this.#tieSeeds[against] as number) ^ salt);
    return mine === theirs ? member < against : mine > theirs;
  }

  #keysOf(member: number): readonly [number, number, number, number, number, number] {
    const at = member * KEYS_PER_MEMBER;
    const key = (k: number) => this.#keys[at + k] as number;
    return [key(0), key(1), key(2), key(3), key(4), key(5)];
  }

  /** Draws the member's permutation and tie seed from its id alone. */
  #seed(member: number, id: string): void {
    let [low, high] = idHash(id);
    const draw = () => {
      low = (low + 0x9e3779b9) >>> 0;
      high = mix32(high ^ low);
      return mix32(high + low);
    };
    for (let k = 0; k < KEYS_PER_MEMBER; k++) {
      const bits = draw() & MASK;
      this.#keys[member * KEYS_PER_MEMBER + k] = k % 2 === 0 ? bits : bits | 1;
    }
    this.#tieSeeds[member] = draw();
  }
}

/** Two independent 32-bit hashes of the id's UTF-16 code units; exact in every engine. */
export function idHash(id: string): [number, number] {
  let first = 0x811c9dc5;
  let second = 0x2f3b9a41;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    first = Math.imul(first ^ unit, 0x01000193);
    second = Math.imul(second + unit, 0x85ebca6b);
    second ^= second >>> 15;
  }
  return [mix32(first ^ id.length), mix32(second)];
}

let cachedCosts: Float64Array | undefined;

/** -ln((rank + 1/2) / 16,384) for every rank. Made when first needed: equal weights never do. */
function rankCosts(): Float64Array {
  const costOf = (rank: number) => ln(2 * CELL_COUNT) - ln(2 * rank + 1);
  cachedCosts ??= Float64Array.from({ length: CELL_COUNT }, (_, rank) => costOf(rank));
  return cachedCosts;
}

/** The natural logarithm of a whole number from 1, within 1e-14, by exactly rounded operations alone. */
export function ln(whole: number): number {
  invariant(Number.isSafeInteger(whole) && whole >= 1, "ln is asked of a whole number from 1", { whole });
  let exponent = 0;
  let fraction = whole;
  while (fraction >= 2) {
    fraction /= 2;
    exponent++;
  }
  const z = (fraction - 1) / (fraction + 1);
  const square = z * z;
  let sum = 0;
  for (let k = 33; k >= 1; k -= 2) sum = sum * square + 1 / k;
  return exponent * Math.LN2 + 2 * z * sum;
}
