/**
 * The layout "maglev" (Eisenbud et al., NSDI 2016, section 3.4): members take turns in filling a table of
 * prime size, each along a permutation of its own. Shares are even to about one part in a thousand with the
 * usual table, at the price of more movement than the other layouts: members disturb each other's turns.
 * With weights, a member takes a turn whenever its weight has added up to another whole turn of the heaviest;
 * rounds in which it has none cost nothing.
 */
import { CoterieError } from "../../errors.ts";
import type { Key } from "../hash/key.ts";
import { CIRCLE, ownPosition } from "../hash/position.ts";
import { invariant } from "../../invariant.ts";
import type { Roster } from "../members.ts";
import { type Layout, type Pieces, sharesOf } from "./layout.ts";
import { OWN_KEY_SPACE } from "./points.ts";
import { CELL_SHIFT, idHash, Rendezvous } from "./rendezvous.ts";

export const TABLE_SIZE_MAX = 2_097_143;

const EMPTY = 0xffff;

export class MaglevLayout implements Layout {
  readonly name = "maglev";
  readonly keySpace: string = OWN_KEY_SPACE;
  readonly #roster: Roster;
  readonly #table: Uint16Array;
  readonly #scale: number;
  #rendezvous: Rendezvous | undefined;

  constructor(roster: Roster, tableSize: number) {
    if (tableSize < roster.ids.length) {
      throw new CoterieError(
        "INVALID_ARGUMENT",
        `ring: ${roster.ids.length} members need a tableSize of at least as many, got ${tableSize}`,
        { details: { members: roster.ids.length, tableSize } },
      );
    }
    this.#roster = roster;
    this.#table = fillTable(roster, tableSize);
    this.#scale = tableSize / CIRCLE;
  }

  ownerIndex(key: Key): number {
    return this.#table[Math.floor((ownPosition(key) >>> 0) * this.#scale)] as number;
  }

  *preference(key: Key): Generator<number> {
    const owner = this.ownerIndex(key);
    yield owner;
    this.#rendezvous ??= new Rendezvous(this.#roster);
    yield* this.#rendezvous.others(ownPosition(key) >>> CELL_SHIFT, owner);
  }

  shares(): Float64Array {
    return sharesOf(this.pieces(), this.#roster.ids.length);
  }

  pieces(): Pieces {
    const { length } = this.#table;
    const lasts = Uint32Array.from(this.#table, (_, entry) => Math.ceil(((entry + 1) * CIRCLE) / length) - 1);
    return { size: CIRCLE, lasts, owners: this.#table };
  }
}

export function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

function fillTable(roster: Roster, tableSize: number): Uint16Array {
  const size = roster.ids.length;
  const table = new Uint16Array(tableSize).fill(EMPTY);
  const steps = new Uint32Array(size);
  const next = new Uint32Array(size);
  for (const [member, id] of roster.ids.entries()) {
    const [first, second] = idHash(id);
    next[member] = first % tableSize;
    steps[member] = (second % (tableSize - 1)) + 1;
  }
  const turns = new Turns(roster, tableSize);
  for (let filled = 0; filled < tableSize; filled++) {
    const member = turns.next();
    let entry = next[member] as number;
    const step = steps[member] as number;
    while (table[entry] !== EMPTY) entry = (entry + step) % tableSize;
    table[entry] = member;
    next[member] = (entry + step) % tableSize;
  }
  return table;
}

/**
 * Whose turn it is. A member's k-th turn is in round ceil(k x greatest weight / its weight), and within a
 * round members are in order. Each round has a list of those whose turn it is, and a member that took its
 * turn is put into the list of its next one, so that the cost is in the turns taken: members of a billionth
 * of the greatest weight cost nothing while they wait.
 */
class Turns {
  readonly #weights: Float64Array;
  readonly #weightMax: number;
  readonly #taken: Uint32Array;
  /** The first member of each round's list, and after each member the next one in its list. */
  readonly #heads: Uint16Array;
  readonly #tails: Uint16Array;
  /** The members of this round that wait for their turn, in order, from `#at` on. */
  readonly #waiting: Uint16Array;
  #at: number;
  #round = 0;

  /** At most `turnsMax` turns, and so as many rounds, for the heaviest takes one in each. */
  constructor(roster: Roster, turnsMax: number) {
    const size = roster.ids.length;
    const weightMax = roster.members.reduce((max, { weight }) => Math.max(max, weight), 0);
    // A power of two, so nothing is rounded: turns x weight must stay a number.
    const scale = weightMax > 2 ** 1_000 ? 2 ** -64 : 1;
    this.#weights = Float64Array.from(roster.members, ({ weight }) => weight * scale);
    this.#weightMax = weightMax * scale;
    this.#taken = new Uint32Array(size);
    this.#heads = new Uint16Array(turnsMax + 1).fill(EMPTY);
    this.#tails = new Uint16Array(size);
    this.#waiting = new Uint16Array(size);
    this.#at = size;
    for (let member = 0; member < size; member++) this.#queue(member);
  }

  next(): number {
    while (this.#at === this.#waiting.length) this.#beginRound();
    const member = this.#waiting[this.#at++] as number;
    this.#taken[member] = (this.#taken[member] as number) + 1;
    this.#queue(member);
    return member;
  }

  #queue(member: number): void {
    const turn = (this.#taken[member] as number) + 1;
    const weight = this.#weights[member] as number;
    // Rounding must not put off the heaviest: that it has a turn in each round is what bounds the rounds.
    const round = weight === this.#weightMax ? turn : Math.ceil((turn * this.#weightMax) / weight);
    if (round >= this.#heads.length) return;
    this.#tails[member] = this.#heads[round] as number;
    this.#heads[round] = member;
  }

  /** Taken from the end, since lists grow at the front: then members of one weight are in order already. */
  #beginRound(): void {
    this.#round++;
    const round = this.#round;
    invariant(round < this.#heads.length, "there are as many rounds as entries", { round });
    let isSorted = true;
    for (let member = this.#heads[round] as number; member !== EMPTY; ) {
      isSorted &&= this.#at === this.#waiting.length || member < (this.#waiting[this.#at] as number);
      this.#waiting[--this.#at] = member;
      member = this.#tails[member] as number;
    }
    if (!isSorted) this.#waiting.subarray(this.#at).sort();
  }
}
