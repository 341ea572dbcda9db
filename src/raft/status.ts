/** A look at a peer from outside: for dashboards, drivers and tests. Nothing in it changes the core. */
import type { Config } from "./group/config.ts";
import type { Progress, ProgressState } from "./group/progress.ts";
import type { Refusal } from "./message/check.ts";
import type { RaftState, Role } from "./roles/state.ts";

export interface PeerProgress {
  readonly peerId: number;
  readonly state: ProgressState;
  readonly matchIndex: number;
  readonly nextIndex: number;
  readonly isLearner: boolean;
  readonly isRecentlyActive: boolean;
  readonly isThrottled: boolean;
  /** The snapshot that is on its way; 0 for none. */
  readonly pendingSnapshot: number;
  /** Appends on their way. */
  readonly inflights: number;
  readonly isWindowFull: boolean;
}

export interface RaftStatus {
  readonly peerId: number;
  readonly term: number;
  readonly votedFor: number;
  readonly role: Role;
  readonly leader: number;
  readonly isLearner: boolean;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly uncommittedBytes: number;
  readonly electionElapsed: number;
  readonly electionTimeout: number;
  /** The peer that shall lead next; NOBODY for none. */
  readonly transferee: number;
  readonly config: Config;
  /** Of each member, when this peer leads. */
  readonly progress: readonly PeerProgress[];
  /** Messages that were refused, by reason. */
  readonly refusals: Readonly<Record<Refusal, number>>;
}

export function statusOf(state: RaftState, refusals: ReadonlyMap<Refusal, number>): RaftStatus {
  const { log, tracker } = state;
  const isLeader = state.role === "leader";
  return {
    peerId: state.id,
    term: state.term,
    votedFor: state.votedFor,
    role: state.role,
    leader: state.leader,
    isLearner: state.isLearner,
    firstIndex: log.firstIndex(),
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    commitIndex: log.committed,
    appliedIndex: log.applied,
    uncommittedBytes: state.uncommittedBytes,
    electionElapsed: state.electionElapsed,
    electionTimeout: state.electionTimeout,
    transferee: state.transferee,
    config: tracker.config,
    progress: isLeader ? tracker.members.map((id) => progressOf(id, tracker.of(id) as Progress)) : [],
    refusals: Object.fromEntries(refusals) as Record<Refusal, number>,
  };
}

function progressOf(peerId: number, progress: Progress): PeerProgress {
  return {
    peerId,
    state: progress.state,
    matchIndex: progress.matchIndex,
    nextIndex: progress.nextIndex,
    isLearner: progress.isLearner,
    isRecentlyActive: progress.isRecentlyActive,
    isThrottled: progress.isThrottled,
    pendingSnapshot: progress.pendingSnapshot,
    inflights: progress.inflights.count,
    isWindowFull: progress.inflights.isFull,
  };
}
