/** The public surface of coterie. */
// Opens everything at once; each pillar also opens alone.
export { Coterie, type CoterieOptions, type CoterieStatus, openCoterie } from "./coterie.ts";
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
  sleepOn,
  systemEnv,
  type Timer,
  type TimerOptions,
  type Timers,
} from "./env/index.ts";
