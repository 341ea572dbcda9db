/**
 * The deadline of every command in flight, without a timer for each. Commands with the same allowance
 * expire in the order in which they were sent, so one queue per allowance and one timer for its head are
 * enough. Settled commands leave from the front as others are added; what stays is bounded by the
 * commands in flight.
 */
import { type Env, type Timer, WAIT_MS_MAX } from "../env/index.ts";
import type { WireCommand } from "./wire.ts";

/**
 * A timer that comes this late means that our own event loop was blocked: the answer may have arrived
 * and only not been read. Then everybody gets `GRACE_MS` once, so that we never accuse a healthy server.
 */
const LATE_MS = 10;
const GRACE_MS = 20;

/** Idle lanes are looked for when there are twice as many lanes as were left the last time. */
const LANES_SWEPT_AT = 64;

export class Deadlines {
  readonly #env: Env;
  readonly #onExpired: (command: WireCommand) => void;
  /** By allowance in whole milliseconds: callers compute them freely. */
  readonly #lanes = new Map<number, Lane>();
  #sweepAt = LANES_SWEPT_AT;

  constructor(env: Env, onExpired: (command: WireCommand) => void) {
    this.#env = env;
    this.#onExpired = onExpired;
  }

  /** Watches the command, which was sent now. */
  add(command: WireCommand, deadlineMs: number): void {
    command.deadlineAt = Math.ceil(this.#env.clock.now() + deadlineMs);
    const allowance = Math.ceil(deadlineMs);
    let lane = this.#lanes.get(allowance);
    if (lane === undefined) {
      if (this.#lanes.size >= this.#sweepAt) this.#dropIdleLanes();
      lane = new Lane(this.#env, this.#onExpired);
      this.#lanes.set(allowance, lane);
    }
    lane.push(command);
  }

  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  #dropIdleLanes(): void {
    for (const [allowance, lane] of this.#lanes) {
      if (lane.idle) {
        lane.close();
        this.#lanes.delete(allowance);
      }
    }
    this.#sweepAt = Math.max(LANES_SWEPT_AT, 2 * this.#lanes.size);
  }
}

/** Commands in order of their deadline: a queue over an array with a moving head. */
class Lane {
  readonly #env: Env;
  readonly #onExpired: (command: WireCommand) => void;
  #queue: (WireCommand | undefined)[] = [];
  #head = 0;
  #timer: Timer | undefined;
  /** True while waiting once more because the timer itself came late. */
  #graced = false;

  constructor(env: Env, onExpired: (command: WireCommand) => void) {
    this.#env = env;
    this.#onExpired = onExpired;
  }

  get idle(): boolean {
    this.#dropSettled();
    return this.#head === this.#queue.length;
  }

  push(command: WireCommand): void {
    this.#dropSettled();
    this.#queue.push(command);
    if (this.#timer === undefined) this.#arm(command.deadlineAt);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queue = [];
    this.#head = 0;
  }

  #arm(deadlineAt: number): void {
    // A timer may fire a fraction early; one millisecond more keeps "never before the deadline" true.
    const ms = Math.ceil(deadlineAt - this.#env.clock.now()) + 1;
    this.#timer = this.#env.timers.after(Math.min(WAIT_MS_MAX, Math.max(1, ms)), () => this.#expire());
  }

  #expire(): void {
    this.#timer = undefined;
    this.#dropSettled();
    const now = this.#env.clock.now();
    const late = now - (this.#queue[this.#head]?.deadlineAt ?? now);
    if (late > LATE_MS && !this.#graced) {
      this.#graced = true;
      this.#arm(now + GRACE_MS);
      return;
    }
    this.#graced = false;
    while (this.#head < this.#queue.length) {
      const command = this.#queue[this.#head] as WireCommand;
      if (!command.settled && command.deadlineAt > now) break;
      this.#pass();
      if (!command.settled) this.#onExpired(command);
    }
    const next = this.#queue[this.#head];
    if (next === undefined) this.#compact();
    else this.#arm(next.deadlineAt);
  }

  #dropSettled(): void {
    while (this.#queue[this.#head]?.settled === true) this.#pass();
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) this.#compact();
  }

  /** What is behind the head is let go at once: a command may hold much text. */
  #pass(): void {
    this.#queue[this.#head] = undefined;
    this.#head += 1;
  }

  #compact(): void {
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
