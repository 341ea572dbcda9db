/**
 * The end of the log that is not yet known to be on this peer's disk: entries that wait to be handed out,
 * entries whose write is under way, and a snapshot that is to replace everything. Entries are handed out
 * once; when an append truncates what was already handed out, the new ones are handed out again.
 */
import { invariant } from "../../invariant.ts";
import type { Entry } from "./entry.ts";
import type { Snapshot } from "./snapshot.ts";

export class Unstable {
  /** The index of `#entries[0]`: everything below is on the disk. */
  #offset: number;
  #entries: Entry[] = [];
  /** The first index that was not handed out; between the two, writes are under way. */
  #nextWrite: number;
  #snapshot: Snapshot | undefined;
  #isSnapshotHandedOut = false;
  /** How often something was cut off: a write that was handed out before may be overwritten later. */
  #truncations = 0;

  constructor(offset: number) {
    this.#offset = offset;
    this.#nextWrite = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get truncations(): number {
    return this.#truncations;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** The snapshot, until it was handed out. */
  get nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotHandedOut ? undefined : this.#snapshot;
  }

  get hasNextEntries(): boolean {
    return this.#nextWrite < this.#offset + this.#entries.length;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The entries that were never handed out. */
  nextEntries(): readonly Entry[] {
    return this.#entries.slice(this.#nextWrite - this.#offset);
  }

  /** Whatever is next is now being written. */
  handOut(): void {
    this.#nextWrite = this.#offset + this.#entries.length;
    if (this.#snapshot !== undefined) this.#isSnapshotHandedOut = true;
  }

  /** Entries from `from` up to, not including, `to`; all of them are here. */
  slice(from: number, to: number): readonly Entry[] {
    const end = this.#offset + this.#entries.length;
    if (from < this.#offset || to > end || from > to) {
      invariant(false, "a slice lies within what is unstable", { from, to, offset: this.#offset, end });
    }
    return this.#entries.slice(from - this.#offset, to - this.#offset);
  }

  /** Puts entries at their index; whatever stood there or above is gone. */
  append(entries: readonly Entry[]): void {
    const first = (entries[0] as Entry).index;
    const end = this.#offset + this.#entries.length;
    invariant(first <= end, "appended entries leave no gap", { first, end });
    if (first < end) this.#truncateFrom(first);
    if (first < this.#offset) {
      // What is on the disk is cut as well, when the first of these is written over it.
      this.#offset = first;
      this.#nextWrite = first;
      this.#truncations += 1;
    }
    for (const entry of entries) this.#entries.push(entry);
  }

  /** All writes that were handed out up to this entry are on the disk. */
  stableTo(index: number): void {
    const written = index - this.#offset + 1;
    if (written <= 0) return;
    invariant(index < this.#nextWrite, "only what was handed out is on the disk", {
      index,
      nextWrite: this.#nextWrite,
    });
    // A copy that is no longer than what is left; shift() would move it once for each entry.
    this.#entries = written === this.#entries.length ? [] : this.#entries.slice(written);
    this.#offset = index + 1;
  }

  /** The snapshot is on the disk. */
  snapshotStable(index: number): void {
    if (this.#snapshot?.index !== index) return;
    this.#snapshot = undefined;
    this.#isSnapshotHandedOut = false;
  }

  /** The snapshot replaces the log. */
  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.index + 1;
    this.#nextWrite = this.#offset;
    this.#entries = [];
    this.#snapshot = snapshot;
    this.#isSnapshotHandedOut = false;
    this.#truncations += 1;
  }

  #truncateFrom(index: number): void {
    const kept = Math.max(index - this.#offset, 0);
    if (kept < this.#entries.length) this.#entries.length = kept;
    if (this.#nextWrite > index) {
      this.#nextWrite = Math.max(index, this.#offset);
      this.#truncations += 1;
    }
  }
}
