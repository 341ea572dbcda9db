/**
 * Linearizable reads without the log (thesis, 6.4): a leader notes its commit index, makes sure that a
 * quorum still knows it as the leader, and answers once so much is applied. It cannot know the commit index
 * before it has committed an entry of its own term, so until then reads wait.
 */
import { type Message, MessageDraft, NOBODY } from "../message/message.ts";
import type { ReadRequest } from "./reads-queue.ts";
import { broadcastHeartbeat } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Rounds that may be without an answer before the next batch waits for one. */
const ROUNDS_MAX = 64;

/** Whether flushReads would do something. */
export function canFlushReads(state: RaftState): boolean {
  const { reads } = state;
  if (reads.waiting.length === 0) return false;
  if (state.role !== "leader") return true;
  return state.hasCommittedInTerm && reads.rounds.length < ROUNDS_MAX;
}

/** Sends all reads that wait on their way as one batch. */
export function flushReads(state: RaftState): void {
  if (!canFlushReads(state)) return;
  const { reads, log } = state;
  const requests = reads.takeWaiting();
  if (state.role !== "leader") {
    forwardBatch(state, requests);
    return;
  }
  if (hasLease(state) || state.tracker.isAlone(state.id)) {
    answer(state, requests, log.committed);
    return;
  }
  const round = beginRound(state);
  reads.rounds.push({ round, index: log.committed, requests });
  broadcastHeartbeat(state, round);
}

/** The round that a tick's heartbeats carry, so that the answers to any of them confirm what waits. */
export function openRound(state: RaftState): number {
  // With leases each heartbeat may prolong the lease.
  if (state.settings.reads === "lease") return beginRound(state);
  return state.reads.rounds.length === 0 ? 0 : state.reads.lastRound;
}

/** A follower still knew us as its leader when it got that round. */
export function confirmRound(state: RaftState, message: Message): void {
  const { reads, tracker } = state;
  const progress = tracker.of(message.from);
  if (progress === undefined || message.context > reads.lastRound) return;
  progress.ackedRound = Math.max(progress.ackedRound, message.context);
  answerConfirmed(state);
}

/** Answers the rounds in which a quorum knew its leader: of the configuration that is in force now. */
export function answerConfirmed(state: RaftState): void {
  const { reads } = state;
  const confirmed = state.tracker.quorumRound();
  while ((reads.sent[0]?.round ?? Infinity) <= confirmed) reads.leaseFrom = reads.sent.shift()?.tick;
  const rounds = reads.takeRounds(confirmed);
  for (const { index, requests } of rounds) answer(state, requests, index);
}

/** A follower forwards a batch of reads. */
export function handleReadIndex(state: RaftState, message: Message): void {
  if (state.role === "leader" && state.reads.pending < state.settings.readsMax) {
    state.reads.add({ from: message.from, context: message.context });
    return;
  }
  const refusal = new MessageDraft("readIndexResponse", message.from);
  refusal.context = message.context;
  refusal.reject = true;
  state.send(refusal);
}

/** The leader answers a batch of ours. */
export function handleReadIndexResponse(state: RaftState, message: Message): void {
  const { reads } = state;
  const at = reads.forwarded.findIndex((batch) => batch.id === message.context);
  const batch = reads.forwarded[at];
  if (batch === undefined) return;
  reads.forwarded.splice(at, 1);
  reads.settle(batch.contexts.length);
  for (const context of batch.contexts) {
    if (message.reject) reads.refused.push(context);
    else reads.confirmed.push({ context, index: message.index });
  }
}

/** A batch that nobody answers for an election timeout is refused: it, or its answer, was lost. */
export function tickReads(state: RaftState): void {
  const { reads } = state;
  for (const batch of reads.forwarded) batch.ticks += 1;
  while (reads.forwarded.length > 0) {
    const [oldest] = reads.forwarded;
    if (oldest === undefined || oldest.ticks < state.settings.electionTicks) return;
    reads.forwarded.shift();
    reads.settle(oldest.contexts.length);
    reads.refused.push(...oldest.contexts);
  }
}

/**
 * Thesis, 6.4.1: a quorum heard this leader less than an election timeout ago, counted from before it was
 * sent, and one tick less since the ticks of peers are not in step. A vote that the leader itself asked for
 * heeds no lease, so from there on the term has none.
 */
function hasLease({ settings, reads, ticks, transferee, hasHandedOver }: RaftState): boolean {
  if (settings.reads !== "lease" || reads.leaseFrom === undefined) return false;
  if (transferee !== NOBODY || hasHandedOver) return false;
  return ticks - reads.leaseFrom < settings.electionTicks - 1;
}

function beginRound(state: RaftState): number {
  const { reads, settings, ticks } = state;
  reads.lastRound += 1;
  const own = state.tracker.of(state.id);
  if (own !== undefined) own.ackedRound = reads.lastRound;
  if (settings.reads === "lease") {
    reads.sent = reads.sent.filter((one) => ticks - one.tick < settings.electionTicks);
    reads.sent.push({ round: reads.lastRound, tick: ticks });
  }
  return reads.lastRound;
}

function forwardBatch(state: RaftState, requests: readonly ReadRequest[]): void {
  const { reads } = state;
  const contexts = requests.map((request) => request.context);
  if (state.leader === NOBODY) {
    reads.settle(contexts.length);
    reads.refused.push(...contexts);
    return;
  }
  const id = state.nextForwardId();
  reads.forwarded.push({ id, contexts, ticks: 0 });
  const message = new MessageDraft("readIndex", state.leader);
  message.context = id;
  state.forward(message);
}

function answer(state: RaftState, requests: readonly ReadRequest[], index: number): void {
  const { reads } = state;
  reads.settle(requests.length);
  for (const { from, context } of requests) {
    if (from === state.id) {
      reads.confirmed.push({ context, index });
      continue;
    }
    const message = new MessageDraft("readIndexResponse", from);
    message.context = context;
    message.index = index;
    state.send(message);
  }
}
