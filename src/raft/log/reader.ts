/**
 * What the core asks of the storage: to read back what it was given. The answers come at once; whoever
 * keeps the log on a disk keeps what may be asked for in memory as well.
 */
import type { Config } from "../group/config.ts";
import type { Entry } from "./entry.ts";
import type { Snapshot } from "./snapshot.ts";

/** What must be on the disk before any message that promises it leaves. */
export interface HardState {
  readonly term: number;
  /** The peer that this one voted for in `term`, or NOBODY. */
  readonly votedFor: number;
  /** A hint that saves time after a restart; alone it need not be synced. */
  readonly commitIndex: number;
}

/** What a restarted peer finds. */
export interface StoredState {
  readonly hardState: HardState;
  /** The members as of the last snapshot, or as of `appliedIndex` if that is given and higher. */
  readonly config: Config;
  /** Entries up to here were applied before and are not handed out again; 0: from the snapshot on. */
  readonly appliedIndex: number;
}

export interface LogReader {
  /** The first entry that is still there: one above the snapshot's index, or 1. */
  firstIndex(): number;
  /** The last entry, or the snapshot's index when there is none. */
  lastIndex(): number;
  /** The term from `firstIndex() - 1` to `lastIndex()`; undefined outside. */
  term(index: number): number | undefined;
  /** Entries from `from` up to, not including, `to`: as many as `bytesMax` allows, one at least. */
  entries(from: number, to: number, bytesMax: number): readonly Entry[];
  /** The last snapshot; undefined while one is being made. */
  snapshot(): Snapshot | undefined;
}
