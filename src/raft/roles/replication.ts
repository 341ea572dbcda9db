/**
 * A leader feeds its followers (paper, section 5.3) and counts what they have (5.4.2). Each append names the
 * entry before it; a follower that does not have that one refuses with a hint, and the leader steps back by
 * whole terms. An entry is committed when a quorum has it and it is of the leader's own term.
 */
import { invariant } from "../../invariant.ts";
import type { Progress } from "../group/progress.ts";
import { Entry, NO_DATA, payloadBytes } from "../log/entry.ts";
import { type Message, MessageDraft, NOBODY } from "../message/message.ts";
import { startTransfer } from "./snapshots.ts";
import type { RaftState } from "./state.ts";

/** A command that is to become an entry. */
export interface Command {
  readonly kind: Entry["kind"];
  readonly data: Uint8Array;
}

export const EMPTY_COMMAND: Command = { kind: "normal", data: NO_DATA };

/**
 * Appends commands to the leader's own log. False, and nothing is appended, when too many bytes wait to be
 * applied; empty ones always enter, and anything does when nothing waits.
 */
export function appendOwn(state: RaftState, commands: readonly Command[]): boolean {
  let bytes = 0;
  for (const { data } of commands) bytes += data.length;
  const uncommittedBytes = state.uncommittedBytes + bytes;
  const hasRoom = uncommittedBytes <= state.settings.uncommittedBytesMax;
  if (!hasRoom && bytes > 0 && state.uncommittedBytes > 0) return false;
  state.uncommittedBytes = uncommittedBytes;
  const { term, log } = state;
  let index = log.lastIndex;
  const entries: Entry[] = [];
  for (const { kind, data } of commands) {
    index += 1;
    entries.push(new Entry(index, term, kind, data));
  }
  log.append(entries);
  // The leader counts itself once its own disk has them, as it counts any other.
  const own = new MessageDraft("appendResponse", state.id);
  own.index = index;
  state.sendAfterSync(own);
  return true;
}

/** Sends every other member what it lacks; `evenIfEmpty`: those too that lack no entry. */
export function broadcastAppend(state: RaftState, evenIfEmpty: boolean): void {
  for (const peerId of state.tracker.members) {
    if (peerId !== state.id) maybeSendAppend(state, peerId, evenIfEmpty);
  }
}

/** Sends what a peer lacks, as far as it may. Returns whether anything was sent. */
export function maybeSendAppend(state: RaftState, to: number, evenIfEmpty: boolean): boolean {
  const progress = state.tracker.of(to) as Progress;
  if (progress.isThrottled) return false;
  const { log, settings } = state;
  const index = progress.nextIndex - 1;
  const logTerm = log.term(index);
  if (logTerm === undefined) return startTransfer(state, to, progress);
  // Into a full window only an empty append goes: its answer shows whether the others were lost.
  const isFull = progress.state === "replicate" && progress.inflights.isFull;
  const entries = isFull ? [] : log.entriesFrom(progress.nextIndex, settings.appendBytesMax);
  if (entries === undefined) return startTransfer(state, to, progress);
  if (entries.length === 0 && !evenIfEmpty) return false;
  const message = new MessageDraft("append", to);
  message.index = index;
  message.logTerm = logTerm;
  message.entries = entries;
  message.commitIndex = log.committed;
  state.send(message);
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.sentCommit = log.committed;
  return true;
}

/** `context`: the round of reads that the answers confirm; 0 for none. */
export function broadcastHeartbeat(state: RaftState, context: number): void {
  for (const peerId of state.tracker.members) {
    if (peerId === state.id) continue;
    const progress = state.tracker.of(peerId) as Progress;
    // Never beyond what this peer is known to have: it could hold something else there.
    const commitIndex = Math.min(progress.matchIndex, state.log.committed);
    const message = new MessageDraft("heartbeat", peerId);
    message.commitIndex = commitIndex;
    message.context = context;
    state.send(message);
    progress.sentCommit = commitIndex;
  }
}

/** Section 5.4.2: counting commits the own term's entries; those before them come along. */
export function maybeCommit(state: RaftState): boolean {
  const { log } = state;
  const index = state.tracker.quorumIndex();
  if (index <= log.committed || log.term(index) !== state.term) return false;
  return log.commitTo(index);
}

/** A peer, this one included, has entries on its disk, or refuses some. */
export function handleAppendResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.isRecentlyActive = true;
  if (message.reject) {
    stepBack(state, progress, message);
    return;
  }
  const { index, from } = message;
  // A peer that is probed and answers with nothing new is in step again: it may have been unreachable.
  const isBack = progress.matchIndex === index && progress.state === "probe";
  if (!progress.maybeUpdate(index) && !isBack) return;
  if (progress.state === "probe") progress.becomeReplicate();
  else if (progress.state === "snapshot") maybeLeaveSnapshot(state, progress);
  else progress.inflights.freeTo(index);
  if (maybeCommit(state)) broadcastAppend(state, true);
  else if (from !== state.id && progress.canRaiseCommit(state.log.committed)) {
    maybeSendAppend(state, from, true);
  }
  // The answer may have made room for several.
  while (from !== state.id && maybeSendAppend(state, from, false));
  if (from === state.transferee && progress.matchIndex === state.log.lastIndex) sendTimeoutNow(state, from);
}

/** A follower is alive; if it lacks something, or it is unknown what it has, it is told again. */
export function handleHeartbeatResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.isRecentlyActive = true;
  progress.isPaused = false;
  if (progress.matchIndex < state.log.lastIndex || progress.state === "probe") {
    maybeSendAppend(state, message.from, true);
  }
}

/** The driver could not reach a peer: what was sent ahead is probably lost. */
export function handleUnreachable(state: RaftState, peerId: number): void {
  const progress = state.tracker.of(peerId);
  if (progress?.state === "replicate") progress.becomeProbe();
}

/** The driver knows how the sending of a snapshot ended. */
export function handleSnapshotStatus(state: RaftState, peerId: number, hasArrived: boolean): void {
  const progress = state.tracker.of(peerId);
  if (progress?.state !== "snapshot") return;
  if (!hasArrived) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // If it arrived, the peer's own answer comes first; if not, the next try waits for a heartbeat's answer.
  progress.isPaused = true;
}

/** The peer shall campaign at once (thesis, 3.10). */
export function sendTimeoutNow(state: RaftState, to: number): void {
  invariant(to !== NOBODY, "leadership goes to somebody");
  state.hasHandedOver = true;
  state.send(new MessageDraft("timeoutNow", to));
}

function stepBack(state: RaftState, progress: Progress, message: Message): void {
  const { from, index, hint, logTerm } = message;
  // The follower has `logTerm` at `hint`: where our terms are higher, the logs cannot agree (section 5.3).
  const next = logTerm > 0 ? state.log.lastAtMost(hint, logTerm) : hint;
  if (!progress.maybeStepBack(index, next)) return;
  if (progress.state === "replicate") progress.becomeProbe();
  maybeSendAppend(state, from, true);
}

/**
 * Whatever brought the peer so far, once the log reaches it, appends go on. If the log was compacted again
 * while the snapshot travelled, the next snapshot follows.
 */
function maybeLeaveSnapshot(state: RaftState, progress: Progress): void {
  const isReached = progress.matchIndex + 1 >= state.log.firstIndex();
  if (!isReached && progress.matchIndex < progress.pendingSnapshot) return;
  progress.becomeProbe();
  if (isReached) progress.becomeReplicate();
}
