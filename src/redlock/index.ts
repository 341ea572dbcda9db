/** The stand-in for the redlock package: its names, its default export, and the locker underneath. */
export { Redlock as default } from "./redlock.ts";
export { Lock, Redlock, type RedlockAbortSignal, type Routine, type Scripts } from "./redlock.ts";
export type { Client } from "./clients.ts";
export {
  ExecutionError,
  type ExecutionResult,
  type ExecutionStats,
  ResourceLockedError,
} from "./errors.ts";
export { DEFAULT_SETTINGS, type LockerSettings, type RedlockSettings, type Settings } from "./settings.ts";
