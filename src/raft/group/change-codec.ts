/**
 * A ConfigChange as the bytes of a `config` entry: version, transition, count, then for each change its
 * kind and the peer's id as 8 bytes. No bytes at all leave the joint configuration, so that this entry is
 * never refused for its size. What does not decode is undefined, alike on every peer.
 */
import { NO_DATA } from "../log/entry.ts";
import {
  type ChangeKind,
  CHANGES_MAX,
  type ConfigChange,
  leavesJoint,
  type PeerChange,
  type Transition,
} from "./config.ts";

const VERSION = 1;
const TRANSITIONS: readonly Transition[] = ["auto", "implicit", "explicit"];
const KINDS: readonly ChangeKind[] = ["addVoter", "addLearner", "remove"];
const HEAD_BYTES = 3;
const CHANGE_BYTES = 9;

export const LEAVE_JOINT: ConfigChange = { transition: "auto", changes: [] };

/** Why this change cannot be proposed; undefined when it can be encoded. */
export function changeProblem(change: ConfigChange): string | undefined {
  if (typeof change !== "object" || change === null || !Array.isArray(change.changes)) {
    return "it has a transition and a list of changes";
  }
  if (!TRANSITIONS.includes(change.transition)) return "its transition is auto, implicit or explicit";
  if (change.changes.length > CHANGES_MAX) return `it holds at most ${CHANGES_MAX} changes`;
  for (const { kind, peerId } of change.changes) {
    if (!KINDS.includes(kind)) return "each change adds a voter, adds a learner, or removes";
    if (!Number.isSafeInteger(peerId) || peerId <= 0) return "a peer's id is a positive safe integer";
  }
  return undefined;
}

export function encodeChange(change: ConfigChange): Uint8Array {
  if (leavesJoint(change)) return NO_DATA;
  const { transition, changes } = change;
  const bytes = new Uint8Array(HEAD_BYTES + changes.length * CHANGE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = TRANSITIONS.indexOf(transition);
  bytes[2] = changes.length;
  changes.forEach(({ kind, peerId }, at) => {
    const start = HEAD_BYTES + at * CHANGE_BYTES;
    bytes[start] = KINDS.indexOf(kind);
    view.setUint32(start + 1, Math.floor(peerId / 2 ** 32));
    view.setUint32(start + 5, peerId % 2 ** 32);
  });
  return bytes;
}

export function decodeChange(bytes: Uint8Array): ConfigChange | undefined {
  if (bytes.length === 0) return LEAVE_JOINT;
  const transition = TRANSITIONS[bytes[1] ?? TRANSITIONS.length];
  const count = bytes[2] ?? 0;
  if (bytes[0] !== VERSION || transition === undefined || count > CHANGES_MAX) return undefined;
  if (bytes.length !== HEAD_BYTES + count * CHANGE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const changes: PeerChange[] = [];
  for (let start = HEAD_BYTES; start < bytes.length; start += CHANGE_BYTES) {
    const kind = KINDS[bytes[start] as number];
    const peerId = view.getUint32(start + 1) * 2 ** 32 + view.getUint32(start + 5);
    if (kind === undefined || !Number.isSafeInteger(peerId) || peerId <= 0) return undefined;
    changes.push({ kind, peerId });
  }
  return { transition, changes };
}
