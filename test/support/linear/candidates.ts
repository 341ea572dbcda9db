/**
 * What may be placed next. Its one idea: three doubly linked lists in the order of calls (what is pure,
 * what changes something, what is of unknown outcome), from which an operation is lifted when it is
 * placed and into which it returns, in reverse order, when the search goes back. It decides which
 * operations are tried and in which order (rules 2, 4 and 7 of the search), and never whether they are
 * allowed.
 */
import type { Machine } from "./model.ts";
import type { Partition } from "./partitions.ts";
import type { Timeline } from "./timeline.ts";

const bitsOf = (keys: readonly number[]): number => keys.reduce((bits, key) => bits | (1 << (key & 31)), 0);

export class Candidates<State> {
  /** The list of pure operations begins and ends at this number. */
  readonly pureHead: number;
  readonly nexts: Int32Array;
  readonly #previous: Int32Array;
  readonly #changeHead: number;
  readonly #unknownHead: number;
  readonly #timeline: Timeline;
  readonly #machine: Machine<State>;
  readonly #keys: readonly (readonly number[])[];
  readonly #ranks: Float64Array;
  /** Of unknown outcome: the twin called just before it, or -1. */
  readonly #twins: Int32Array;
  readonly #isPlaced: Uint8Array;
  /** The keys of each operation as bits; keys that share a bit are taken for one. */
  readonly #bits: Int32Array;
  /** Of each key: the round in which it was found to matter. */
  readonly #rounds: Float64Array;
  /** Empty if the machine knows none. */
  readonly #orders: Float64Array;
  readonly #least: Float64Array;
  #round = 0;
  #markedBits = 0;

