/**
 * The key-value store as a model for the search. Its one idea: what nobody asked for by name has no name.
 * A value that no answer contains and no compare expects can be told from nothing but absence and from
 * named values, so all such values become one, and unknown writes of them become twins. That is exact:
 * every question of the history has the same answer for all of them.
 * A state is two numbers per key: the value's number and the revision of its write. Where no answer tells
 * it, it stands as a negative number, the least one that is above what was there and that no known write
 * has, and agrees with every expectation that is not below. So the model never refuses what a store may
 * have done; `revision-order.ts` is the one that is strict about revisions.
 */
import type { Operation } from "./history.ts";
import { describe, type Effects, effectsOf, isRead, keysOf, type KeyValueOp } from "./key-value.ts";
import type { Machine, Model } from "./model.ts";

/** Two numbers per key. */
type Cells = readonly number[];

export const KEY_VALUE_MODEL: Model<Cells, KeyValueOp> = {
  keysOf,
  isRead,
  describe,
  begin: (operations) => new KeyValueMachine(operations),
};

const ABSENT = 0;
const NAMELESS = 1;
const NAMED_FROM = 2;
/** Of an operation: no answer tells its revision. */
const UNTOLD = -1;
/** Of a cell: nobody wrote it, or no answer of the history tells a revision. */
const NONE = 0;

/** What is expected of a cell: a value by number, any value, a revision. */
const BY_VALUE = 0;
const BY_PRESENCE = 1;
const BY_REVISION = 2;

/** How compares come out. */
const FAIL = 0;
const HOLD = 1;
const EITHER = 2;

type Outcome = Effects["outcome"];

interface Prepared {
  /** Cell, value, revision; cell, value, revision; ... */
  readonly reads: readonly number[];
  /** Cell, BY_..., number; ... */
  readonly compares: readonly number[];
  /** Cell, value; ... */
  readonly writes: readonly number[];
  readonly outcome: Outcome;
  readonly revision: number;
}

class KeyValueMachine implements Machine<Cells> {
  readonly initial: Cells;
  readonly #operations: readonly Prepared[];
  readonly #ranks: Float64Array;
  readonly #effects = new Map<string, number>();
  /** Of each revision that a known write has: the least one above it that none has. */
  readonly #free: ReadonlyMap<number, number>;

  constructor(operations: readonly Operation<KeyValueOp>[]) {
    const names = new Names(operations.map(effectsOf));
    this.#operations = names.prepared();
    this.#ranks = ranksOf(operations, this.#operations);
    this.#free = freeRevisions(this.#operations);
    this.initial = Array.from({ length: names.cellCount }, () => 0);
  }

