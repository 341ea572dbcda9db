/**
 * The time that leases are counted on: monotonic, and moved on by what the machine slept, which the
 * monotonic clock does not see. So a deadline has passed as soon as either clock says so, and leaps of the
 * wall clock change nothing.
 *
 * The boot clock is coarse and slow to ask (a system call and a file), so it is asked at `look()` alone,
 * which whoever is about to trust a lease calls first; and there only when the wall clock has moved
 * otherwise than the monotonic one, as it does in a sleep, or when it was not asked for a while. So a wall
 * clock that was set back by exactly the length of a sleep hides it, for `UNASKED_MS_MAX` at most.
 */
import type { Clock } from "../../env/index.ts";

/** The boot clock moves in steps of this; less than two of them apart is no sleep. */
const BOOT_STEP_MS = 10;
const ASLEEP_MS_MIN = 2 * BOOT_STEP_MS;
/** The wall clock is read in whole milliseconds and is slewed; by more than this it was moved. */
const MOVED_MS_MIN = 5;
const UNASKED_MS_MAX = 100;

export class SteadyClock {
  readonly #clock: Clock;
  readonly #bootAheadMs: number;
  #asleepMs = 0;
  /** How far the boot clock was ahead when a sleep was last noticed; a step off either way. */
  #measuredMs = 0;
  #wallAheadMs: number;
  #askedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#askedAt = clock.now();
    this.#wallAheadMs = clock.wallNow() - this.#askedAt;
    this.#bootAheadMs = clock.bootNow() - this.#askedAt;
  }

  /** How long it has slept so far, as far as that was noticed; up to two steps longer for each sleep. */
  get asleepMs(): number {
    return this.#asleepMs;
  }

  /** Milliseconds; never goes back. What the machine slept since the last `look` is not in it yet. */
  now(): number {
    return this.#clock.now() + this.#asleepMs;
  }

  /** `now()`, after asking how long the machine has slept. */
  look(): number {
    const now = this.#clock.now();
    const wallAheadMs = this.#clock.wallNow() - now;
    const isMoved = Math.abs(wallAheadMs - this.#wallAheadMs) >= MOVED_MS_MIN;
    if (!isMoved && now - this.#askedAt < UNASKED_MS_MAX) return now + this.#asleepMs;
    this.#wallAheadMs = wallAheadMs;
    this.#askedAt = now;
    const measuredMs = this.#clock.bootNow() - now - this.#bootAheadMs;
    const sleptMs = measuredMs - this.#measuredMs;
    if (sleptMs >= ASLEEP_MS_MIN) {
      this.#measuredMs = measuredMs;
      // For each sleep one step more than was measured: a lease may end early here, and never late.
      this.#asleepMs += sleptMs + BOOT_STEP_MS;
    }
    return now + this.#asleepMs;
  }
}
