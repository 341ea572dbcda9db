/**
 * The appends that are on their way to one follower, oldest first: a window, limited in messages, entries
 * and bytes. A full window is one that has reached a limit, so a single large append always fits.
 */
import { invariant } from "../../invariant.ts";

export interface InflightLimits {
  readonly messagesMax: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
}

interface Inflight {
  readonly lastIndex: number;
  readonly entries: number;
  readonly bytes: number;
}

export class Inflights {
  readonly #limits: InflightLimits;
  #sent: Inflight[] = [];
  /** How many of `#sent` were acknowledged: cutting the array at each one would move the rest each time. */
  #freed = 0;
  #entries = 0;
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#sent.length - this.#freed;
  }

  get isFull(): boolean {
    const { messagesMax, entriesMax, bytesMax } = this.#limits;
    return this.count >= messagesMax || this.#entries >= entriesMax || this.#bytes >= bytesMax;
  }

  add(lastIndex: number, entries: number, bytes: number): void {
    const before = this.#sent[this.#sent.length - 1];
    if (this.isFull || (before !== undefined && before.lastIndex >= lastIndex)) {
      invariant(false, "an append is sent in order, into a window that has room", {
        lastIndex,
        before: before?.lastIndex,
        count: this.count,
      });
    }
    this.#sent.push({ lastIndex, entries, bytes });
    this.#entries += entries;
    this.#bytes += bytes;
  }

  /** Everything up to this index has arrived. */
  freeTo(index: number): void {
    let next = this.#sent[this.#freed];
    while (next !== undefined && next.lastIndex <= index) {
      this.#entries -= next.entries;
      this.#bytes -= next.bytes;
      this.#freed += 1;
      next = this.#sent[this.#freed];
    }
    if (this.#freed === this.#sent.length || this.#freed > 64) {
      this.#sent = this.#sent.slice(this.#freed);
      this.#freed = 0;
    }
  }

  reset(): void {
    this.#sent = [];
    this.#freed = 0;
    this.#entries = 0;
    this.#bytes = 0;
  }
}