  step(state: Cells, at: number): Cells | undefined {
    const { reads, compares, writes, outcome, revision } = this.#operations[at]!;
    for (let one = 0; one < reads.length; one += 3) {
      const cell = reads[one]!;
      if (state[cell] !== reads[one + 1] || !mayBe(state[cell + 1]!, reads[one + 2]!)) return undefined;
    }
    const result = compares.length === 0 ? HOLD : compare(state, compares);
    if (outcome === "impossible" || (outcome !== "refused" && result === FAIL)) return undefined;
    if (outcome === "refused") return result === HOLD ? undefined : state;
    if (writes.length === 0) return state;
    return written(state, writes, revision === UNTOLD ? -this.#freeAbove(state, writes) : revision);
  }

  isPure(at: number): boolean {
    const { writes, outcome } = this.#operations[at]!;
    return writes.length === 0 || outcome === "refused";
  }

  isEqual(a: Cells, b: Cells): boolean {
    if (a === b) return true;
    for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
    return true;
  }

  hash(state: Cells): number {
    let hash = 0;
    for (let at = 0; at < state.length; at++)
      hash = Math.imul(hash ^ state[at]!, 0x9e37_79b1) ^ (hash >>> 15);
    return hash;
  }

  rankOf(at: number): number {
    return this.#ranks[at]!;
  }

  /** A command that changes something is the first one that can answer with its revision. */
  orderOf(at: number): number {
    const { revision } = this.#operations[at]!;
    return revision === UNTOLD ? Infinity : revision * 2 + (this.isPure(at) ? 1 : 0);
  }

  orderFrom(at: number, state: Cells): number {
    const free = this.#freeAbove(state, this.#operations[at]!.writes);
    return free === NONE ? Infinity : free * 2;
  }

  /** The least revision that is above those of the cells that change, and that no known write has. */
  #freeAbove(state: Cells, writes: readonly number[]): number {
    if (this.#free.size === 0) return NONE;
    let free = NONE;
    for (let one = 0; one < writes.length; one += 2) {
      if (writes[one + 1] === ABSENT && state[writes[one]!] === ABSENT) continue;
      free = Math.max(free, Math.abs(state[writes[one]! + 1]!) + 1);
    }
    return this.#free.get(free) ?? free;
  }

  effectOf(at: number): number {
    const { compares, writes, revision } = this.#operations[at]!;
    const text = `${compares.join()};${writes.join()};${revision}`;
    let effect = this.#effects.get(text);
    if (effect === undefined) this.#effects.set(text, (effect = this.#effects.size));
    return effect;
  }
}

function freeRevisions(operations: readonly Prepared[]): Map<number, number> {
  const told = operations.filter((operation) => operation.revision !== UNTOLD && isChange(operation));
  const free = new Map<number, number>();
  for (const revision of told.map((operation) => operation.revision).toSorted((a, b) => b - a)) {
    free.set(revision, free.get(revision + 1) ?? revision + 1);
  }
  return free;
}

/** Whether a cell's revision may be the one that an answer or a compare names, as far as they are known. */
function mayBe(revision: number, named: number): boolean {
  return named === UNTOLD || revision === NONE || revision === named || (revision < 0 && named >= -revision);
}

/** Whether it changed something for certain, and has its revision for itself. */
function isChange({ compares, writes, outcome }: Prepared): boolean {
  if (outcome === "refused" || outcome === "impossible") return false;
  const [cell, by] = compares;
  const isDelete = by === BY_PRESENCE && cell === writes[0];
  return isDelete || writes.some((value, one) => one % 2 === 1 && value !== ABSENT);
}

function compare(state: Cells, compares: readonly number[]): number {
  let result = HOLD;
  for (let one = 0; one < compares.length; one += 3) {
    const value = state[compares[one]!]!;
    const revision = state[compares[one]! + 1]!;
    const by = compares[one + 1]!;
    const wanted = compares[one + 2]!;
    if (by === BY_VALUE && value !== wanted) return FAIL;
    if (by === BY_PRESENCE && value === ABSENT) return FAIL;
    if (by === BY_REVISION) {
      if (wanted === 0 ? value !== ABSENT : value === ABSENT || !mayBe(revision, wanted)) return FAIL;
      if (wanted !== 0 && revision <= NONE) result = EITHER;
    }
  }
  return result;
}

/** undefined: the write's revision is not above the one that it replaces. A negative one is made so. */
function written(state: Cells, writes: readonly number[], revision: number): Cells | undefined {
  const cells = state.slice();
  let isChanged = false;
  for (let one = 0; one < writes.length; one += 2) {
    const cell = writes[one]!;
    const value = writes[one + 1]!;
    if (value === ABSENT && state[cell] === ABSENT) continue;
    if (revision > 0 && revision <= Math.abs(state[cell + 1]!)) return undefined;
    cells[cell] = value;
    cells[cell + 1] = revision;
    isChanged = true;
  }
  return isChanged ? cells : state;
}

/** Numbers for the keys and values of a partition, and revisions for writes that were not told theirs. */
class Names {
  readonly #effects: readonly Effects[];
  readonly #cells = new Map<string, number>();
  readonly #values = new Map<string | number, number>();
  /** Of a value in a cell: how many operations write it, and the revision with which it was seen. */
  readonly #writers = new Map<number, number>();
  readonly #seen = new Map<number, number>();

  constructor(effects: readonly Effects[]) {
    this.#effects = effects;
    for (const { reads, compares } of effects) {
      for (const { found } of reads) if (found !== undefined) this.#name(found.value);
      for (const { expected } of compares) {
        if (typeof expected !== "string" && "value" in expected) this.#name(expected.value);
      }
    }
  }

