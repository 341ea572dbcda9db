/**
 * The changes of one command, all under one revision: the store's next. Every change of a key goes through
 * here, so that record, lease, event and digests change together. A command that changed nothing leaves
 * the revision as it was.
 */
import { NO_BYTES } from "../codec/reader.ts";
import type { Bounds } from "../key-range.ts";
import {
  accepted, type Answer, type KeyValue, NO_EVENTS, type Outcome, type WatchEvent,
} from "../outcome.ts";
import { Digest } from "./digest.ts";
import { digestContent } from "./key-space.ts";
import type { State } from "./state.ts";
import { Values } from "./values.ts";

export class Edit {
  readonly #state: State;
  readonly #values = new Values();
  readonly #content = new Digest();
  #events: WatchEvent[] | undefined;

  constructor(state: State) {
    this.#state = state;
  }

  /** Puts a copy of the value, and returns the key's revision before, 0 if there was none. */
  put(key: string, bytes: Uint8Array, lease: number): number {
    const { keys, leases, revision } = this.#state;
    const before = keys.get(key);
    const value = this.#values.keep(bytes);
    const record: KeyValue = {
      // The key that is there already, so that each is held in memory once.
      key: before === undefined ? key : before.key,
      value,
      createRevision: before === undefined ? revision + 1 : before.createRevision,
      revision: revision + 1,
      version: before === undefined ? 1 : before.version + 1,
      lease,
    };
    const leaseBefore = before === undefined ? 0 : before.lease;
    if (leaseBefore !== lease) {
      if (leaseBefore !== 0) leases.detach(leaseBefore, key);
      if (lease !== 0) leases.attach(lease, record.key);
    }
    digestContent(this.#content, key, value);
    keys.put(record, this.#content);
    const previousRevision = before === undefined ? 0 : before.revision;
    this.#add("put", record.key, value, previousRevision);
    return previousRevision;
  }

  /** False if there was no such key. */
  delete(key: string): boolean {
    const { keys, leases } = this.#state;
    const before = keys.get(key);
    if (before === undefined) return false;
    if (before.lease !== 0) leases.detach(before.lease, key);
    keys.delete(key);
    digestContent(this.#content, key, NO_BYTES);
    this.#add("delete", before.key, NO_BYTES, before.revision);
    return true;
  }

  /** How many keys there were. */
  deleteRange(bounds: Bounds): number {
    const records = this.#state.keys.recordsIn(bounds, Number.POSITIVE_INFINITY);
    for (const { key } of records) this.delete(key);
    return records.length;
  }

  /** Ends a lease that is there, with its keys; how many those were. */
  endLease(lease: number): number {
    const { leases } = this.#state;
    const keys = leases.keysOf(lease);
    for (const key of keys) this.delete(key);
    leases.remove(lease);
    return keys.length;
  }

  /** Makes one revision of the changes, and the outcome of the command. */
  commit(answer: Answer): Outcome {
    const state = this.#state;
    const events = this.#events;
    if (events === undefined) return accepted(state.revision, answer, NO_EVENTS);
    this.#events = undefined;
    state.revision += 1;
    state.history.trim();
    return accepted(state.revision, answer, events);
  }

  /** The digest of key and value has been taken. */
  #add(type: "put" | "delete", key: string, value: Uint8Array, previousRevision: number): void {
    const { history, revision } = this.#state;
    const event: WatchEvent = { type, key, value, revision: revision + 1, previousRevision };
    history.append(event, this.#content);
    if (this.#events === undefined) this.#events = [event];
    else this.#events.push(event);
  }
}
