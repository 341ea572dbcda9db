/**
 * The configurations that a search has been in: how many returns are behind it, which open operations are
 * placed, which of unknown outcome are used, and the state. Its one idea: an operation of unknown outcome
 * is never needed, so a configuration is no better than one that agrees with it in everything else and
 * has used a subset of those (Wing and Gong's search with Lowe's memo, which asks for equality instead).
 * Everything lies in one growing array of 32-bit words, beside the states. With a configuration stands
 * why it failed: see `Search`.
 */
export class Memo<State> {
  readonly #openWords: number;
  readonly #usedWords: number;
  readonly #stride: number;
  readonly #isEqual: (a: State, b: State) => boolean;
  readonly #states: State[] = [];
  readonly #hashes: number[] = [];
  readonly #conflicts: number[] = [];
  /** The next entry of the same bucket, or -1. */
  readonly #nexts: number[] = [];
  #words: Int32Array;
  /** The first entry of each bucket, or -1. */
  #buckets: Int32Array;
  #match = -1;

  constructor(openWords: number, usedWords: number, isEqual: (a: State, b: State) => boolean) {
    this.#openWords = openWords;
    this.#usedWords = usedWords;
    this.#stride = 1 + openWords + usedWords;
    this.#isEqual = isEqual;
    this.#words = new Int32Array(64 * this.#stride);
    this.#buckets = new Int32Array(64).fill(-1);
  }

  /** The entry that was as good when `enter` answered -1. */
  get match(): number {
    return this.#match;
  }

  /** The number of the new entry, or -1 if one that is as good is there. */
  enter(position: number, open: Int32Array, used: Int32Array, state: State, stateHash: number): number {
    let hash = Math.imul(stateHash ^ Math.imul(position, 0x9e37_79b1), 0x85eb_ca6b);
    for (let at = 0; at < this.#openWords; at++)
      hash = Math.imul(hash ^ (hash >>> 15) ^ open[at]!, 0x2c1b_3c6d);
    hash ^= hash >>> 13;
    for (
      let entry = this.#buckets[hash & (this.#buckets.length - 1)]!;
      entry >= 0;
      entry = this.#nexts[entry]!
    ) {
      if (this.#hashes[entry] !== hash) continue;
      if (!this.#isAsGood(entry, position, open, used)) continue;
      if (!this.#isEqual(this.#states[entry]!, state)) continue;
      this.#match = entry;
      return -1;
    }
    return this.#add(hash, position, open, used, state);
  }

  stateOf(entry: number): State {
    return this.#states[entry]!;
  }

  /** The keys to which the failure is due, as bits; all of them until it is known. */
  conflictOf(entry: number): number {
    return this.#conflicts[entry]!;
  }

  setConflict(entry: number, conflict: number): void {
    this.#conflicts[entry] = conflict;
  }

  /** Writes the entry's sets back and returns its position. */
  restore(entry: number, open: Int32Array, used: Int32Array): number {
    const words = this.#words;
    let from = entry * this.#stride;
    const position = words[from++]!;
    for (let at = 0; at < this.#openWords; at++) open[at] = words[from++]!;
    for (let at = 0; at < this.#usedWords; at++) used[at] = words[from++]!;
    return position;
  }

  #isAsGood(entry: number, position: number, open: Int32Array, used: Int32Array): boolean {
    const words = this.#words;
    let from = entry * this.#stride;
    if (words[from++] !== position) return false;
    for (let at = 0; at < this.#openWords; at++) if (words[from++] !== open[at]) return false;
    for (let at = 0; at < this.#usedWords; at++) if ((words[from++]! & ~used[at]!) !== 0) return false;
    return true;
  }

  #add(hash: number, position: number, open: Int32Array, used: Int32Array, state: State): number {
    const entry = this.#states.length;
    if ((entry + 1) * this.#stride > this.#words.length) {
      const words = new Int32Array(this.#words.length * 2);
      words.set(this.#words);
      this.#words = words;
    }
    if (entry === this.#buckets.length) this.#grow();
    let to = entry * this.#stride;
    this.#words[to++] = position;
    for (let at = 0; at < this.#openWords; at++) this.#words[to++] = open[at]!;
    for (let at = 0; at < this.#usedWords; at++) this.#words[to++] = used[at]!;
    const bucket = hash & (this.#buckets.length - 1);
    this.#states.push(state);
    this.#hashes.push(hash);
    this.#conflicts.push(-1);
    this.#nexts.push(this.#buckets[bucket]!);
    this.#buckets[bucket] = entry;
    return entry;
  }

  #grow(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 4).fill(-1);
    const last = this.#buckets.length - 1;
    for (let entry = 0; entry < this.#hashes.length; entry++) {
      const bucket = this.#hashes[entry]! & last;
      this.#nexts[entry] = this.#buckets[bucket]!;
      this.#buckets[bucket] = entry;
    }
  }
}
