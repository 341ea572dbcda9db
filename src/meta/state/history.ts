/**
 * The last events, for watches: a ring of them in order of revision. When there are too many, or too many
 * bytes, the oldest revisions go, each as a whole; `compactedRevision` is the last one that went. So every
 * peer forgets the same, and a watch gets all events of a revision or is told that they are gone.
 */
import type { WatchEvent } from "../outcome.ts";
import { Digest, Sum } from "./digest.ts";
import { digestContent } from "./key-space.ts";

const EVENT_TAG = 3;
/** What an event counts besides its key, in code units, and its value. */
const EVENT_BYTES = 64;
const CAPACITY_MIN = 16;

export class History {
  readonly sum: Sum = new Sum();
  readonly #eventsMax: number;
  readonly #bytesMax: number;
  readonly #digest = new Digest();
  /** The event i places after the oldest is at `(first + i) & (capacity - 1)`. */
  #events: (WatchEvent | undefined)[] = emptyPlaces(CAPACITY_MIN);
  /** Two words for each place. */
  #words = new Int32Array(2 * CAPACITY_MIN);
  #first = 0;
  #count = 0;
  #bytes = 0;
  #compactedRevision = 0;
  /** Of the event that was appended last, and its place among the events of that revision. */
  #lastRevision = 0;
  #lastOrdinal = 0;

  constructor(eventsMax: number, bytesMax: number) {
    this.#eventsMax = eventsMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Events up to this revision are gone, all later ones are here. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  /** `content` is the digest of key and value. `trim` follows when the revision is complete. */
  append(event: WatchEvent, content: Digest): void {
    if (this.#count === this.#events.length) this.#grow();
    const place = this.#place(this.#count);
    const digest = this.#digest;
    this.#lastOrdinal = event.revision === this.#lastRevision ? this.#lastOrdinal + 1 : 0;
    this.#lastRevision = event.revision;
    digestEvent(digest, event, this.#lastOrdinal, content);
    this.#events[place] = event;
    this.#words[2 * place] = digest.low;
    this.#words[2 * place + 1] = digest.high;
    this.sum.add(digest.low, digest.high);
    this.#count += 1;
    this.#bytes += bytesOf(event);
  }

  /** Forgets the oldest revisions until the rest is within the bounds. */
  trim(): void {
    while (this.#count > this.#eventsMax || this.#bytes > this.#bytesMax) {
      this.compact(this.at(0).revision);
    }
  }

  /** Forgets all events up to the revision, itself included. */
  compact(revision: number): void {
    while (this.#count > 0 && this.at(0).revision <= revision) this.#dropOldest();
    if (revision > this.#compactedRevision) this.#compactedRevision = revision;
  }

  /** The event i places after the oldest. */
  at(i: number): WatchEvent {
    return this.#events[this.#place(i)] as WatchEvent;
  }

  /** Where the events after the revision begin. */
  indexAfter(revision: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What `sum` must be, from the events alone. */
  sumFully(): Sum {
    const sum = new Sum();
    const content = new Digest();
    const digest = new Digest();
    let ordinal = 0;
    for (let i = 0; i < this.#count; i++) {
      const event = this.at(i);
      // Revisions go as a whole, so the first event is the first of its revision.
      ordinal = i > 0 && event.revision === this.at(i - 1).revision ? ordinal + 1 : 0;
      digestContent(content, event.key, event.value);
      digestEvent(digest, event, ordinal, content);
      sum.add(digest.low, digest.high);
    }
    return sum;
  }

  #place(i: number): number {
    return (this.#first + i) & (this.#events.length - 1);
  }

  #dropOldest(): void {
    const place = this.#first;
    this.#bytes -= bytesOf(this.at(0));
    this.sum.remove(this.#words[2 * place] as number, this.#words[2 * place + 1] as number);
    this.#events[place] = undefined;
    this.#first = this.#place(1);
    this.#count -= 1;
  }

  #grow(): void {
    const events = emptyPlaces(2 * this.#count);
    const words = new Int32Array(4 * this.#count);
    for (let i = 0; i < this.#count; i++) {
      const place = this.#place(i);
      events[i] = this.#events[place];
      words[2 * i] = this.#words[2 * place] as number;
      words[2 * i + 1] = this.#words[2 * place + 1] as number;
    }
    this.#events = events;
    this.#words = words;
    this.#first = 0;
  }
}

function emptyPlaces(count: number): (WatchEvent | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

function bytesOf(event: WatchEvent): number {
  return EVENT_BYTES + event.key.length + event.value.length;
}

/** `ordinal` is the event's place in its revision, from 0: a watch tells of them in that order. */
function digestEvent(digest: Digest, event: WatchEvent, ordinal: number, content: Digest): void {
  digest.begin(EVENT_TAG);
  digest.word(content.low);
  digest.word(content.high);
  digest.word(event.type === "put" ? 1 : 2);
  digest.number(event.revision);
  digest.number(event.previousRevision);
  digest.number(ordinal);
  digest.end();
}
