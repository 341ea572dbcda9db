/**
 * A message is taken in: first its term (paper, section 5.1: a later one makes a follower of anybody, an
 * earlier one is refused), then what it says to the role that this peer has now.
 */
import type { Refusal } from "../message/check.ts";
import { isResponse, type Message, MessageDraft, NOBODY } from "../message/message.ts";
import {
  firstCampaign,
  handleVote,
  handleVoteResponse,
  learnCommit,
  maybeCampaign,
  tellCommit,
} from "./election.ts";
import { handleAppend, handleHeartbeat } from "./following.ts";
import { handlePropose } from "./proposing.ts";
import { confirmRound, handleReadIndex, handleReadIndexResponse } from "./reading.ts";
import { handleAppendResponse, handleHeartbeatResponse } from "./replication.ts";
import { handleSnapshot, handleSnapshotResponse } from "./snapshots.ts";
import type { RaftState } from "./state.ts";
import { handleTransferLeader } from "./transfer.ts";
import { becomeFollower, followLeader } from "./transitions.ts";

/** Takes a well-formed message in. Returns why it was refused; undefined when it was not. */
export function stepMessage(state: RaftState, message: Message): Refusal | undefined {
  if (isResponse(message.type) && state.tracker.of(message.from) === undefined) return "stranger";
  if (message.knownTerm > 0) learnCommit(state, message);
  if (message.term > state.term) {
    if (isInLease(state, message)) return "lease";
    enterTerm(state, message);
  } else if (message.term !== 0 && message.term < state.term) {
    answerStale(state, message);
    return "stale";
  }
  return dispatch(state, message);
}

/** Campaigns as silence would make it. */
export function campaign(state: RaftState): void {
  maybeCampaign(state, firstCampaign(state));
}

/** Section 6: while a leader is heard, nobody is helped to depose it, unless it asked for that itself. */
function isInLease(state: RaftState, message: Message): boolean {
  if (message.type !== "vote" && message.type !== "preVote") return false;
  if (message.force || !state.settings.checkQuorum || state.leader === NOBODY) return false;
  return state.electionElapsed < state.settings.electionTicks;
}

function enterTerm(state: RaftState, message: Message): void {
  const { type, term, from } = message;
  // A question about a later term, or a yes to our own, is not yet that term.
  if (type === "preVote" || (type === "preVoteResponse" && !message.reject)) return;
  const isFromLeader = type === "append" || type === "heartbeat" || type === "snapshot";
  becomeFollower(state, term, isFromLeader ? from : NOBODY);
}

function answerStale(state: RaftState, message: Message): void {
  const { type, from } = message;
  const { checkQuorum, preVote } = state.settings;
  if ((checkQuorum || preVote) && (type === "heartbeat" || type === "append")) {
    // A peer in a later term could neither win nor follow for ever: its term tells the leader to step down.
    state.sendAfterSync(new MessageDraft("appendResponse", from));
  } else if (type === "preVote") {
    // One that fell behind learns the term that it must beat.
    const answer = new MessageDraft("preVoteResponse", from);
    tellCommit(state, answer);
    answer.reject = true;
    state.sendAfterSync(answer);
  }
}

function dispatch(state: RaftState, message: Message): Refusal | undefined {
  switch (message.type) {
    case "vote":
    case "preVote":
      handleVote(state, message);
      return undefined;
    case "append":
    case "heartbeat":
    case "snapshot":
      return fromLeader(state, message);
    case "voteResponse":
    case "preVoteResponse":
      if (state.role === "candidate" || state.role === "preCandidate") handleVoteResponse(state, message);
      return undefined;
    case "appendResponse":
    case "heartbeatResponse":
    case "snapshotResponse":
      return state.role === "leader" ? fromMember(state, message) : undefined;
    case "propose":
      handlePropose(state, message);
      return undefined;
    case "proposeRefused":
      state.refusedProposals.push(message.context);
      return undefined;
    case "readIndex":
      handleReadIndex(state, message);
      return undefined;
    case "readIndexResponse":
      handleReadIndexResponse(state, message);
      return undefined;
    case "transferLeader":
      handleTransferLeader(state, message.context);
      return undefined;
    case "timeoutNow":
      // The leader knows that this is no partition, so nobody is asked before.
      if (state.role === "follower") maybeCampaign(state, "transfer");
      return undefined;
    default:
      return "type";
  }
}

function fromLeader(state: RaftState, message: Message): Refusal | undefined {
  const { from, type } = message;
  if (state.role === "leader") return "leader";
  if (state.role === "follower" && state.leader !== NOBODY && state.leader !== from) return "leader";
  // A leader knows from this peer's own acknowledgements what it has: less means that its disk forgot.
  if (type === "heartbeat" && message.commitIndex > state.log.lastIndex) return "beyondLog";
  followLeader(state, from);
  if (type === "append") handleAppend(state, message);
  else if (type === "heartbeat") handleHeartbeat(state, message);
  else handleSnapshot(state, message);
  return undefined;
}

function fromMember(state: RaftState, message: Message): Refusal | undefined {
  const progress = state.tracker.of(message.from);
  if (progress === undefined) return "stranger";
  if (message.type === "appendResponse") {
    if (!message.reject && message.index > state.log.lastIndex) return "beyondLog";
    handleAppendResponse(state, progress, message);
  } else if (message.type === "heartbeatResponse") {
    handleHeartbeatResponse(state, progress, message);
    if (message.context > 0) confirmRound(state, message);
  } else {
    handleSnapshotResponse(state, progress, message);
  }
  return undefined;
}
