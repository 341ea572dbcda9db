/**
 * What is due when, for any number of items with one timer: a binary heap in which every item knows its
 * place, so that moving and removing one cost as little as adding it. Timers for 100,000 locks would be
 * memory and work; this is one.
 */
import type { Timer, Timers } from "../../env/index.ts";

/** What all times are of: the steady clock. */
export interface AgendaClock {
  readonly asleepMs: number;
  now(): number;
  look(): number;
}

/** What an agenda keeps; it may be on one agenda at a time. */
export interface AgendaItem {
  /** Place in the heap; -1 when it is on no agenda. The agenda's own. */
  heapAt: number;
  /** When it is due, on the agenda's clock. The agenda's own. */
  dueAt: number;
  /** Called once it is due, and off the agenda. */
  onDue(now: number): void;
}

/** Nobody sleeps through more than this of what came due while the machine slept. */
const WAIT_MS_MAX = 1000;
/** More that is due at once waits for the next turn, so that answers are heard in between. */
const ITEMS_PER_TURN_MAX = 500;

export class Agenda {
  readonly #timers: Timers;
  readonly #clock: AgendaClock;
  readonly #heap: AgendaItem[] = [];
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** How long the machine had slept when the timer was set: timers sleep with it. */
  #asleepMs = 0;

  constructor(timers: Timers, clock: AgendaClock) {
    this.#timers = timers;
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Puts the item on the agenda, or moves it. */
  set(item: AgendaItem, dueAt: number): void {
    const wasAt = item.dueAt;
    item.dueAt = dueAt;
    if (item.heapAt === -1) {
      item.heapAt = this.#heap.length;
      this.#heap.push(item);
      this.#up(item);
    } else if (dueAt < wasAt) this.#up(item);
    else this.#down(item);
    this.#arm();
  }

  remove(item: AgendaItem): void {
    const at = item.heapAt;
    if (at === -1) return;
    item.heapAt = -1;
    const last = this.#heap.pop() as AgendaItem;
    if (last === item) return;
    last.heapAt = at;
    this.#heap[at] = last;
    this.#up(last);
    this.#down(last);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    for (const item of this.#heap.splice(0)) item.heapAt = -1;
  }

  /** A timer that comes too early is cheaper than cancelling one for each lock that is released. */
  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined) return;
    if (first.dueAt >= this.#timerAt && this.#clock.asleepMs === this.#asleepMs) return;
    this.#timer?.cancel();
    this.#timerAt = first.dueAt;
    this.#asleepMs = this.#clock.asleepMs;
    const ms = Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(first.dueAt - this.#clock.now())));
    this.#timer = this.#timers.after(ms, () => this.#run());
  }

  #run(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.look();
    for (let count = 0; count < ITEMS_PER_TURN_MAX; count += 1) {
      const first = this.#heap[0];
      if (first === undefined || first.dueAt > now) break;
      this.remove(first);
      first.onDue(now);
    }
    this.#arm();
  }

  #up(item: AgendaItem): void {
    let at = item.heapAt;
    while (at > 0) {
      const parent = this.#heap[(at - 1) >> 1] as AgendaItem;
      if (parent.dueAt <= item.dueAt) break;
      this.#place(parent, at);
      at = (at - 1) >> 1;
    }
    this.#place(item, at);
  }

  #down(item: AgendaItem): void {
    let at = item.heapAt;
    for (;;) {
      let next = 2 * at + 1;
      if (next >= this.#heap.length) break;
      const right = this.#heap[next + 1];
      if (right !== undefined && right.dueAt < (this.#heap[next] as AgendaItem).dueAt) next += 1;
      const child = this.#heap[next] as AgendaItem;
      if (child.dueAt >= item.dueAt) break;
      this.#place(child, at);
      at = next;
    }
    this.#place(item, at);
  }

  #place(item: AgendaItem, at: number): void {
    item.heapAt = at;
    this.#heap[at] = item;
  }
}
