/** The room that talks to Redis: the only one that imports ioredis. */
export type { CallOptions } from "./calls.ts";
export {
  type Argument,
  commandSpec,
  type CommandSpec,
  Encoded,
  type Reply,
  type SentArgument,
} from "./commands.ts";
export type { InstanceInput, InstanceOptions } from "./connect.ts";
export { createInstance, type Instance } from "./instance.ts";
export { defineScript, type Script, type ScriptDefinition } from "./script.ts";
export { encodeArguments, encodeAscii, type Outcome } from "./wire.ts";
export {
  type CircuitState,
  type CloseOptions,
  DEFAULT_INSTANCE_SETTINGS,
  type InstanceCounter,
  type InstanceSettings,
  type InstanceState,
  type InstanceStatus,
} from "./status.ts";
export type { Subscriber } from "./subscriber.ts";
