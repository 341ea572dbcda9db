/** The consensus core: one peer of a Raft group, as a state machine without I/O. */
export { decodeChange, encodeChange, LEAVE_JOINT } from "./group/change-codec.ts";
export {
  type ChangeKind,
  type Config,
  type ConfigChange,
  configOf,
  EMPTY_CONFIG,
  isMember,
  isVoter,
  membersOf,
  type PeerChange,
  sameConfig,
  type Transition,
  votersOf,
} from "./group/config.ts";
export type { ProgressState } from "./group/progress.ts";
export { majority } from "./group/quorum.ts";
export { Entry, type EntryKind, limitBytes } from "./log/entry.ts";
export { MemoryLog } from "./log/memory-log.ts";
export type { HardState, LogReader, StoredState } from "./log/reader.ts";
export type { Snapshot, SnapshotPart } from "./log/snapshot.ts";
export { type Refusal, REFUSALS } from "./message/check.ts";
export {
  type Message,
  MESSAGE_TYPES,
  MESSAGE_VERSION,
  MessageDraft,
  type MessageType,
  NOBODY,
} from "./message/message.ts";
export type { RaftOptions } from "./options.ts";
export { Raft, type ReadRefusal } from "./raft.ts";
export type { Ready, RoleChange } from "./ready.ts";
export type { ProposalRefusal, Proposed } from "./roles/proposing.ts";
export type { ConfirmedRead } from "./roles/reads-queue.ts";
export type { Role } from "./roles/state.ts";
export type { TransferRefusal } from "./roles/transfer.ts";
export type { PeerProgress, RaftStatus } from "./status.ts";
