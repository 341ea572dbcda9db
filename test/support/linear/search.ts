/**
 * Looks for an order of one partition that respects the intervals and that the machine allows: Wing and
 * Gong's search over linked lists, with Lowe's memo and his just-in-time rule (the next return is what
 * must be made possible). Its one idea: a configuration is what is placed and the state, and seven rules
 * (see `Search`) leave out configurations that cannot matter. It must never leave out one that does: each
 * rule says why, and the slow twin is the witness. Never recursive: a history is as deep as it is long.
 */
import { Candidates } from "./candidates.ts";
import type { Machine } from "./model.ts";
import { Memo } from "./memo.ts";
import type { Partition } from "./partitions.ts";
import { type Timeline, timelineOf } from "./timeline.ts";

/** What is left of the work that may be done; shared by the partitions of a history. */
export interface Budget {
  steps: number;
  entries: number;
}

export interface SearchResult {
  readonly outcome: "accepted" | "rejected" | "undecided";
  /** Unless accepted: the first operation, by returns, that could not be placed in any order. */
  readonly stuckAt: number;
  /** The last operations of an order that came that far. */
  readonly trail: readonly number[];
}

const TRAIL_MAX = 40;

/**
 * The rules. Each turns any complete order into one that the search does look at; 3 and 5 make it shorter
 * or move an unknown operation back, so that no circle of excuses can arise.
 * 1. An operation that is allowed and never changes anything is placed at once. Wherever an order has it
 *    later, it can be moved here: nothing that is still to come was over before it began.
 * 2. Before the next return only operations are placed that share keys with its operation, or with one
 *    that does, and so on. The others commute with all of these and can be moved behind it.
 * 3. An operation of unknown outcome is placed only right before one that shares a key with it (behind
 *    others it can wait; several of unknown outcome without common keys stand in the order of their
 *    calls), and not if that one is allowed without it and leads to the same state: then the order
 *    without it is as good. So an unknown write that is overwritten unseen ends right there. This holds
 *    for conditional writes and revisions too: whatever would owe its answer to the unknown write is
 *    just what is not allowed, or not the same, without it.
 * 4. Of unknown twins (`effectOf`) the one called first is used first; swapping twins changes nothing.
 * 5. Fewer unknown operations used, and everything else equal, is as good: see `Memo`.
 * 6. A failure that is due to some keys alone is not repeated for each choice among other keys. When a
 *    configuration fails, its conflict is the keys that mattered for its return and the conflicts of
 *    whatever was tried: whoever looks at the operations on those keys only finds no order either. If
 *    the operation that led there has none of them, the configuration before it fails for that reason.
 *    Until it is known in full, a conflict is all keys.
 * 7. Where answers tell the order of two operations (`orderOf`), the other order is not tried.
 */
export class Search<State> {
  readonly #machine: Machine<State>;
  readonly #timeline: Timeline;
  readonly #candidates: Candidates<State>;
  readonly #memo: Memo<State>;
  readonly #budget: Budget;
  /** Operations in the order in which they are placed. */
  readonly #placed: number[] = [];
  readonly #open: Int32Array;
  readonly #used: Int32Array;
  /** How many returns are behind. */
  #position = 0;
  #positionMax = -1;
  #trailPosition = -1;
  #trail: number[] = [];

  // The stack: for each configuration on the way its memo entry, what was placed up to it, the candidates
  // that are still to be tried, the entry from which an unknown operation alone led here, or -1, the
  // conflict so far, and whether rule 3 was used.
  readonly #entries: number[] = [];
  readonly #marks: number[] = [];
  readonly #starts: number[] = [];
  readonly #cursors: number[] = [];
  readonly #origins: number[] = [];
  readonly #conflicts: number[] = [];
  readonly #excuses: boolean[] = [];
  readonly #choices: number[] = [];

  constructor(machine: Machine<State>, partition: Partition<unknown>, budget: Budget) {
    this.#machine = machine;
    this.#timeline = timelineOf(partition.operations);
    this.#candidates = new Candidates(this.#timeline, partition, machine);
    this.#open = new Int32Array((this.#timeline.slotCount + 31) >>> 5);
    this.#used = new Int32Array((this.#timeline.unknownCount + 31) >>> 5);
    this.#memo = new Memo(this.#open.length, this.#used.length, (a, b) => machine.isEqual(a, b));
    this.#budget = budget;
  }

