/** The room that talks to Redis: the only one that imports ioredis. */
export type { Argument, CommandSpec, Reply } from "./commands.ts";
export { commandSpec } from "./commands.ts";
export type { InstanceInput, InstanceOptions } from "./connect.ts";
export {
  type CallOptions,
  type CircuitState,
  createInstance,
  DEFAULT_INSTANCE_SETTINGS,
  Instance,
  type InstanceSettings,
  type InstanceState,
  type InstanceStatus,
} from "./instance.ts";
export { defineScript, type Script, type ScriptDefinition } from "./script.ts";
