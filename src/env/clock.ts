/**
 * Time as an argument. Leases, deadlines and waits are counted on `now()`, the monotonic clock;
 * `wallNow()` is for records that people read and for nothing that safety rests on.
 * All values are milliseconds.
 */

export interface Clock {
  /** Monotonic: never goes back, does not leap with the wall clock. Its zero has no meaning. */
  now(): number;
  /** Milliseconds since 1970, as the operating system believes; may leap both ways. */
  wallNow(): number;
  /** Since the machine started, suspended time included; coarser than `now()`. */
  bootNow(): number;
  /** Resolves after `ms`, or rejects with ABORTED as soon as the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Timers never keep the process alive by themselves unless `keepAlive` is set. */
export interface Timers {
  /** Calls `callback` once after `ms`. */
  after(ms: number, callback: () => void, options?: TimerOptions): Timer;
  /** Calls `callback` every `ms`, the first time after `ms`. */
  every(ms: number, callback: () => void, options?: TimerOptions): Timer;
}

export interface TimerOptions {
  /** True keeps the process alive until the timer fires or is cancelled. Default false. */
  readonly keepAlive?: boolean;
}

export interface Timer {
  /** Safe to call at any time and more than once. */
  cancel(): void;
}
