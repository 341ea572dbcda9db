/**
 * The metadata store: what the committed entries of the log make, applied one after the other. Pure and
 * deterministic: the same entries make the same state, outcomes and hash on every peer, whatever they
 * hold. Reads are of the state as it is now; whether that is recent enough is the peer's business.
 * It must never throw for what an entry holds: a peer that stopped where another went on would be worse
 * than any refusal.
 */
import { CoterieError, quote } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { decodeOutcome, encodeOutcome } from "./codec/answer.ts";
import { readCommand } from "./codec/decode.ts";
import { Reader } from "./codec/reader.ts";
import type { Command, RangeOptions } from "./command.ts";
import { execute } from "./execute.ts";
import { boundsOf, type KeyRange, requireRange } from "./key-range.ts";
import { type MetaLimits, type MetaStoreOptions, readStoreOptions } from "./options.ts";
import { type KeyValue, type Outcome, type RangeAnswer, refusalOf, refused } from "./outcome.ts";
import { restoreState } from "./snapshot/restore.ts";
import { writeSnapshot } from "./snapshot/write.ts";
import { hexOf } from "./state/digest.ts";
import { Edit } from "./state/edit.ts";
import type { Lease } from "./state/leases.ts";
import { KeptAnswer } from "./state/sessions.ts";
import { State } from "./state/state.ts";
import { readRange } from "./transaction.ts";
import { type Events, type EventsOptions, readEvents } from "./watch.ts";

/**
 * A committed entry of the log. Its data may be used again afterwards: what is kept is copied. An entry that
 * is a change of members is applied with empty data: its bytes are no command, and could look like one.
 */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

export interface SnapshotOptions {
  /** The size of each chunk but the last, in bytes, from 1. Default 256 KiB. */
  readonly chunkBytes?: number | undefined;
}

export const SNAPSHOT_CHUNK_BYTES = 262_144;

export class MetaStore {
  readonly #state: State;
  readonly #edit: Edit;
  readonly #reader = new Reader();

  /** An empty store, as it is before the first entry. Throws INVALID_OPTION. */
  constructor(options?: MetaStoreOptions);
  /** @internal Around a state that a snapshot held. */
  constructor(options: MetaStoreOptions | undefined, state: State);
  constructor(options?: MetaStoreOptions, state = new State(readStoreOptions(options))) {
    this.#state = state;
    this.#edit = new Edit(state);
  }

  /**
   * The store whose snapshot these chunks are, its hash verified. Throws SNAPSHOT_DAMAGED, or CONFIG_MISMATCH
   * if it was made under other options. Takes the chunks one by one and keeps none.
   */
  static restore(chunks: Iterable<Uint8Array>, options?: MetaStoreOptions): MetaStore {
    if (typeof chunks !== "object" || chunks === null || !(Symbol.iterator in chunks)) {
      const message = `meta restore: chunks must be iterable, got ${quote(chunks)}`;
      throw new CoterieError("INVALID_ARGUMENT", message);
    }
    return new MetaStore(options, restoreState(chunks, readStoreOptions(options)));
  }

  /** The index of the last entry that was applied; 0 before the first. */
  get appliedIndex(): number {
    return this.#state.appliedIndex;
  }

  /** The term of that entry. */
  get appliedTerm(): number {
    return this.#state.appliedTerm;
  }

  /** Grows by one with each command that changes keys; 0 before the first. */
  get revision(): number {
    return this.#state.revision;
  }

  /** Events up to this revision are forgotten. */
  get compactedRevision(): number {
    return this.#state.history.compactedRevision;
  }

  get keyCount(): number {
    return this.#state.keys.size;
  }

  get leaseCount(): number {
    return this.#state.leases.size;
  }

  get sessionCount(): number {
    return this.#state.sessions.size;
  }

  /** Answers that are kept for retries. */
  get answerCount(): number {
    return this.#state.sessions.answerCount;
  }

  /** Events that a watch can still get. */
  get eventCount(): number {
    return this.#state.history.count;
  }

  /** Entries that were no command. */
  get malformedCount(): number {
    return this.#state.malformedCount;
  }

  get limits(): MetaLimits {
    return this.#state.limits;
  }

