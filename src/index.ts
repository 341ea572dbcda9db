/** The public surface of coterie. */
// What every error of the package is.
export { CoterieError, type CoterieErrorOptions, ERROR_CODES, type ErrorCode } from "./errors.ts";
// Time and chance as arguments; `systemEnv` is the real ones.
export { type Clock, type Env, type Random, sleepOn, systemEnv, type Timer, type TimerOptions, type Timers } from "./env/index.ts";
