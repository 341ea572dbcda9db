/**
 * A peer's log as the core sees it: what the storage has, continued by what is not on the disk yet, with
 * three marks in it: committed (a quorum has it), applying (handed out to the state machine), applied.
 * Whatever the storage hands back is checked against what it was given; a storage that forgets or invents
 * stops the peer.
 */
import { invariant } from "../../invariant.ts";
import { type Entry, entryBytes, limitBytes, payloadBytes } from "./entry.ts";
import type { LogReader } from "./reader.ts";
import type { Snapshot } from "./snapshot.ts";
import { TermRuns } from "./term-runs.ts";
import { Unstable } from "./unstable.ts";

/** How much of the log is looked through at once. */
const SCAN_BYTES = 1024 * 1024;

/** A batch that the state machine was given and has not reported yet. */
interface Applying {
  readonly lastIndex: number;
  readonly bytes: number;
  /** Of the commands alone. */
  readonly payload: number;
}

export class RaftLog {
  readonly #reader: LogReader;
  readonly #applyingBytesMax: number;
  readonly #unstable: Unstable;
  #terms: TermRuns;
  #committed: number;
  #applying: number;
  #applied: number;
  /** The indexes of `config` entries that are not applied yet, ascending. */
  #changes: number[] = [];
  readonly #batches: Applying[] = [];
  #applyingBytes = 0;
  #isApplyingPaused = false;

