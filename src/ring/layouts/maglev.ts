/**
 * The layout "maglev" (Eisenbud et al., NSDI 2016, section 3.4): members take turns in filling a table of
 * prime size, each along a permutation of its own. Shares are even to about one part in a thousand with the
 * usual table, at the price of more movement than the other layouts: members disturb each other's turns.
 * With weights, a member takes a turn whenever its weight has added up to another whole turn of the heaviest.
 */
import { CoterieError } from "../../errors.ts";
import type { Key } from "../hash/key.ts";
import { CIRCLE, ownPosition } from "../hash/position.ts";
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
  const turns = new Float64Array(size);
  for (let filled = 0; filled < tableSize; ) {
    for (let member = 0; member < size && filled < tableSize; member++) {
      const turn = (turns[member] as number) + (roster.weights[member] as number);
      turns[member] = turn < 1 ? turn : turn - 1;
      if (turn < 1) continue;
      let entry = next[member] as number;
      const step = steps[member] as number;
      while (table[entry] !== EMPTY) entry = (entry + step) % tableSize;
      table[entry] = member;
      next[member] = (entry + step) % tableSize;
      filled++;
    }
  }
  return table;
}
