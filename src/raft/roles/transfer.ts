/**
 * Leadership is handed over (thesis, 3.10): the leader stops taking proposals, brings the peer up to date,
 * and tells it to campaign at once. If that has not worked after an election timeout, the leader goes on.
 */
import { MessageDraft, NOBODY } from "../message/message.ts";
import { maybeSendAppend, sendTimeoutNow } from "./replication.ts";
import type { RaftState } from "./state.ts";
import { abortTransfer } from "./transitions.ts";

/** Why leadership is not handed over; undefined when it is on its way. */
export type TransferRefusal = "noLeader" | "notVoter";

/** Hands leadership to a peer, or asks the leader to. */
export function transferLeadership(state: RaftState, to: number): TransferRefusal | undefined {
  if (state.role === "leader") return handleTransferLeader(state, to);
  if (state.role !== "follower" || state.leader === NOBODY) return "noLeader";
  const message = new MessageDraft("transferLeader", state.leader);
  message.context = to;
  state.forward(message);
  return undefined;
}

export function handleTransferLeader(state: RaftState, to: number): TransferRefusal | undefined {
  if (state.role !== "leader") return "noLeader";
  const progress = state.tracker.of(to);
  if (progress === undefined || progress.isLearner) return "notVoter";
  if (state.transferee === to) return undefined;
  abortTransfer(state);
  if (to === state.id) return undefined;
  // It is to be done within one election timeout from here.
  state.electionElapsed = 0;
  state.transferee = to;
  if (progress.matchIndex === state.log.lastIndex) sendTimeoutNow(state, to);
  else maybeSendAppend(state, to, true);
  return undefined;
}
