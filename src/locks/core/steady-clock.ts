/**
 * The time that leases are counted on: monotonic, and moved on by what the machine slept, which the
 * monotonic clock does not see. So a deadline has passed as soon as either clock says so, and leaps of the
 * wall clock change nothing.
 *
 * The boot clock is coarse and slow to ask, so it is asked at `look()` alone: whoever is about to trust
 * a lease looks first.
 */
import type { Clock } from "../../env/index.ts";

/** The boot clock moves in steps of 10 ms; less than two steps apart is no sleep. */
const ASLEEP_MS_MIN = 20;

export class SteadyClock {
  readonly #clock: Clock;
  readonly #bootAheadMs: number;
  #asleepMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#bootAheadMs = clock.bootNow() - clock.now();
  }

  /** Milliseconds; never goes back. What the machine slept since the last `look` is not in it yet. */
  now(): number {
    return this.#clock.now() + this.#asleepMs;
  }

  /** `now()`, after asking how long the machine has slept. */
  look(): number {
    const now = this.#clock.now();
    const asleepMs = this.#clock.bootNow() - now - this.#bootAheadMs;
    if (asleepMs - this.#asleepMs >= ASLEEP_MS_MIN) this.#asleepMs = asleepMs;
    return now + this.#asleepMs;
  }
}
