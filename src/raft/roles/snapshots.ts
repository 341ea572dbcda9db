/**
 * A snapshot goes to a follower in parts, a few ahead of its answers. The follower says which part it wants
 * next, so that a transfer goes on where it stopped when parts were lost or came twice; one that nobody
 * answers is resumed by the leader's ticks. A snapshot of one part is answered by the acknowledgement alone.
 */
import { invariant } from "../../invariant.ts";
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
function sendParts(state: RaftState, to: number, transfer: SnapshotTransfer): void {
  const { snapshot, acknowledged } = transfer;
  const end = Math.min(snapshot.parts.length, acknowledged + state.settings.snapshotPartsMax);
  while (transfer.next < end) {
    sendPart(state, to, transfer, transfer.next);
    transfer.next += 1;
  }
}

/** The follower has all parts below `hint`, and got the part before `context` last. */
export function handleSnapshotResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.isRecentlyActive = true;
  const { transfer } = progress;
  if (transfer === undefined) return;
  const { snapshot } = transfer;
  const { index, logTerm, hint, context, from } = message;
  // About another snapshot, or more than there is: late or wrong.
  if (index !== snapshot.index || logTerm !== snapshot.term || hint >= snapshot.parts.length) return;
  transfer.wanted = hint;
  if (hint > transfer.acknowledged) {
    transfer.acknowledged = hint;
    transfer.idleTicks = 0;
  }
  transfer.next = Math.max(transfer.next, transfer.acknowledged);
  // A later part came first: the wanted one is lost, or at least late. It is sent again once.
  if (context > hint + 1 && hint === transfer.acknowledged && hint > transfer.resent) {
    transfer.resent = hint;
    sendPart(state, from, transfer, hint);
  }
  sendParts(state, from, transfer);
}

/** Snapshots that nobody acknowledges are sent on from where they stopped. */
export function tickTransfers(state: RaftState): void {
  for (const peerId of state.tracker.members) {
    const transfer = state.tracker.of(peerId)?.transfer;
    if (transfer === undefined) continue;
    transfer.idleTicks += 1;
    if (transfer.idleTicks < state.settings.snapshotResendTicks) continue;
    transfer.idleTicks = 0;
    transfer.acknowledged = Math.min(transfer.wanted, transfer.snapshot.parts.length - 1);
    transfer.next = transfer.acknowledged;
    transfer.resent = -1;
    sendParts(state, peerId, transfer);
  }
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
      wanted.hint = state.assembly?.wanted ?? 0;
      wanted.context = part.part + 1;
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

/**
 * False when what the snapshot stands for is here already. It may well be from before this peer was added:
 * the entry that adds it follows.
 */
function isOfUse(state: RaftState, part: SnapshotPart): boolean {
  if (part.index <= state.log.committed) return false;
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
  // Late: this leader has gone on to a newer one.
  if (before !== undefined && part.index < before.index) return undefined;
  const assembly: Assembly = isSame ? before : startAssembly(part);
  state.assembly = assembly;
  const { received, parts } = assembly;
  if (received[part.part] === undefined) {
    received[part.part] = part.data;
    assembly.bytes += part.data.length;
  }
  // Whoever sends more than can be kept is not believed: the parts are let go, and the leader tries in vain.
  if (assembly.bytes > state.settings.snapshotBytesMax) {
    state.assembly = undefined;
    return undefined;
  }
  while (received[assembly.wanted] !== undefined) assembly.wanted += 1;
  return assembly.wanted < parts ? undefined : (received as Uint8Array[]);
}

function startAssembly({ index, term, parts }: SnapshotPart): Assembly {
  return { index, term, parts, received: [], wanted: 0, bytes: 0 };
}

function sendPart(state: RaftState, to: number, { snapshot }: SnapshotTransfer, part: number): void {
  const message = new MessageDraft("snapshot", to);
  message.snapshot = partOf(snapshot, part);
  state.send(message);
}

function restore(state: RaftState, part: SnapshotPart, parts: readonly Uint8Array[]): void {
  const { index, term, config } = part;
  invariant(state.role === "follower", "only a follower takes a snapshot", { role: state.role, index });
  state.assembly = undefined;
  state.log.restore({ index, term, config, parts });
  state.tracker.switchTo(config, index);
  state.tracker.resetProgress(state.id, index);
}