  constructor(timeline: Timeline, partition: Partition<unknown>, machine: Machine<State>) {
    const { size, returnedAt } = timeline;
    this.pureHead = size;
    this.#changeHead = size + 1;
    this.#unknownHead = size + 2;
    this.#timeline = timeline;
    this.#machine = machine;
    this.#keys = partition.keys;
    this.nexts = new Int32Array(size + 3);
    this.#previous = new Int32Array(size + 3);
    this.#ranks = new Float64Array(size);
    this.#twins = new Int32Array(size).fill(-1);
    this.#isPlaced = new Uint8Array(size);
    this.#bits = Int32Array.from(partition.keys, bitsOf);
    this.#rounds = new Float64Array(partition.keyCount);
    this.#orders = new Float64Array(machine.orderOf === undefined ? 0 : size);
    this.#least = new Float64Array(partition.keyCount);
    const lasts = [this.pureHead, this.#changeHead, this.#unknownHead];
    for (let at = 0; at < size; at++) {
      const list = returnedAt[at] === Infinity ? 2 : machine.isPure(at) ? 0 : 1;
      this.#link(lasts[list]!, at);
      lasts[list] = at;
      this.#ranks[at] = machine.rankOf?.(at) ?? returnedAt[at]!;
      if (machine.orderOf !== undefined) this.#orders[at] = machine.orderOf(at);
    }
    for (const [list, last] of lasts.entries()) this.#link(last, size + list);
    this.#findTwins(machine);
  }

  take(at: number): void {
    this.#isPlaced[at] = 1;
    const before = this.#previous[at]!;
    const after = this.nexts[at]!;
    this.nexts[before] = after;
    this.#previous[after] = before;
  }

  /** Of what was taken last. */
  giveBack(at: number): void {
    this.#isPlaced[at] = 0;
    this.nexts[this.#previous[at]!] = at;
    this.#previous[this.nexts[at]!] = at;
  }

  haveCommonKey(a: number, b: number): boolean {
    if ((this.#bits[a]! & this.#bits[b]!) === 0) return false;
    for (const key of this.#keys[a]!) if (this.#keys[b]!.includes(key)) return true;
    return false;
  }

  bitsOf(at: number): number {
    return this.#bits[at]!;
  }

  /**
   * Appends those that may come before or as `target`, whose return is the next one, without the pure
   * ones: those were asked already. Returns the bits of the keys that matter for it.
   */
  collect(target: number, state: State, into: number[]): number {
    const from = into.length;
    const until = this.#timeline.returnedAt[target]!;
    this.#findKeys(target, until);
    if (this.#orders.length > 0) this.#findLeast(until);
    this.#collectFrom(this.#changeHead, until, state, into);
    this.#collectFrom(this.#unknownHead, until, state, into);
    const ranks = this.#ranks;
    for (let end = from + 1; end < into.length; end++) {
      const at = into[end]!;
      let to = end;
      while (to > from && ranks[into[to - 1]!]! > ranks[at]!) into[to] = into[--to]!;
      into[to] = at;
    }
    return this.#markedBits;
  }

  #collectFrom(head: number, until: number, state: State, into: number[]): void {
    const { calledAt } = this.#timeline;
    for (let at = this.nexts[head]!; at !== head && calledAt[at]! <= until; at = this.nexts[at]!) {
      if (!this.#matters(at)) continue;
      const twin = this.#twins[at]!;
      if (twin >= 0 && this.#isPlaced[twin] === 0) continue;
      if (this.#orders.length === 0 || this.#isLeast(at, state)) into.push(at);
    }
  }

  /** Rule 7. Of each key: the lowest order of what is open there. */
  #findLeast(until: number): void {
    this.#leastOf(this.pureHead, until);
    this.#leastOf(this.#changeHead, until);
  }

  #leastOf(head: number, until: number): void {
    const { calledAt } = this.#timeline;
    for (let at = this.nexts[head]!; at !== head && calledAt[at]! <= until; at = this.nexts[at]!) {
      const order = this.#orders[at]!;
      for (const key of this.#keys[at]!) if (order < this.#least[key]!) this.#least[key] = order;
    }
  }

  #isLeast(at: number, state: State): boolean {
    let order = this.#orders[at]!;
    if (order === Infinity) order = this.#machine.orderFrom?.(at, state) ?? Infinity;
    if (order === Infinity) return true;
    for (const key of this.#keys[at]!) if (this.#least[key]! < order) return false;
    return true;
  }

  /** Rule 2: marks the target's keys, and those of every operation that has one of the marked keys. */
  #findKeys(target: number, until: number): void {
    if (this.#orders.length > 0) this.#least.fill(Infinity);
    this.#markedBits = this.#bits[target]!;
    if (this.#rounds.length < 2) return;
    this.#round++;
    this.#mark(target);
    let isGrowing = true;
    while (isGrowing) {
      isGrowing = false;
      for (let list = 0; list < 3; list++) if (this.#spread(this.pureHead + list, until)) isGrowing = true;
    }
  }

  /** Whether a key was not marked before. */
  #spread(head: number, until: number): boolean {
    const { calledAt } = this.#timeline;
    let hasNew = false;
    for (let at = this.nexts[head]!; at !== head && calledAt[at]! <= until; at = this.nexts[at]!) {
      if (this.#keys[at]!.length > 1 && this.#matters(at) && this.#mark(at)) hasNew = true;
    }
    return hasNew;
  }

  #matters(at: number): boolean {
    if (this.#rounds.length < 2) return true;
    for (const key of this.#keys[at]!) if (this.#rounds[key] === this.#round) return true;
    return false;
  }

  #mark(at: number): boolean {
    this.#markedBits |= this.#bits[at]!;
    let hasNew = false;
    for (const key of this.#keys[at]!) {
      if (this.#rounds[key] === this.#round) continue;
      this.#rounds[key] = this.#round;
      hasNew = true;
    }
    return hasNew;
  }

  #link(before: number, after: number): void {
    this.nexts[before] = after;
    this.#previous[after] = before;
  }

  #findTwins(machine: Machine<State>): void {
    if (machine.effectOf === undefined) return;
    const lasts = new Map<number, number>();
    const head = this.#unknownHead;
    for (let at = this.nexts[head]!; at !== head; at = this.nexts[at]!) {
      const effect = machine.effectOf(at);
      this.#twins[at] = lasts.get(effect) ?? -1;
      lasts.set(effect, at);
    }
  }
}