  get cellCount(): number {
    return this.#cells.size * 2;
  }

  prepared(): Prepared[] {
    for (const { reads, writes } of this.#effects) {
      for (const { key, found } of reads) {
        if (found?.revision !== undefined) this.#seen.set(this.#placeOf(key, found.value), found.revision);
      }
      for (const { key, value } of writes) {
        const place = this.#placeOf(key, value);
        this.#writers.set(place, (this.#writers.get(place) ?? 0) + 1);
      }
    }
    return this.#effects.map((effects) => this.#prepare(effects));
  }

  #prepare(effects: Effects): Prepared {
    const reads: number[] = [];
    const compares: number[] = [];
    const writes: number[] = [];
    for (const { key, found } of effects.reads) {
      reads.push(this.#cellOf(key), this.#numberOf(found?.value), found?.revision ?? UNTOLD);
    }
    for (const { key, expected } of effects.compares) {
      compares.push(this.#cellOf(key));
      if (expected === "absent") compares.push(BY_VALUE, ABSENT);
      else if (expected === "present") compares.push(BY_PRESENCE, 0);
      else if ("value" in expected) compares.push(BY_VALUE, this.#numberOf(expected.value));
      else compares.push(BY_REVISION, expected.revision);
    }
    for (const { key, value } of effects.writes) writes.push(this.#cellOf(key), this.#numberOf(value));
    const revision = effects.revision ?? this.#seenRevision(effects) ?? UNTOLD;
    return { reads, compares, writes, outcome: effects.outcome, revision };
  }

  /** Only if no other operation writes that value there: then whoever saw it saw this one. */
  #seenRevision({ writes }: Effects): number | undefined {
    for (const { key, value } of writes) {
      const place = this.#placeOf(key, value);
      const revision = this.#writers.get(place) === 1 ? this.#seen.get(place) : undefined;
      if (revision !== undefined) return revision;
    }
    return undefined;
  }

  #name(value: string | number): void {
    if (!this.#values.has(value)) this.#values.set(value, this.#values.size + NAMED_FROM);
  }

  #numberOf(value: string | number | undefined): number {
    return value === undefined ? ABSENT : (this.#values.get(value) ?? NAMELESS);
  }

  #cellOf(key: string): number {
    let cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, (cell = this.#cells.size * 2));
    return cell;
  }

  /** One number for a value in a cell. */
  #placeOf(key: string, value: string | number | undefined): number {
    return this.#cellOf(key) * 2 ** 24 + this.#numberOf(value);
  }
}

/**
 * With revisions they are the order anyway. Otherwise an operation is due when it returns or when
 * somebody has read what it wrote, whichever is first; a compare that holds now rarely holds later, so it
 * goes first; a write that nobody read hides best behind the next one.
 */
function ranksOf(operations: readonly Operation<KeyValueOp>[], prepared: readonly Prepared[]): Float64Array {
  const seenAt = new Map<number, number>();
  for (const [at, { reads, compares, outcome }] of prepared.entries()) {
    const { returnedAt } = operations[at]!;
    if (returnedAt === undefined || outcome !== "done") continue;
    const see = (value: number) => seenAt.set(value, Math.min(seenAt.get(value) ?? Infinity, returnedAt));
    for (let one = 0; one < reads.length; one += 3) see(reads[one + 1]!);
    for (let one = 0; one < compares.length; one += 3) {
      if (compares[one + 1] === BY_VALUE) see(compares[one + 2]!);
    }
  }
  return Float64Array.from(prepared, ({ compares, writes, revision }, at) => {
    const { returnedAt } = operations[at]!;
    if (revision !== UNTOLD) return revision;
    if (returnedAt !== undefined && compares.length > 0) return -2;
    let due = Infinity;
    for (let one = 0; one < writes.length; one += 2) {
      if (writes[one + 1]! >= NAMED_FROM) due = Math.min(due, seenAt.get(writes[one + 1]!) ?? Infinity);
    }
    if (due === Infinity && returnedAt !== undefined && writes.length > 0) return -1;
    return Math.min(due, returnedAt ?? Infinity);
  });
}
