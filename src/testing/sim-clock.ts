/**
 * Time that stands still until a test moves it: a Clock and its Timers for everything that takes an Env.
 * Its one idea: time only moves inside `advance`, from one due timer to the next, and between two timers
 * all promises that can go on do go on. So a run depends on nothing but what the test asked for.
 * It must never look at the real clock. What waits for a socket or a disk is not waited for.
 */
import { setImmediate as endOfTurn } from "node:timers/promises";

import { type Clock, CoterieError, requireWait, sleepOn, type Timer, type Timers } from "../index.ts";

/** More timers than this at one instant is a loop that never lets time pass. */
const TIMERS_PER_INSTANT_MAX = 100_000;
const DAY_MS = 86_400_000;

export interface SimClockOptions {
  /** What `wallNow()` says at first, in milliseconds since 1970. Default: 2026-01-01, midnight UTC. */
  readonly wallMs?: number;
}

export interface RunUntilIdleOptions {
  /** Gives up with INVARIANT when timers are still pending after this much simulated time. Default a day. */
  readonly limitMs?: number;
}

interface PendingTimer {
  readonly callback: () => void;
  readonly periodMs: number | undefined;
  dueMs: number;
  state: "pending" | "over";
}

export class SimClock implements Clock, Timers {
  // The zeros of the three clocks differ, so that code which mixes them up is found.
  #nowMs = 1_000_000;
  #bootAheadMs = 4_000_000;
  #wallAheadMs: number;
  /** Latest first, so that the next one is popped; among equals the one set last stands first. */
  readonly #queue: PendingTimer[] = [];
  #pendingTimers = 0;
  #moving = false;

  constructor(options: SimClockOptions = {}) {
    this.#wallAheadMs = (options.wallMs ?? 1_767_225_600_000) - this.#nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#nowMs + this.#wallAheadMs;
  }

  bootNow(): number {
    return this.#nowMs + this.#bootAheadMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  after(ms: number, callback: () => void): Timer {
    return this.#arm(requireWait("after", ms), undefined, callback);
  }

  every(ms: number, callback: () => void): Timer {
    return this.#arm(requireWait("every", ms), ms, callback);
  }

  /** Timers that will still fire; 0 after a clean shutdown of what was tested. */
  get pendingTimers(): number {
    return this.#pendingTimers;
  }

  /**
   * Moves all three clocks on by `ms` and runs each timer at the very instant it is due, in order.
   * Rejects with what a timer threw; time then stands at that timer, and another advance goes on.
   */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#nowMs + requireWait("advance", ms);
    await this.#move(async () => {
      await this.#runDue(targetMs);
      this.#nowMs = targetMs;
    });
  }

  /** Moves on until no timer is pending; resolves with the simulated milliseconds that took. */
  async runUntilIdle({ limitMs = DAY_MS }: RunUntilIdleOptions = {}): Promise<number> {
    const startMs = this.#nowMs;
    await this.#move(() => this.#runDue(startMs + requireWait("runUntilIdle", limitMs)));
    if (this.#pendingTimers > 0) {
      const timers = this.#pendingTimers === 1 ? "1 timer is" : `${this.#pendingTimers} timers are`;
      throw new CoterieError("INVARIANT", `${timers} still pending after ${limitMs} ms of simulated time`, {
        details: { pendingTimers: this.#pendingTimers, limitMs },
      });
    }
    return this.#nowMs - startMs;
  }

  /** The wall clock alone leaps, forward or back, as when somebody sets it. No timer fires. */
  leapWall(ms: number): void {
    if (!Number.isFinite(ms))
      throw new CoterieError("INVALID_ARGUMENT", `leapWall: ${ms} is not a number of milliseconds`);
    this.#wallAheadMs += ms;
  }

  /** The machine sleeps: boot and wall clock go on, the monotonic one and all timers stand still. */
  suspend(ms: number): void {
    this.#bootAheadMs += requireWait("suspend", ms);
    this.#wallAheadMs += ms;
  }

  #arm(ms: number, periodMs: number | undefined, callback: () => void): Timer {
    const timer: PendingTimer = { callback, periodMs, dueMs: this.#nowMs + ms, state: "pending" };
    this.#pendingTimers += 1;
    this.#enqueue(timer);
    return { cancel: () => this.#retire(timer) };
  }

  #enqueue(timer: PendingTimer): void {
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#queue[middle] as PendingTimer).dueMs > timer.dueMs) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, timer);
  }

  #retire(timer: PendingTimer): void {
    if (timer.state === "over") return;
    timer.state = "over";
    this.#pendingTimers -= 1;
  }

  async #move(run: () => Promise<void>): Promise<void> {
    if (this.#moving) throw new CoterieError("INVARIANT", "time is moved by one caller at a time");
    this.#moving = true;
    try {
      await endOfTurn();
      await run();
    } finally {
      this.#moving = false;
    }
  }

  async #runDue(targetMs: number): Promise<void> {
    let atThisInstant = 0;
    for (let next = this.#popDue(targetMs); next !== undefined; next = this.#popDue(targetMs)) {
      atThisInstant = next.dueMs > this.#nowMs ? 1 : atThisInstant + 1;
      if (atThisInstant > TIMERS_PER_INSTANT_MAX) {
        throw new CoterieError(
          "INVARIANT",
          `more than ${TIMERS_PER_INSTANT_MAX} timers fired without time going on`,
        );
      }
      this.#nowMs = next.dueMs;
      this.#fire(next);
      // One turn of the event loop drains every microtask, whatever the length of the chain.
      await endOfTurn();
    }
  }

  #popDue(targetMs: number): PendingTimer | undefined {
    for (;;) {
      const next = this.#queue.at(-1);
      if (next === undefined || (next.state === "pending" && next.dueMs > targetMs)) return undefined;
      this.#queue.pop();
      if (next.state === "pending") return next;
    }
  }

  #fire(timer: PendingTimer): void {
    if (timer.periodMs === undefined) this.#retire(timer);
    else {
      timer.dueMs += timer.periodMs;
      this.#enqueue(timer);
    }
    timer.callback();
  }
}
