/**
 * What a leader knows of one peer, and how it feeds it. Three states:
 *
 * - `probe`: it is not known where the logs agree; one append at a time, until one is answered.
 * - `replicate`: they agree; appends leave ahead of their answers, as far as the window allows.
 * - `snapshot`: what the peer needs is gone from the log; appends rest until a snapshot has arrived.
 *
 * Always: matchIndex < nextIndex. matchIndex never falls while the leader leads.
 */
import { invariant } from "../../invariant.ts";
import type { Snapshot } from "../log/snapshot.ts";
import { type InflightLimits, Inflights } from "./inflights.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

/** A snapshot on its way to a peer. */
export interface SnapshotTransfer {
  readonly snapshot: Snapshot;
  /** The first part that the peer has not acknowledged. */
  acknowledged: number;
  /** The part that its last answer wanted: less than it had acknowledged, if it was restarted. */
  wanted: number;
  /** The first part that was not sent. */
  next: number;
  /** The part that was last sent again because a later one arrived before it. */
  resent: number;
  /** Ticks since the peer last acknowledged a part that was new. */
  idleTicks: number;
}

export class Progress {
  state: ProgressState = "probe";
  matchIndex = 0;
  nextIndex: number;
  /** The highest commit index that was sent. */
  sentCommit = 0;
  /** The index of the snapshot that was sent, in state `snapshot`. */
  pendingSnapshot = 0;
  transfer: SnapshotTransfer | undefined = undefined;
  /** Heard of since the last check of the quorum. */
  isRecentlyActive: boolean;
  /** No append leaves before the peer answers something. */
  isPaused = false;
  isLearner: boolean;
  /** The latest round of reads in which the peer knew us as its leader. */
  ackedRound = 0;
  readonly inflights: Inflights;

  constructor(nextIndex: number, isLearner: boolean, isRecentlyActive: boolean, limits: InflightLimits) {
    this.nextIndex = nextIndex;
    this.isLearner = isLearner;
    this.isRecentlyActive = isRecentlyActive;
    this.inflights = new Inflights(limits);
  }

  /** No append may leave now. */
  get isThrottled(): boolean {
    return this.state === "snapshot" || this.isPaused;
  }

  becomeProbe(): void {
    // A snapshot that was reported as arrived counts, although no answer has said so yet.
    const next =
      this.state === "snapshot" ? Math.max(this.matchIndex, this.pendingSnapshot) : this.matchIndex;
    this.#enter("probe");
    this.nextIndex = next + 1;
    this.sentCommit = Math.min(this.sentCommit, next);
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.nextIndex = this.matchIndex + 1;
  }

  becomeSnapshot(snapshot: Snapshot): void {
    this.#enter("snapshot");
    this.pendingSnapshot = snapshot.index;
    this.nextIndex = Math.max(snapshot.index, this.matchIndex) + 1;
    this.sentCommit = snapshot.index;
    this.transfer = { snapshot, acknowledged: 0, wanted: 0, next: 0, resent: -1, idleTicks: 0 };
  }

  /** An append with so many entries was sent. */
  sentEntries(entries: number, bytes: number): void {
    if (this.state === "probe") {
      if (entries > 0) this.isPaused = true;
      return;
    }
    if (entries > 0) {
      this.nextIndex += entries;
      this.inflights.add(this.nextIndex - 1, entries, bytes);
    }
    // An append into a full window is a probe: the next one waits for an answer.
    this.isPaused = this.inflights.isFull;
  }

  /** Whether telling this commit index would move the peer's. */
  canRaiseCommit(commitIndex: number): boolean {
    return commitIndex > this.sentCommit && this.sentCommit < this.nextIndex - 1;
  }

  /** The peer acknowledged up to this index. Returns whether that is news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    this.isPaused = false;
    return true;
  }

  /** The peer refused the append after `refused` and hints where to try. Returns whether that is news. */
  maybeStepBack(refused: number, hint: number): boolean {
    if (this.state === "replicate") {
      // Late: it was acknowledged since.
      if (refused <= this.matchIndex) return false;
      this.nextIndex = this.matchIndex + 1;
      this.sentCommit = Math.min(this.sentCommit, this.matchIndex);
      return true;
    }
    // Late or repeated: one probe at a time is out, and it began elsewhere.
    if (this.nextIndex - 1 !== refused) return false;
    this.nextIndex = Math.max(Math.min(refused, hint + 1), this.matchIndex + 1);
    this.sentCommit = Math.min(this.sentCommit, this.nextIndex - 1);
    this.isPaused = false;
    return true;
  }

  /** A new term begins for this leader or follower: nothing is known but the end of the own log. */
  reset(lastIndex: number, isSelf: boolean): void {
    this.#enter("probe");
    this.matchIndex = isSelf ? lastIndex : 0;
    this.nextIndex = lastIndex + 1;
    this.sentCommit = 0;
    this.isRecentlyActive = false;
    this.ackedRound = 0;
  }

  #enter(state: ProgressState): void {
    if (this.matchIndex >= this.nextIndex) {
      invariant(false, "a peer is sent what comes after what it has", {
        matchIndex: this.matchIndex,
        nextIndex: this.nextIndex,
      });
    }
    this.state = state;
    this.isPaused = false;
    this.pendingSnapshot = 0;
    this.transfer = undefined;
    this.inflights.reset();
  }
}
