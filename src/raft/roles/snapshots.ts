/**
 * A snapshot goes to a follower in parts, a few ahead of its answers. The follower says which part it wants
 * next, so that a transfer goes on where it stopped when parts were lost or came twice; one that nobody
 * answers is resumed by the leader's ticks. A snapshot of one part is answered by the acknowledgement alone.
 */
import { invariant } from "../../invariant.ts";
import { isMember } from "../group/config.ts";
import type { Progress, SnapshotTransfer } from "../group/progress.ts";
import { type Assembly, partOf, type SnapshotPart } from "../log/snapshot.ts";
import { type Message, MessageDraft } from "../message/message.ts";
import type { RaftState } from "./state.ts";

/** What a peer needs is gone from the log. Returns whether a snapshot is on its way now. */
export function startTransfer(state: RaftState, to: number, progress: Progress): boolean {
  // Nobody would take it in.
  if (!progress.isRecentlyActive) return false;
  const snapshot = state.log.snapshot();
  if (snapshot === undefined) return false;
  progress.becomeSnapshot(snapshot);
  sendParts(state, to, progress.transfer as SnapshotTransfer);
  return true;
}

/** Sends the next parts, as many as may be on their way. */
export function sendParts(state: RaftState, to: number, transfer: SnapshotTransfer): void {
  const { snapshot, acknowledged } = transfer;
  const end = Math.min(snapshot.parts.length, acknowledged + state.settings.snapshotPartsMax);
  while (transfer.next < end) {
    const message = new MessageDraft("snapshot", to);
    message.snapshot = partOf(snapshot, transfer.next);
    state.send(message);
    transfer.next += 1;
  }
}

/** The follower has all parts below `hint`. */
export function handleSnapshotResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.isRecentlyActive = true;
  const { transfer } = progress;
  if (transfer === undefined) return;
  const { snapshot } = transfer;
  // About another snapshot, or more than there is: late or wrong.
  if (message.index !== snapshot.index || message.logTerm !== snapshot.term) return;
  if (message.hint > snapshot.parts.length) return;
  if (message.hint > transfer.acknowledged) {
    transfer.acknowledged = message.hint;
    transfer.idleTicks = 0;
  }
  transfer.next = Math.max(transfer.next, transfer.acknowledged);
  sendParts(state, message.from, transfer);
}

/** A part arrives at a follower. */
export function handleSnapshot(state: RaftState, message: Message): void {
  const part = message.snapshot as SnapshotPart;
  const acknowledged = new MessageDraft("appendResponse", message.from);
  if (isOfUse(state, part)) {
    const parts = assemble(state, part);
    if (parts === undefined) {
      const wanted = new MessageDraft("snapshotResponse", message.from);
      wanted.index = part.index;
      wanted.logTerm = part.term;
      wanted.hint = state.assembly?.received.length ?? 0;
      state.send(wanted);
      return;
    }
    restore(state, part, parts);
    acknowledged.index = state.log.lastIndex;
  } else {
    state.assembly = undefined;
    acknowledged.index = state.log.committed;
  }
  state.sendAfterSync(acknowledged);
}

/** False when what the snapshot stands for is here already, or is not for this peer. */
function isOfUse(state: RaftState, part: SnapshotPart): boolean {
  if (part.index <= state.log.committed) return false;
  if (!isMember(part.config, state.id)) return false;
  if (!state.log.matches(part.index, part.term)) return true;
  // The log has that very entry: all up to it is committed, and nothing need be replaced.
  state.log.commitTo(part.index);
  return false;
}

/** All parts, when this one was the last that was missing. */
function assemble(state: RaftState, part: SnapshotPart): readonly Uint8Array[] | undefined {
  if (part.parts === 1) return [part.data];
  const { assembly: before } = state;
  const isSame =
    before !== undefined &&
    before.index === part.index &&
    before.term === part.term &&
    before.parts === part.parts;
  const assembly: Assembly = isSame
    ? before
    : { index: part.index, term: part.term, parts: part.parts, received: [] };
  state.assembly = assembly;
  // Parts are taken in order; whatever else comes is answered with the one that is wanted.
  if (part.part === assembly.received.length) assembly.received.push(part.data);
  if (assembly.received.length < assembly.parts) return undefined;
  return assembly.received;
}

function restore(state: RaftState, part: SnapshotPart, parts: readonly Uint8Array[]): void {
  const { index, term, config } = part;
  invariant(state.role === "follower", "only a follower takes a snapshot", { role: state.role, index });
  state.assembly = undefined;
  state.log.restore({ index, term, config, parts });
  state.tracker.switchTo(config, index);
  state.tracker.resetProgress(state.id, index);
}