  /** Applies the next entry. Throws INVARIANT unless it is the next one, and for nothing else. */
  apply(entry: AppliedEntry): Outcome {
    const { index, term, data } = entry;
    const state = this.#state;
    if (index !== state.appliedIndex + 1 || term < state.appliedTerm) outOfOrder(state, entry);
    state.appliedIndex = index;
    state.appliedTerm = term;
    const command = readCommand(this.#reader, data);
    if (command !== undefined) return this.#applyCommand(command, index, term);
    state.malformedCount += 1;
    return refused(state.revision, refusalOf("MALFORMED", data.length, this.#reader.badAt));
  }

  /** What the key holds, or undefined. */
  get(key: string): KeyValue | undefined {
    return this.#state.keys.get(key);
  }

  /** The keys of a range in order. Throws INVALID_ARGUMENT. */
  range(range: KeyRange, options: RangeOptions = {}): RangeAnswer {
    requireRange("meta range", range);
    const { limit } = options;
    if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
      throw new CoterieError("INVALID_ARGUMENT", `meta range: limit must be from 1, got ${quote(limit)}`);
    }
    return readRange(this.#state.keys, boundsOf(range), options);
  }

  /**
   * The events after `revision`, whole revisions only. Throws COMPACTED if some of them are forgotten, and
   * INVALID_ARGUMENT.
   */
  eventsSince(revision: number, options: EventsOptions = {}): Events {
    return readEvents(this.#state, revision, options);
  }

  /** The lease as it is now, or undefined. */
  lease(lease: number): Lease | undefined {
    const held = this.#state.leases.get(lease);
    return held === undefined ? undefined : copyOfLease(held);
  }

  /** All leases, in no order that peers agree on. The store must not change meanwhile. */
  *leases(): Generator<Lease> {
    for (const held of this.#state.leases.values()) yield copyOfLease(held);
  }

  /** The keys that end with the lease, in order; none if there is no such lease. */
  leaseKeys(lease: number): string[] {
    return this.#state.leases.keysOf(lease);
  }

  hasSession(session: number): boolean {
    return this.#state.sessions.has(session);
  }

  /** The hash of all that is replicated, 16 hexadecimal digits. Takes the same time for any size. */
  hash(): string {
    const { low, high } = this.#state.hash();
    return hexOf(low, high);
  }

  /** The same without a string: the low word, then the high one. Writes into `into` and returns it. */
  hashWords(into: Int32Array = new Int32Array(2)): Int32Array {
    const { low, high } = this.#state.hash();
    into[0] = low;
    into[1] = high;
    return into;
  }

  /** What `hash` must be, computed from everything that is there. */
  hashFully(): string {
    const { low, high } = this.#state.hashFully();
    return hexOf(low, high);
  }

  /**
   * The whole state in chunks. The same state makes the same bytes. Nothing may be applied until the last
   * chunk was taken: the next one throws INVARIANT otherwise. The call itself throws INVALID_ARGUMENT.
   */
  snapshot(options: SnapshotOptions = {}): Generator<Uint8Array> {
    const { chunkBytes = SNAPSHOT_CHUNK_BYTES } = options;
    if (Number.isSafeInteger(chunkBytes) && chunkBytes >= 1) return writeSnapshot(this.#state, chunkBytes);
    const message = `meta snapshot: chunkBytes must be from 1, got ${quote(chunkBytes)}`;
    throw new CoterieError("INVALID_ARGUMENT", message);
  }

  #applyCommand(command: Command, index: number, term: number): Outcome {
    const state = this.#state;
    const stamp = "stamp" in command ? command.stamp : undefined;
    if (stamp === undefined) return execute(state, this.#edit, command, index, term);
    const known = state.sessions.begin(stamp, index);
    if (known === undefined) {
      const outcome = execute(state, this.#edit, command, index, term);
      state.sessions.keep(stamp, encodeOutcome(outcome));
      return outcome;
    }
    if (!(known instanceof KeptAnswer)) return refused(state.revision, known);
    const outcome = decodeOutcome(known.bytes);
    invariant(outcome !== undefined, "a kept answer can be read", { session: stamp.session });
    return outcome;
  }
}

function outOfOrder(state: State, { index, term }: AppliedEntry): void {
  const { appliedIndex, appliedTerm } = state;
  const details = { index, term, appliedIndex, appliedTerm };
  invariant(index === appliedIndex + 1, "entries are applied in order, each once", details);
  invariant(term >= appliedTerm, "terms of entries never fall", details);
}

function copyOfLease({ lease, ttlMs, renewal, keyCount }: Lease): Lease {
  return { lease, ttlMs, renewal, keyCount };
}
