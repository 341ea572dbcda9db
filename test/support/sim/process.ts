/**
 * One process of the simulation: its clocks, its timers, and whether it runs at all. Whatever happens in
 * it goes through `run`: while it is paused that is kept for later, and once it was killed it never happens.
 * Its clocks go wrong on their own: the monotonic one drifts, the wall clock leaps, and a machine that
 * sleeps stops the monotonic clock but not the boot clock.
 */
import { type Env, type Random, sleepOn, type Timer, type Timers } from "../../../src/env/index.ts";
import type { SimClock } from "../../../src/testing/index.ts";

/** The boot clock is told in steps of this many milliseconds, as the system's is. */
const BOOT_STEP_MS = 10;
/** A timer may come this much early by rounding alone. */
const EARLY_MS_MAX = 1e-6;

/** What waits for the process to go on. */
interface Kept {
  readonly action: () => void;
  readonly isTimer: boolean;
}

export class SimProcess {
  readonly name: string;
  /** What the code that runs in this process is given. */
  readonly env: Env;
  state: "running" | "paused" | "asleep" | "killed" = "running";
  /** How many it has made. */
  connections = 0;
  readonly #clock: SimClock;
  /** How fast its clocks run: 1 is right. */
  readonly #rate: number;
  readonly #random: Random;
  #asleepMs = 0;
  #wallAheadMs: number;
  #stoppedAt = 0;
  #kept: Kept[] = [];
  readonly #onKilled: (() => void)[] = [];

  constructor(name: string, clock: SimClock, random: Random, rate: number) {
    this.name = name;
    this.#clock = clock;
    this.#rate = rate;
    this.#random = random;
    this.#wallAheadMs = random.below(20_000) - 10_000;
    const timers: Timers = {
      after: (ms, callback) => this.#after(ms, callback),
      every: (ms, callback) => this.#every(ms, callback),
    };
    this.env = {
      random,
      timers,
      clock: {
        now: () => this.now(),
        wallNow: () => Math.floor(clock.wallNow() + this.#wallAheadMs),
        bootNow: () => {
          const asleepMs = this.#asleepMs + (this.state === "asleep" ? clock.now() - this.#stoppedAt : 0);
          return Math.floor((this.now() + asleepMs * this.#rate + 77_000) / BOOT_STEP_MS) * BOOT_STEP_MS;
        },
        sleep: (ms, signal) => sleepOn(timers, ms, signal),
      },
    };
  }

  /** The monotonic clock: it does not see what the machine sleeps. */
  now(): number {
    const at = this.state === "asleep" ? this.#stoppedAt : this.#clock.now();
    return (at - this.#asleepMs) * this.#rate + 500_000;
  }

  /** How long a time of this process's clock really is. */
  trueMs(ownMs: number): number {
    return ownMs / this.#rate;
  }

  /** What waits for it to go on. */
  get kept(): number {
    return this.#kept.length;
  }

  /** Now, or when it goes on, or never. */
  run(action: () => void, isTimer = false): void {
    if (this.state === "killed") return;
    if (this.state === "running" && this.#kept.length === 0) action();
    else this.#kept.push({ action, isTimer });
  }

  /** SIGSTOP, or a blocked event loop: its clocks go on. */
  pause(): void {
    if (this.state !== "running") return;
    this.state = "paused";
    this.#stoppedAt = this.#clock.now();
  }

  /** The machine sleeps: the monotonic clock stops as well. */
  fallAsleep(): void {
    if (this.state !== "running") return;
    this.state = "asleep";
    this.#stoppedAt = this.#clock.now();
  }

  goOn(): void {
    if (this.state !== "paused" && this.state !== "asleep") return;
    if (this.state === "asleep") this.#asleepMs += this.#clock.now() - this.#stoppedAt;
    this.state = "running";
    // What came in meanwhile: timers and packets in any order, but packets among themselves in theirs.
    if (this.#random.below(2) === 0) {
      this.#kept = this.#kept.toSorted((a, b) => Number(b.isTimer) - Number(a.isTimer));
    }
    this.#goThrough();
  }

  kill(): void {
    this.state = "killed";
    this.#kept = [];
    for (const callback of this.#onKilled.splice(0)) callback();
  }

  /** Its connections, which the system closes for it. */
  onKilled(callback: () => void): void {
    this.#onKilled.push(callback);
  }

  leapWall(ms: number): void {
    this.#wallAheadMs += ms;
  }

  /** One by one, with everything in between that follows from each. */
  #goThrough(): void {
    if (this.state !== "running") return;
    const next = this.#kept.shift();
    if (next === undefined) return;
    next.action();
    if (this.#kept.length > 0) this.#clock.after(0, () => this.#goThrough());
  }

  #after(ms: number, callback: () => void): Timer {
    const dueAt = this.now() + ms;
    const fire = (): void => {
      const early = dueAt - this.now();
      if (early > EARLY_MS_MAX) armed = this.#clock.after(this.trueMs(early), onDue);
      else callback();
    };
    let isCancelled = false;
    const guarded = (): void => {
      if (!isCancelled) fire();
    };
    const onDue = (): void => this.run(guarded, true);
    let armed = this.#clock.after(this.trueMs(ms), onDue);
    return {
      cancel: () => {
        isCancelled = true;
        armed.cancel();
      },
    };
  }

  #every(ms: number, callback: () => void): Timer {
    let current: Timer;
    const again = (): void => {
      current = this.#after(ms, again);
      callback();
    };
    current = this.#after(ms, again);
    return { cancel: () => current.cancel() };
  }
}
