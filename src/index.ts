/** The public surface of coterie. */
// Opens everything at once; each pillar also opens alone.
export {
  Coterie,
  type CoterieLocksOptions,
  type CoterieOptions,
  type CoterieStatus,
  openCoterie,
} from "./coterie.ts";
// Locks over several Redis instances, and writes that older holders cannot make. Also as `coterie/locks`.
export {
  type AcquireOptions,
  type Body,
  type FencedClient,
  fencedSet,
  type GroupStatus,
  type InstanceView,
  type InstanceVote,
  type ListOptions,
  type Lock,
  type Locker,
  type LockerCounter,
  type LockerOptions,
  type LockerStatus,
  type LockInfo,
  type LockSide,
  type MemberState,
  type MemberStatus,
  openLocker,
  type ReadWrite,
  type RenewOptions,
  type Replacement,
  replaceLockInstance,
  type ReplaceOptions,
  type Semaphore,
  type SemaphoreOptions,
  type TryOptions,
  type Vote,
} from "./locks/index.ts";
// Which member owns a key, and what moves when the members change. Also as `coterie/ring`.
export {
  ARC_COUNT,
  arcOf,
  type ArcsOptions,
  type HashRange,
  HashRing,
  type JumpOptions,
  type KetamaCompat,
  type KetamaHash,
  type KetamaOptions,
  type LayoutName,
  type Loads,
  type MaglevOptions,
  type Member,
  type Move,
  type Movement,
  type OwnersOptions,
  type OwnerWithinOptions,
  type PointsOptions,
  type RingJson,
  type RingMember,
  type RingOptions,
} from "./ring/index.ts";
// Keys over several Redis instances.
export {
  type Key,
  type KeyCommandName,
  type KeyCommands,
  type KeyOptions,
  openShards,
  type Pipeline,
  type PipelineResult,
  type ScanOptions,
  type SetOptions,
  type Shards,
  type ShardsCore,
  type ShardsOptions,
  type ShardsPurpose,
  type ShardsStatus,
} from "./shards/index.ts";
// One Redis server: what `shards.for(key)` gives, and what `instances` options take.
export {
  type Argument,
  type CallOptions,
  type CircuitState,
  type CloseOptions,
  defineScript,
  type Instance,
  type InstanceCounter,
  type InstanceInput,
  type InstanceOptions,
  type InstanceState,
  type InstanceStatus,
  type Reply,
  type Script,
  type ScriptDefinition,
} from "./redis/index.ts";
// What every error of the package is.
export { CoterieError, type CoterieErrorOptions, ERROR_CODES, type ErrorCode } from "./errors.ts";
// What the package tells observers over node:diagnostics_channel.
export type { ChannelName, HistogramSnapshot, Messages } from "./observe/index.ts";
// Time and chance as arguments; `systemEnv` is the real ones.
export {
  type Clock,
  type Env,
  type Random,
  requireWait,
  sleepOn,
  systemEnv,
  type Timer,
  type TimerOptions,
  type Timers,
  WAIT_MS_MAX,
} from "./env/index.ts";
