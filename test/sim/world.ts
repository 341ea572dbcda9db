/**
 * Virtual time and chance of one run: a queue of events in the order of their times, one source of random
 * numbers, and a hash over all that happened. Its one idea: nothing in a run depends on anything else, so
 * that a seed is the whole run, and two runs of a seed can be compared by one number.
 */
import { type Random } from "../../src/env/index.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";

interface Scheduled {
  readonly at: number;
  /** Among events of one time, the one that was scheduled first happens first. */
  readonly order: number;
  readonly act: () => void;
}

/** A run that comes to more than so many events turns in circles. */
const EVENTS_MAX = 2_000_000;

/** Takes a line about something that happened, when somebody reads along. */
export type Narrator = (atMs: number, line: string) => void;

export class World {
  readonly random: Random;
  readonly #narrator: Narrator | undefined;
  readonly #queue: Scheduled[] = [];
  #nowMs = 0;
  #order = 0;
  #hash = 0x9e37_79b9;
  #events = 0;

  constructor(seed: number, narrator?: Narrator) {
    this.random = seededRandom(seed);
    this.#narrator = narrator;
  }

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#events;
  }

  /** Of everything that was noted so far. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  after(ms: number, act: () => void): void {
    this.#order += 1;
    push(this.#queue, { at: this.#nowMs + ms, order: this.#order, act });
  }

  /** Lets time pass until then, or until there is nothing left to happen. */
  runUntil(untilMs: number): void {
    while (this.#queue.length > 0 && (this.#queue[0] as Scheduled).at <= untilMs) {
      const next = pop(this.#queue);
      this.#nowMs = next.at;
      this.#events += 1;
      if (this.#events > EVENTS_MAX) throw new Error(`${EVENTS_MAX} events, and the run has not ended`);
      next.act();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Puts what happened into the trace: a few whole numbers, and words for whoever reads along. */
  note(a: number, b: number, c: number, line: () => string): void {
    let hash = Math.imul(this.#hash ^ this.#nowMs, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ a, 0xc2b2_ae35);
    hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0x27d4_eb2f);
    hash = Math.imul(hash ^ (hash >>> 14) ^ c, 0x1656_67b1);
    this.#hash = hash ^ (hash >>> 16);
    if (this.#narrator !== undefined) this.#narrator(this.#nowMs, line());
  }

  chance(probability: number): boolean {
    return this.random.fraction() < probability;
  }

  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number {
    return low + this.random.below(high - low + 1);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)] as T;
  }

  shuffled<T>(from: readonly T[]): T[] {
    const left = [...from];
    const taken: T[] = [];
    while (left.length > 0) taken.push(...left.splice(this.random.below(left.length), 1));
    return taken;
  }
}

function isBefore(one: Scheduled, other: Scheduled): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** The queue is a binary heap, the next event first. */
function push(heap: Scheduled[], item: Scheduled): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >>> 1;
    if (isBefore(heap[parent] as Scheduled, item)) break;
    heap[at] = heap[parent] as Scheduled;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: Scheduled[]): Scheduled {
  const top = heap[0] as Scheduled;
  const last = heap.pop() as Scheduled;
  if (heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled))
      child += 1;
    if (isBefore(last, heap[child] as Scheduled)) break;
    heap[at] = heap[child] as Scheduled;
    at = child;
  }
  heap[at] = last;
  return top;
}
