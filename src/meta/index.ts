/** The room of the metadata store: the replicated state machine over committed entries. Pure. */
export { decodeCommand } from "./codec/decode.ts";
export { encodeCommand } from "./codec/encode.ts";
export {
  ANSWER_BYTES_MAX,
  type CloseSessionCommand,
  type Command,
  type CompactCommand,
  type Compare,
  type CompareOperator,
  type CompareTarget,
  type DeleteCommand,
  type DeleteRangeCommand,
  type ExpireLeaseCommand,
  type GrantLeaseCommand,
  type NoopCommand,
  type Op,
  type OpenSessionCommand,
  OPS_MAX,
  type PutCommand,
  RANGE_LIMIT_MAX,
  type RangeOp,
  type RangeOptions,
  type RenewLeaseCommand,
  type RevokeLeaseCommand,
  SEQUENCE_MAX,
  type Stamp,
  type TransactionCommand,
} from "./command.ts";
export { type KeyRange } from "./key-range.ts";
export { type DueLease, LEASE_RETRY_MS, LeaseClock, type LeaseSource } from "./lease-clock.ts";
export {
  COMMAND_LIMITS,
  type CommandLimits,
  commandLimits,
  type CommandLimitsOptions,
  type MetaLimits,
  type MetaStoreOptions,
} from "./options.ts";
export {
  type Accepted,
  type Answer,
  type KeyValue,
  type LeaseAnswer,
  type OpAnswer,
  type Outcome,
  type RangeAnswer,
  type Refusal,
  REFUSAL_CODES,
  type RefusalCode,
  type Refused,
  type WatchEvent,
} from "./outcome.ts";
export { SNAPSHOT_VERSION } from "./snapshot/frames.ts";
export type { Lease } from "./state/leases.ts";
export { type AppliedEntry, MetaStore, SNAPSHOT_CHUNK_BYTES, type SnapshotOptions } from "./store.ts";
export { LEASE_TTL_MS_MAX, validateCommand } from "./validate.ts";
export type { Events, EventsOptions } from "./watch.ts";
