/**
 * The keys and what they hold now: a map that finds one key, a tree that walks them in order, and the sum of
 * the records' digests. A record is never changed, only replaced, so readers and events may keep it.
 */
import type { Bounds } from "../key-range.ts";
import type { KeyValue } from "../outcome.ts";
import { Digest, Sum } from "./digest.ts";
import { SortedSlots } from "./sorted-slots.ts";

const CONTENT_TAG = 1;
const RECORD_TAG = 2;

/** The place of a key: what changes is the record in it. The two words are the record's digest. */
class Slot {
  readonly key: string;
  record: KeyValue;
  low = 0;
  high = 0;

  constructor(record: KeyValue) {
    this.key = record.key;
    this.record = record;
  }
}

export class KeySpace {
  readonly sum: Sum = new Sum();
  readonly #slots = new Map<string, Slot>();
  readonly #sorted = new SortedSlots<Slot>();
  readonly #digest = new Digest();

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): KeyValue | undefined {
    return this.#slots.get(key)?.record;
  }

  /**
   * Puts the record in the place of its key. `content` is the digest of key and value, so that it is taken
   * once for the record and for the event.
   */
  put(record: KeyValue, content: Digest): void {
    digestRecord(this.#digest, record, content);
    const { low, high } = this.#digest;
    let slot = this.#slots.get(record.key);
    if (slot === undefined) {
      slot = new Slot(record);
      this.#slots.set(record.key, slot);
      this.#sorted.insert(slot);
    } else {
      this.sum.remove(slot.low, slot.high);
      slot.record = record;
    }
    slot.low = low;
    slot.high = high;
    this.sum.add(low, high);
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.sum.remove(slot.low, slot.high);
    this.#slots.delete(key);
    this.#sorted.remove(key);
  }

  /** The records within the bounds in order of key, at most `limit` of them. */
  recordsIn(bounds: Bounds, limit: number): KeyValue[] {
    const slots = this.#sorted.slotsIn(bounds, limit);
    return slots.map((slot) => slot.record);
  }

  countIn(bounds: Bounds): number {
    return this.#sorted.countIn(bounds);
  }

  /** All records in order of key. */
  *records(): Generator<KeyValue> {
    for (const slot of this.#sorted) yield slot.record;
  }

  /** What `sum` must be, from the records alone. */
  sumFully(): Sum {
    const sum = new Sum();
    const content = new Digest();
    const digest = new Digest();
    for (const record of this.records()) {
      digestContent(content, record.key, record.value);
      digestRecord(digest, record, content);
      sum.add(digest.low, digest.high);
    }
    return sum;
  }
}

/** The part of a digest that costs time: all of the key and the value. */
export function digestContent(digest: Digest, key: string, value: Uint8Array): void {
  digest.begin(CONTENT_TAG);
  digest.text(key);
  digest.bytes(value);
}

function digestRecord(digest: Digest, record: KeyValue, content: Digest): void {
  digest.begin(RECORD_TAG);
  digest.word(content.low);
  digest.word(content.high);
  digest.number(record.createRevision);
  digest.number(record.revision);
  digest.number(record.version);
  digest.number(record.lease);
  digest.end();
}
