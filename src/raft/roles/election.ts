/**
 * Elections (paper, sections 5.2 and 5.4.1; pre-vote: thesis, 9.6). A peer that hears no leader asks first
 * whether it could win, then spends a term on it. A vote goes to the first who asks in a term and whose log
 * is at least as up to date, and leaves only when the disk knows it.
 */
import { invariant } from "../../invariant.ts";
import { votersOf } from "../group/config.ts";
import { type Message, MessageDraft, NOBODY, voteResponseType } from "../message/message.ts";
import { appendOwn, broadcastAppend, EMPTY_COMMAND } from "./replication.ts";
import type { RaftState } from "./state.ts";
import { becomeCandidate, becomeFollower, becomePreCandidate, takeLead } from "./transitions.ts";

/** `transfer`: a leader asked this peer to take over, so nobody's lease stands in the way. */
export type Campaign = "preElection" | "election" | "transfer";

/** Campaigns, unless this peer leads or may not lead. */
export function maybeCampaign(state: RaftState, campaign: Campaign): void {
  if (state.role === "leader" || !state.isPromotable) return;
  // It might not be a voter any more, or not know of voters that are.
  if (state.log.hasUnappliedChange) return;
  startCampaign(state, campaign);
}

/** The campaign that silence or the driver starts. */
export function firstCampaign(state: RaftState): Campaign {
  return state.settings.preVote ? "preElection" : "election";
}

/** A request for a vote, real or not. */
export function handleVote(state: RaftState, message: Message): void {
  const { from, type } = message;
  const isPre = type === "preVote";
  const mayVote =
    state.votedFor === from ||
    (state.votedFor === NOBODY && state.leader === NOBODY) ||
    // A vote that may be asked for later is not this term's.
    (isPre && message.term > state.term);
  const answer = new MessageDraft(voteResponseType(type), from);
  tellCommit(state, answer);
  if (!mayVote || !state.log.isUpToDate(message.index, message.logTerm)) {
    answer.reject = true;
    state.sendAfterSync(answer);
    return;
  }
  // A learner grants as well: it may be a voter already in a configuration that it has not applied.
  // The answer carries the asker's term, or an asker ahead of us would take it for a late one.
  state.sendAfterSync(answer, message.term);
  if (isPre) return;
  invariant(message.term === state.term, "a vote is given in the own term", { term: state.term });
  state.electionElapsed = 0;
  state.votedFor = from;
}

/** Whoever talks about votes says what it knows to be committed. */
export function tellCommit(state: RaftState, message: MessageDraft): void {
  const { committed } = state.log;
  message.knownIndex = committed;
  message.knownTerm = state.log.term(committed) ?? 0;
}

/**
 * Who asks for a vote, or answers, says up to where it knows the log to be committed. If this log has that
 * very entry, it is committed here too: a peer whose promotion is in its log, and whom others need, learns of
 * it, and so does one that still counts a voter which was removed.
 */
export function learnCommit(state: RaftState, { knownIndex, knownTerm }: Message): void {
  if (state.role === "leader" || knownTerm === 0 || !state.log.matches(knownIndex, knownTerm)) return;
  // An election goes on only among the members with which it began.
  const isNews = state.log.commitTo(knownIndex);
  if (isNews && state.role !== "follower" && state.log.hasUnappliedChange) {
    becomeFollower(state, state.term, NOBODY);
  }
}

export function handleVoteResponse(state: RaftState, message: Message): void {
  const isPre = state.role === "preCandidate";
  // As a candidate, late answers to the question before are of no interest.
  if ((message.type === "preVoteResponse") !== isPre) return;
  const outcome = state.tracker.recordVote(message.from, !message.reject);
  if (outcome === "lost") becomeFollower(state, state.term, NOBODY);
  else if (outcome === "won" && isPre) startCampaign(state, "election");
  else if (outcome === "won") becomeLeader(state);
}

function startCampaign(state: RaftState, campaign: Campaign): void {
  const isPre = campaign === "preElection";
  if (isPre) becomePreCandidate(state);
  else becomeCandidate(state);
  const term = isPre ? state.term + 1 : state.term;
  const type = isPre ? "preVote" : "vote";
  const { lastIndex, lastTerm } = state.log;
  for (const peerId of votersOf(state.tracker.config)) {
    if (peerId === state.id) {
      // The own vote counts once it is on the disk, like any other.
      state.sendAfterSync(new MessageDraft(voteResponseType(type), peerId), term);
      continue;
    }
    const message = new MessageDraft(type, peerId);
    message.index = lastIndex;
    message.logTerm = lastTerm;
    message.force = campaign === "transfer";
    tellCommit(state, message);
    // Asking for a vote promises never to ask in this term with another log: a crash must not undo that.
    if (isPre || !state.settings.questionsWait) state.sendInTerm(message, term);
    else state.sendAfterSync(message, term);
  }
}

/** The entry that opens the term lets all before it be committed (section 8). */
function becomeLeader(state: RaftState): void {
  takeLead(state);
  const isAppended = appendOwn(state, [EMPTY_COMMAND]);
  invariant(isAppended, "an empty entry is never refused", { term: state.term });
  broadcastAppend(state, true);
}
