/** The room for time and chance: interfaces, and the system's own. */
export type { Clock, Timer, TimerOptions, Timers } from "./clock.ts";
export type { Random } from "./random.ts";
export { type Env, sleepOn, systemEnv } from "./system.ts";
export { requireWait, WAIT_MS_MAX } from "./wait.ts";