  run(): SearchResult {
    const { returns } = this.#timeline;
    this.#enter(this.#machine.initial, -1);
    while (this.#position < returns.length) {
      if (this.#budget.steps < 0 || this.#budget.entries < 0) return this.#end("undecided");
      if (this.#entries.length === 0) return this.#end("rejected");
      this.#advance();
    }
    return { outcome: "accepted", stuckAt: -1, trail: [] };
  }

  #end(outcome: "rejected" | "undecided"): SearchResult {
    this.#keepTrail();
    return { outcome, stuckAt: this.#timeline.returns[this.#positionMax]!, trail: this.#trail };
  }

  /** Tries the next candidate of the configuration on top, or leaves it. */
  #advance(): void {
    const top = this.#entries.length - 1;
    const cursor = this.#cursors[top]!;
    if (cursor === this.#choices.length) {
      this.#leave(top);
      return;
    }
    this.#cursors[top] = cursor + 1;
    const at = this.#choices[cursor]!;
    const entry = this.#entries[top]!;
    const state = this.#memo.stateOf(entry);
    const next = this.#step(state, at);
    if (next === undefined) return;
    const isUnknown = this.#timeline.returnedAt[at] === Infinity;
    if (isUnknown && this.#machine.isEqual(next, state)) return;
    if (this.#origins[top]! >= 0 && this.#isOutOfPlace(top, at, next)) {
      this.#excuses[top] = true;
      return;
    }
    this.#place(at);
    if (this.#enter(next, isUnknown ? entry : -1)) return;
    this.#rewind(top);
    this.#blame(top, this.#memo.conflictOf(this.#memo.match));
  }

  /** Rule 6: what was tried last on `top` has failed. */
  #blame(top: number, conflict: number): void {
    const tried = this.#choices[this.#cursors[top]! - 1]!;
    if ((this.#candidates.bitsOf(tried) & conflict) !== 0) {
      this.#conflicts[top]! |= conflict;
      return;
    }
    this.#conflicts[top] = conflict;
    this.#excuses[top] = false;
    this.#cursors[top] = this.#choices.length;
  }

  #step(state: State, at: number): State | undefined {
    this.#budget.steps--;
    return this.#machine.step(state, at);
  }

  /** Rule 3: whether the operation of unknown outcome that led to `top` need not stand before `at`. */
  #isOutOfPlace(top: number, at: number, next: State): boolean {
    const unknown = this.#placed[this.#marks[top]! - 1]!;
    if (!this.#candidates.haveCommonKey(unknown, at)) {
      return this.#timeline.returnedAt[at] !== Infinity || at < unknown;
    }
    const without = this.#step(this.#memo.stateOf(this.#origins[top]!), at);
    return without !== undefined && this.#machine.isEqual(without, next);
  }

  /** Goes on from what is placed; false if there is nothing new to be found there. */
  #enter(state: State, origin: number): boolean {
    const count = this.#placed.length;
    this.#settle(state);
    const { returns } = this.#timeline;
    if (this.#position > this.#positionMax) this.#positionMax = this.#position;
    if (this.#position === returns.length) return true;
    const entry = this.#memo.enter(this.#position, this.#open, this.#used, state, this.#machine.hash(state));
    if (entry < 0) return false;
    this.#budget.entries--;
    this.#entries.push(entry);
    this.#marks.push(this.#placed.length);
    this.#starts.push(this.#choices.length);
    this.#cursors.push(this.#choices.length);
    this.#origins.push(count === this.#placed.length ? origin : -1);
    this.#conflicts.push(this.#candidates.collect(returns[this.#position]!, state, this.#choices));
    this.#excuses.push(false);
    return true;
  }

  /** Rule 1: places what never changes anything. What was refused once is refused in the same state. */
  #settle(state: State): void {
    const { calledAt, returnedAt, returns } = this.#timeline;
    this.#pass();
    const { pureHead, nexts } = this.#candidates;
    let at = nexts[pureHead]!;
    while (this.#position < returns.length) {
      if (at === pureHead || calledAt[at]! > returnedAt[returns[this.#position]!]!) return;
      const following = nexts[at]!;
      if (this.#step(state, at) !== undefined) {
        this.#place(at);
        this.#pass();
      }
      at = following;
    }
  }

  #place(at: number): void {
    const slot = this.#timeline.slots[at]!;
    const set = this.#timeline.returnedAt[at] === Infinity ? this.#used : this.#open;
    set[slot >>> 5]! |= 1 << (slot & 31);
    this.#candidates.take(at);
    this.#placed.push(at);
  }

  /** Puts the returns of what is placed behind us; their slots are free. */
  #pass(): void {
    const { returns, slots } = this.#timeline;
    const open = this.#open;
    while (this.#position < returns.length) {
      const slot = slots[returns[this.#position]!]!;
      const bit = 1 << (slot & 31);
      // The next return's operation is open now, so its slot is its own.
      if ((open[slot >>> 5]! & bit) === 0) return;
      open[slot >>> 5]! &= ~bit;
      this.#position++;
    }
  }

  #leave(top: number): void {
    const conflict = this.#conflicts.pop()!;
    const entry = this.#entries.pop()!;
    // What rule 3 left out is looked at further down the stack: the conflict is not complete by itself.
    if (this.#excuses.pop() === false) this.#memo.setConflict(entry, conflict);
    this.#choices.length = this.#starts.pop()!;
    this.#marks.pop();
    this.#cursors.pop();
    this.#origins.pop();
    if (top === 0) return;
    this.#rewind(top - 1);
    this.#blame(top - 1, conflict);
  }

  #rewind(top: number): void {
    this.#keepTrail();
    const mark = this.#marks[top]!;
    while (this.#placed.length > mark) this.#candidates.giveBack(this.#placed.pop()!);
    this.#position = this.#memo.restore(this.#entries[top]!, this.#open, this.#used);
  }

  /** Only when something failed: as long as all goes well nobody asks. */
  #keepTrail(): void {
    if (this.#positionMax === this.#trailPosition) return;
    this.#trailPosition = this.#positionMax;
    this.#trail = this.#placed.slice(-TRAIL_MAX);
  }
}
