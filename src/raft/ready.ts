/**
 * What the core wants done, in this order:
 *
 * 1. `messages` may leave at once, even before the write: the disk and the network work side by side.
 * 2. Term and vote, `snapshot`, `entries`, commit index: written in this order, Ready by Ready. If `mustSync`
 *    says so, they are on the disk before the next step. A snapshot is restored into the state machine too.
 * 3. `messagesAfterSync` leave; they promise what was written. Then `persisted(write)` is called.
 * 4. `committed` is applied, then `applied(index)` is called.
 */
import type { Entry } from "./log/entry.ts";
import type { HardState } from "./log/reader.ts";
import type { Snapshot } from "./log/snapshot.ts";
import type { Message } from "./message/message.ts";
import type { ConfirmedRead } from "./roles/reads-queue.ts";
import type { Role } from "./roles/state.ts";

export interface RoleChange {
  readonly role: Role;
  /** NOBODY while none is known. */
  readonly leader: number;
  readonly term: number;
}

export interface Ready {
  /** Names the write in `persisted()`; 0 when there is nothing to write and nothing waits for a write. */
  readonly write: number;
  /** To be stored, when it changed. */
  readonly hardState: HardState | undefined;
  /** To be appended; what the log has at their indexes and above is replaced. */
  readonly entries: readonly Entry[];
  /** Takes the place of the whole log and of the state machine's state. */
  readonly snapshot: Snapshot | undefined;
  readonly mustSync: boolean;
  readonly messages: readonly Message[];
  readonly messagesAfterSync: readonly Message[];
  /** What this peer acknowledges to itself: taken in by `persisted()`, and here to be looked at only. */
  readonly toSelf: readonly Message[];
  /** To be applied, in order; those of kind `config` by `applyChange()` as well. */
  readonly committed: readonly Entry[];
  /** Reads that the state answers once it has applied up to their index. */
  readonly reads: readonly ConfirmedRead[];
  /** Contexts of reads that will not be confirmed; they may be asked for again. */
  readonly refusedReads: readonly number[];
  /**
   * Ids of forwarded proposals that a leader did not take. They did not happen, unless the network repeats
   * messages: then another copy may have been taken.
   */
  readonly refusedProposals: readonly number[];
  /** When role, leader or term are others than in the Ready before. */
  readonly roleChange: RoleChange | undefined;
}
