/**
 * From role to role (paper, figure 4). Entering a term forgets the vote of the one before; entering any role
 * forgets what was known of the others, draws a new election timeout, and refuses the reads that were open.
 */
import { invariant } from "../../invariant.ts";
import { NOBODY } from "../message/message.ts";
import type { RaftState } from "./state.ts";

export function becomeFollower(state: RaftState, term: number, leader: number): void {
  reset(state, term);
  state.role = "follower";
  state.leader = leader;
}

/** Asks whether it could win; neither term nor vote change, so that asking disturbs nobody. */
export function becomePreCandidate(state: RaftState): void {
  invariant(state.role !== "leader", "a leader does not campaign", { term: state.term });
  state.tracker.clearVotes();
  state.reads.abandon(state.id);
  state.role = "preCandidate";
  state.leader = NOBODY;
}

export function becomeCandidate(state: RaftState): void {
  invariant(state.role !== "leader", "a leader does not campaign", { term: state.term });
  reset(state, state.term + 1);
  state.role = "candidate";
  state.votedFor = state.id;
}

/** The first half of taking the lead; the entry that opens the term follows. */
export function takeLead(state: RaftState): void {
  invariant(state.role === "candidate" && state.votedFor === state.id, "only a candidate becomes leader", {
    role: state.role,
    term: state.term,
    votedFor: state.votedFor,
  });
  reset(state, state.term);
  state.role = "leader";
  state.leader = state.id;
  const own = state.tracker.of(state.id);
  invariant(own !== undefined, "a leader is a member when it is elected", { id: state.id });
  own.becomeReplicate();
  own.isRecentlyActive = true;
  // Any entry that is not applied yet may be a change of members.
  state.pendingConfigIndex = state.log.lastIndex;
}

/** Learns who leads the term that it is in. */
export function followLeader(state: RaftState, leader: number): void {
  if (state.role !== "follower") becomeFollower(state, state.term, leader);
  else if (state.leader !== leader) {
    invariant(state.leader === NOBODY, "a term has one leader", {
      term: state.term,
      leader: state.leader,
      other: leader,
    });
    state.leader = leader;
  }
  state.electionElapsed = 0;
}

/** Takes the leader for gone, without a word to anybody: whoever asks for a vote next may get it. */
export function forgetLeader(state: RaftState): void {
  if (state.role !== "follower" || state.leader === NOBODY) return;
  state.reads.abandon(state.id);
  state.leader = NOBODY;
}

export function abortTransfer(state: RaftState): void {
  state.transferee = NOBODY;
}

function reset(state: RaftState, term: number): void {
  if (term < state.term) {
    invariant(false, "a peer's term does not fall", { term, before: state.term });
  }
  if (state.term !== term) {
    state.term = term;
    state.votedFor = NOBODY;
  }
  state.leader = NOBODY;
  state.electionElapsed = 0;
  state.heartbeatElapsed = 0;
  state.drawElectionTimeout();
  abortTransfer(state);
  state.hasHandedOver = false;
  state.tracker.clearVotes();
  state.tracker.resetProgress(state.id, state.log.lastIndex);
  state.pendingConfigIndex = 0;
  state.uncommittedBytes = 0;
  state.assembly = undefined;
  state.reads.abandon(state.id);
}