  constructor(reader: LogReader, applyingBytesMax: number) {
    const first = reader.firstIndex();
    const last = reader.lastIndex();
    invariant(
      Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 1 && last >= first - 1,
      "the storage's first index is at most one above its last",
      { first, last },
    );
    this.#reader = reader;
    this.#applyingBytesMax = applyingBytesMax;
    this.#terms = new TermRuns(first - 1, storedTerm(reader, first - 1));
    for (let index = first; index <= last; index += 1) this.#terms.append(index, storedTerm(reader, index));
    this.#unstable = new Unstable(last + 1);
    this.#committed = first - 1;
    this.#applying = first - 1;
    this.#applied = first - 1;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  /** The last entry that the state machine was given. */
  get handedOut(): number {
    return this.#applying;
  }

  get lastIndex(): number {
    return this.#terms.lastIndex;
  }

  get lastTerm(): number {
    return this.#terms.lastTerm;
  }

  get unstable(): Unstable {
    return this.#unstable;
  }

  firstIndex(): number {
    const restored = this.#unstable.snapshot;
    return restored === undefined ? this.#reader.firstIndex() : restored.index + 1;
  }

  /** The term at an index, from one below the first to the last; undefined when compacted or not there. */
  term(index: number): number | undefined {
    return index < this.firstIndex() - 1 ? undefined : this.#terms.at(index);
  }

  /** True when this log has that very entry, or once had it. */
  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Section 5.4.1: a log is at least as up to date when its last term is higher, or equal and as long. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Where a log with `term` at `index` or above may still agree with this one. */
  lastAtMost(index: number, term: number): number {
    return this.#terms.lastAtMost(index, term);
  }

  /** Appends a leader's own entries. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = (entries[0] as Entry).index;
    if (first <= this.#committed) {
      invariant(false, "a committed entry is never replaced", { first, committed: this.#committed });
    }
    if (first <= this.lastIndex) this.#terms.truncateFrom(first);
    if (this.#changes.length > 0) this.#changes = this.#changes.filter((index) => index < first);
    for (const entry of entries) {
      this.#terms.append(entry.index, entry.term);
      if (entry.kind === "config") this.#changes.push(entry.index);
    }
    this.#unstable.append(entries);
  }

  /** Looks for `config` entries in what the storage has and nobody has applied. */
  findChanges(): void {
    let from = this.#applied + 1;
    while (from <= this.lastIndex) {
      const entries = this.slice(from, this.lastIndex + 1, SCAN_BYTES);
      for (const { kind, index } of entries) if (kind === "config") this.#changes.push(index);
      from += entries.length;
    }
  }

  /** Whether a change of members is committed here and not in force yet. */
  get hasUnappliedChange(): boolean {
    return (this.#changes[0] ?? Infinity) <= this.#committed;
  }

  /**
   * A change of members enters a log only when the one before it is applied. So one that has another behind
   * it is committed, whatever this peer remembers: it must not be two configurations behind.
   */
  commitProvenChanges(): void {
    const proven = this.#changes[this.#changes.length - 2];
    if (proven !== undefined) this.commitTo(proven);
  }

  /**
   * Appends what a leader sent after (`index`, `term`), from the first entry that differs on: what is there
   * already stays, since a late message must not cut off what a later one brought (section 5.3).
   * Returns the last index that is now the leader's as well; undefined when the logs do not agree there.
   */
  appendAfter(index: number, term: number, entries: readonly Entry[]): number | undefined {
    if (!this.matches(index, term)) return undefined;
    let same = 0;
    while (same < entries.length) {
      const entry = entries[same] as Entry;
      if (!this.matches(entry.index, entry.term)) break;
      same += 1;
    }
    if (same < entries.length) this.append(same === 0 ? entries : entries.slice(same));
    return index + entries.length;
  }

  /** Raises the commit index, never above the log. Returns whether it rose. */
  commitTo(index: number): boolean {
    if (index <= this.#committed) return false;
    if (index > this.lastIndex) {
      invariant(false, "what is committed is in the log", { index, lastIndex: this.lastIndex });
    }
    this.#committed = index;
    return true;
  }

  /** Entries from `from` to the end, as many as the limit allows; undefined when they were compacted. */
  entriesFrom(from: number, bytesMax: number): readonly Entry[] | undefined {
    if (from > this.lastIndex) return [];
    if (from < this.firstIndex()) return undefined;
    return this.slice(from, this.lastIndex + 1, bytesMax);
  }

  /** Entries from `from` up to, not including, `to`: from the storage, the memory, or both. */
  slice(from: number, to: number, bytesMax: number): readonly Entry[] {
    const { offset } = this.#unstable;
    if (from >= offset) return limitBytes(this.#unstable.slice(from, to), bytesMax);
    const stored = this.#read(from, Math.min(to, offset), bytesMax);
    const next = from + stored.length;
    if (next < offset || to <= offset) return stored;
    return limitBytes([...stored, ...this.#unstable.slice(offset, to)], bytesMax);
  }

  /** True when nextCommitted() would give something. */
  hasNextCommitted(mayBeUnstable: boolean): boolean {
    return (
      !this.#isApplyingPaused &&
      this.#unstable.snapshot === undefined &&
      this.#applying < this.#appliable(mayBeUnstable)
    );
  }

  /** The next committed entries for the state machine, within what it may be given at once. */
  nextCommitted(mayBeUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(mayBeUnstable)) return [];
    const room = Math.max(this.#applyingBytesMax - this.#applyingBytes, 0);
    return this.slice(this.#applying + 1, this.#appliable(mayBeUnstable) + 1, room);
  }

  /** These entries were handed out. */
  applying(entries: readonly Entry[], mayBeUnstable: boolean): void {
    const last = entries[entries.length - 1] as Entry;
    invariant((entries[0] as Entry).index === this.#applying + 1, "entries are applied in order, once", {
      first: entries[0]?.index,
      applying: this.#applying,
    });
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#applying = last.index;
    this.#applyingBytes += bytes;
    this.#batches.push({ lastIndex: last.index, bytes, payload: payloadBytes(entries) });
    this.#isApplyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax || last.index < this.#appliable(mayBeUnstable);
  }

  /** The state machine has applied whole batches up to this index. Returns the bytes of their commands. */
  appliedTo(index: number): number {
    invariant(index >= this.#applied && index <= this.#committed, "what is applied was committed", {
      index,
      applied: this.#applied,
      committed: this.#committed,
    });
    let payload = 0;
    let batch = this.#batches[0];
    while (batch !== undefined && batch.lastIndex <= index) {
      this.#applyingBytes -= batch.bytes;
      payload += batch.payload;
      this.#batches.shift();
      batch = this.#batches[0];
    }
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    while ((this.#changes[0] ?? Infinity) <= index) this.#changes.shift();
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
    this.#terms.forgetBelow(this.firstIndex() - 1);
    return payload;
  }

  /** The snapshot takes the place of everything. */
  restore(snapshot: Snapshot): void {
    invariant(snapshot.index > this.#committed, "a snapshot goes beyond what is committed", {
      snapshot: snapshot.index,
      committed: this.#committed,
    });
    this.#terms = new TermRuns(snapshot.index, snapshot.term);
    this.#changes = [];
    this.#unstable.restore(snapshot);
    this.#committed = snapshot.index;
  }

  /** The snapshot to send to a peer that needs entries which are gone; undefined while there is none. */
  snapshot(): Snapshot | undefined {
    const snapshot = this.#unstable.snapshot ?? this.#reader.snapshot();
    if (snapshot === undefined) return undefined;
    const { index, term, parts } = snapshot;
    const known = this.#terms.at(index);
    invariant(
      index > 0 && index <= this.#committed && parts.length > 0 && (known === undefined || known === term),
      "a snapshot is of committed entries, with their term",
      { index, term, known, committed: this.#committed, parts: parts.length },
    );
    return snapshot;
  }

  #appliable(mayBeUnstable: boolean): number {
    return mayBeUnstable ? this.#committed : Math.min(this.#committed, this.#unstable.offset - 1);
  }

  #read(from: number, to: number, bytesMax: number): readonly Entry[] {
    const entries = this.#reader.entries(from, to, bytesMax);
    invariant(entries.length > 0 && entries.length <= to - from, "the storage has what it was given", {
      from,
      to,
      got: entries.length,
    });
    for (let at = 0; at < entries.length; at += 1) {
      const entry = entries[at];
      if (entry?.index !== from + at || entry.term !== this.#terms.at(entry.index)) {
        invariant(false, "the storage gives back the entries that it was given", {
          wanted: from + at,
          wantedTerm: this.#terms.at(from + at),
          index: entry?.index,
          term: entry?.term,
        });
      }
    }
    return entries;
  }
}

function storedTerm(reader: LogReader, index: number): number {
  const term = reader.term(index);
  invariant(term !== undefined && Number.isSafeInteger(term) && term >= 0, "the storage knows its terms", {
    index,
    term,
  });
  return term;
}
