/**
 * The term of every index, as runs: terms only grow along a log, so a few (first index, term) pairs say it
 * all. With it the term at an index is known without the storage, what the storage hands back is checked
 * against what it was given, and a search for a conflict skips whole terms (paper, section 5.3).
 */
import { invariant } from "../../invariant.ts";

export class TermRuns {
  /** First index of each run, ascending; the first run may begin below what the storage still has. */
  readonly #starts: number[];
  readonly #terms: number[];
  #lastIndex: number;

  /** A log that is empty above `index`, which has `term`. */
  constructor(index: number, term: number) {
    this.#starts = [index];
    this.#terms = [term];
    this.#lastIndex = index;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#terms[this.#terms.length - 1] as number;
  }

  /** The next index has this term. */
  append(index: number, term: number): void {
    const last = this.lastTerm;
    if (index !== this.#lastIndex + 1 || term < last) {
      invariant(false, "an entry follows the last one, and its term does not fall", {
        index,
        term,
        lastIndex: this.#lastIndex,
        lastTerm: last,
      });
    }
    if (term !== last) {
      this.#starts.push(index);
      this.#terms.push(term);
    }
    this.#lastIndex = index;
  }

  /** Forgets `index` and all above it. */
  truncateFrom(index: number): void {
    while (this.#starts.length > 1 && (this.#starts[this.#starts.length - 1] as number) >= index) {
      this.#starts.pop();
      this.#terms.pop();
    }
    invariant((this.#starts[0] as number) < index, "a log keeps the entry that it begins after", {
      from: index,
      first: this.#starts[0],
    });
    this.#lastIndex = Math.min(this.#lastIndex, index - 1);
  }

  /** Runs that end below `index` are no longer asked for. */
  forgetBelow(index: number): void {
    let gone = 0;
    while (gone + 1 < this.#starts.length && (this.#starts[gone + 1] as number) <= index) gone += 1;
    if (gone === 0) return;
    this.#starts.splice(0, gone);
    this.#terms.splice(0, gone);
  }

  /** The term at an index; undefined outside of what is known. */
  at(index: number): number | undefined {
    if (index > this.#lastIndex) return undefined;
    const run = this.#runOf(index);
    return run < 0 ? undefined : this.#terms[run];
  }

  /**
   * The highest index up to `index` whose term is at most `term`; the first known one if there is none.
   * A log that has `term` above that index cannot agree with this one there.
   */
  lastAtMost(index: number, term: number): number {
    let at = Math.min(index, this.#lastIndex);
    let run = this.#runOf(at);
    while (run > 0 && (this.#terms[run] as number) > term) {
      at = (this.#starts[run] as number) - 1;
      run -= 1;
    }
    if (run === 0 && (this.#terms[0] as number) > term) return Math.max((this.#starts[0] as number) - 1, 0);
    return at;
  }

  #runOf(index: number): number {
    const starts = this.#starts;
    let run = starts.length - 1;
    // Nearly every question is about the end of the log.
    if (run > 8 && index < (starts[run - 8] as number)) {
      let low = 0;
      let high = run - 8;
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if ((starts[middle] as number) <= index) low = middle;
        else high = middle - 1;
      }
      run = low;
    }
    while (run >= 0 && (starts[run] as number) > index) run -= 1;
    return run;
  }
}
