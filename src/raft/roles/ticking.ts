/**
 * Time passes. A follower that hears nothing campaigns; a leader sends heartbeats and, once in an election
 * timeout, steps down if it did not hear a quorum since the last time (thesis, 6.2).
 */
import { NOBODY } from "../message/message.ts";
import { maybeLeaveJoint } from "./proposing.ts";
import { openRound, tickReads } from "./reading.ts";
import { broadcastHeartbeat } from "./replication.ts";
import { tickTransfers } from "./snapshots.ts";
import type { RaftState } from "./state.ts";
import { campaign } from "./step.ts";
import { abortTransfer, becomeFollower } from "./transitions.ts";

export function tick(state: RaftState): void {
  state.ticks += 1;
  if (state.role === "leader") tickLeader(state);
  else tickElection(state);
}

function tickElection(state: RaftState): void {
  tickReads(state);
  state.electionElapsed += 1;
  if (!state.isPromotable || !state.isPastElectionTimeout) return;
  state.electionElapsed = 0;
  campaign(state);
}

function tickLeader(state: RaftState): void {
  const { settings } = state;
  state.heartbeatElapsed += 1;
  state.electionElapsed += 1;
  if (state.electionElapsed >= settings.electionTicks) {
    state.electionElapsed = 0;
    if (settings.checkQuorum) checkQuorum(state);
    if (state.role === "leader") giveUpTransfer(state);
  }
  if (state.role !== "leader") return;
  tickTransfers(state);
  if (state.heartbeatElapsed < settings.heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  broadcastHeartbeat(state, openRound(state));
}

/** The leader goes on; what it put off because of the transfer is due. */
function giveUpTransfer(state: RaftState): void {
  if (state.transferee === NOBODY) return;
  abortTransfer(state);
  maybeLeaveJoint(state);
}

function checkQuorum(state: RaftState): void {
  const { tracker, id } = state;
  if (!tracker.isQuorumActive()) becomeFollower(state, state.term, NOBODY);
  for (const peerId of tracker.members) {
    const progress = tracker.of(peerId);
    if (peerId !== id && progress !== undefined) progress.isRecentlyActive = false;
  }
}
