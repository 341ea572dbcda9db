/**
 * When the leader proposes the end of a lease. Leases have no time in the state: each leader counts on its
 * own monotonic clock, and a new one gives every lease its full length again, so a lease may live longer
 * than asked for and never shorter. What comes of the proposal is decided by the state: a renewal that is
 * applied before it makes it stale.
 * A heap of what ends next. A renewal only notes the later time; the heap learns of it when the earlier one
 * has come, so renewals, which are most of what happens, move nothing.
 */
import { invariant } from "../invariant.ts";
import type { Outcome } from "./outcome.ts";
import type { Lease } from "./state/leases.ts";

/** What the clock looks at; a MetaStore is one. */
export interface LeaseSource {
  lease(lease: number): Lease | undefined;
  leases(): Iterable<Lease>;
}

/** What to propose, together with the leader's term, as an `expireLease` command. */
export interface DueLease {
  readonly lease: number;
  readonly renewal: number;
}

/** How long a proposal may take before the lease is told to be due again. */
export const LEASE_RETRY_MS = 1_000;

class Deadline {
  readonly lease: number;
  /** The grant or renewal from which it is counted. */
  renewal: number;
  /** When the lease ends: never before `heapMs`. */
  endsAtMs: number;
  /** Where it stands in the heap. */
  heapMs: number;

  constructor(lease: number, renewal: number, endsAtMs: number) {
    this.lease = lease;
    this.renewal = renewal;
    this.endsAtMs = endsAtMs;
    this.heapMs = endsAtMs;
  }
}

/** How many places of the heap may be of leases that ended, besides as many as there are others. */
const HEAP_SLACK = 1_024;

export class LeaseClock {
  readonly #source: LeaseSource;
  readonly #retryMs: number;
  readonly #deadlines = new Map<number, Deadline>();
  #heap: Deadline[] = [];
  /** Beyond this length the heap is made anew, of the leases that are there. */
  #heapMax = HEAP_SLACK;
  #isLeading = false;

  constructor(source: LeaseSource, retryMs: number = LEASE_RETRY_MS) {
    invariant(retryMs > 0, "a lease that is due again is so later", { retryMs });
    this.#source = source;
    this.#retryMs = retryMs;
  }

  /** This peer became leader: every lease has its full length from now on. */
  lead(nowMs: number): void {
    this.rest();
    this.#isLeading = true;
    for (const { lease, ttlMs, renewal } of this.#source.leases()) this.#set(lease, renewal, nowMs + ttlMs);
  }

  /** This peer leads no more. */
  rest(): void {
    this.#isLeading = false;
    this.#deadlines.clear();
    this.#heap = [];
    this.#heapMax = HEAP_SLACK;
  }

  /** To be called with each outcome while leading; of most it wants nothing. */
  note(outcome: Outcome, nowMs: number): void {
    const { answer } = outcome;
    if (answer === undefined || answer.type !== "lease") return;
    if (!this.#isLeading || outcome.isRepeat) return;
    this.#set(answer.lease, answer.renewal, nowMs + answer.ttlMs);
  }

  /**
   * The leases that are due, at most `countMax`; each is due again `retryMs` later if it is still there. One
   * that was renewed without `note` being called is not: it has its full length from now on.
   */
  due(nowMs: number, countMax: number): DueLease[] {
    const due: DueLease[] = [];
    while (due.length < countMax) {
      const first = this.#heap[0];
      if (first === undefined || first.heapMs > nowMs) break;
      const isCurrent = this.#deadlines.get(first.lease) === first;
      const held = isCurrent ? this.#source.lease(first.lease) : undefined;
      if (held === undefined) {
        if (isCurrent) this.#deadlines.delete(first.lease);
        this.#removeFirst();
        continue;
      }
      if (first.endsAtMs <= nowMs) {
        const isCounted = held.renewal === first.renewal;
        if (isCounted) due.push({ lease: held.lease, renewal: held.renewal });
        first.renewal = held.renewal;
        first.endsAtMs = nowMs + (isCounted ? this.#retryMs : held.ttlMs);
      }
      first.heapMs = first.endsAtMs;
      this.#down(first, 0);
    }
    return due;
  }

  /** When to ask next; Infinity if there is nothing to wait for. It may turn out to be too early. */
  get nextAtMs(): number {
    return this.#heap[0]?.heapMs ?? Number.POSITIVE_INFINITY;
  }

  /** How many deadlines it keeps, those of leases that ended included: about twice the leases at most. */
  get heapSize(): number {
    return this.#heap.length;
  }

  #set(lease: number, renewal: number, endsAtMs: number): void {
    const known = this.#deadlines.get(lease);
    if (known !== undefined && endsAtMs >= known.heapMs) {
      known.renewal = renewal;
      known.endsAtMs = endsAtMs;
      return;
    }
    // A shorter lease took the number: what stands in the heap for the old one is dropped when it is due.
    const deadline = new Deadline(lease, renewal, endsAtMs);
    this.#deadlines.set(lease, deadline);
    this.#heap.push(deadline);
    this.#up(deadline, this.#heap.length - 1);
    if (this.#heap.length > this.#heapMax) this.#rebuild();
  }

  /** Drops what is of leases that ended. A list in order of time is a heap. */
  #rebuild(): void {
    for (const lease of this.#deadlines.keys()) {
      if (this.#source.lease(lease) === undefined) this.#deadlines.delete(lease);
    }
    this.#heap = [...this.#deadlines.values()].toSorted((a, b) => a.heapMs - b.heapMs);
    this.#heapMax = 2 * this.#heap.length + HEAP_SLACK;
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as Deadline;
    if (this.#heap.length > 0) this.#down(last, 0);
  }

  #up(deadline: Deadline, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = this.#heap[(at - 1) >> 1] as Deadline;
      if (parent.heapMs <= deadline.heapMs) break;
      this.#heap[at] = parent;
      at = (at - 1) >> 1;
    }
    this.#heap[at] = deadline;
  }

  #down(deadline: Deadline, from: number): void {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#heap.length) break;
      const right = this.#heap[child + 1];
      if (right !== undefined && right.heapMs < (this.#heap[child] as Deadline).heapMs) child += 1;
      const next = this.#heap[child] as Deadline;
      if (next.heapMs >= deadline.heapMs) break;
      this.#heap[at] = next;
      at = child;
    }
    this.#heap[at] = deadline;
  }
}
