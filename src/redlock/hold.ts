/**
 * A lock for redlock's duration: the locker's lock, whose lease is at most `leaseMsMax`, renewed until the
 * duration is over. One hold outlives the Lock objects that redlock makes anew with each extension.
 * It never says that there is time left which the locker has not confirmed or is not about to.
 */
import type { Env, Timer } from "../env/index.ts";
import { CoterieError } from "../errors.ts";
import type { Lock as LockerLock } from "../locks/index.ts";

export interface HoldOptions {
  readonly leaseMsMax: number;
  /** Taken off the duration beyond the locker's own allowance, as a part of it. */
  readonly extraDrift: number;
  readonly env: Env;
  /** Called once when the lock is lost before its time. */
  readonly onLost: (error: CoterieError) => void;
}

/** `over` is lost, or run out; `unconfirmed` was given back, but no quorum said so in time. */
export type Released = "confirmed" | "unconfirmed" | "over";

/** A lease is renewed when this much of it is left, or earlier. */
const RENEWED_AT = 2 / 3;
/** Renewals are never closer together than this part of the lease, however large the threshold. */
const RENEWED_EACH = 1 / 10;
/** A lease that ends so short before its duration has done so by itself: a late timer is no loss. */
const LATE_MS = 20;
/** The locker takes no shorter lease. */
const LEASE_MS_MIN = 10;
/** The pause after a renewal that failed although the lease goes on. */
const PAUSE_MS = 50;

export class Hold {
  readonly lock: LockerLock;
  readonly #options: HoldOptions;
  /** When the duration is over, on the monotonic clock; Infinity while `using` runs. */
  #until: number;
  /** The lease that a renewal asks for. */
  #leaseMs: number;
  #thresholdMs = 0;
  #timer: Timer | undefined;
  /** Settles, and never rejects, when the renewals begun so far are done: one replaces another. */
  #renewed: Promise<void> = Promise.resolve();
  #state: "held" | "releasing" | "over" = "held";
  #released: Promise<Released> | undefined;

  constructor(lock: LockerLock, durationMs: number, options: HoldOptions) {
    this.lock = lock;
    this.#options = options;
    this.#leaseMs = lock.leaseMs;
    this.#until = this.#end(durationMs, lock.leaseMs);
    lock.signal.addEventListener("abort", () => this.#becomeLost(), { once: true });
    this.#plan();
  }

  /** 0 when it is over: lost, released, or its duration has passed. */
  get remainingMs(): number {
    if (this.#state !== "held" || this.lock.lost) return 0;
    const confirmed = this.lock.remainingMs;
    if (confirmed <= 0 || this.#until === Infinity) return confirmed;
    return Math.max(0, this.#until - this.#options.env.clock.now());
  }

  /** `remainingMs` as a time of the wall clock, and 0 when it is over: redlock's field. */
  get expiration(): number {
    const { remainingMs } = this;
    return remainingMs <= 0 ? 0 : Math.floor(this.#options.env.clock.wallNow() + remainingMs);
  }

  /** Goes on until it is released, for `using`. */
  keep(durationMs: number, thresholdMs: number): void {
    this.#until = Infinity;
    this.#leaseMs = this.#leaseFor(durationMs);
    this.#thresholdMs = thresholdMs;
    this.#plan();
  }

  /** Rejects with the locker's error, LOCK_LOST for one, when the new duration cannot be confirmed. */
  async extend(durationMs: number): Promise<void> {
    this.#timer?.cancel();
    const leaseMs = this.#leaseFor(durationMs);
    try {
      await this.#renew(leaseMs);
      this.#until = this.#end(durationMs, leaseMs);
      this.#leaseMs = leaseMs;
    } finally {
      this.#plan();
    }
  }

  /** A second call gets the first one's answer. */
  release(): Promise<Released> {
    this.#released ??= this.remainingMs > 0 ? this.#giveBack() : this.#expire();
    return this.#released;
  }

  async #giveBack(): Promise<Released> {
    this.#state = "releasing";
    this.#timer?.cancel();
    return (await this.lock.release()) ? "confirmed" : "unconfirmed";
  }

  /** What may still stand on the instances is given back, for the next one; its holder gets no promise. */
  async #expire(): Promise<Released> {
    this.#state = "over";
    this.#timer?.cancel();
    if (!this.lock.lost) await this.lock.release();
    return "over";
  }

  #leaseFor(durationMs: number): number {
    return Math.min(durationMs, this.#options.leaseMsMax);
  }

  /** What the locker confirmed, and of the rest of the duration what its own allowance would leave. */
  #end(durationMs: number, leaseMs: number): number {
    const rest = (durationMs - leaseMs) * 0.99 - durationMs * this.#options.extraDrift;
    return this.#options.env.clock.now() + this.lock.remainingMs + rest;
  }

  /** The next renewal, if the lease ends before the duration does. */
  #plan(): void {
    this.#timer?.cancel();
    if (this.#state !== "held" || this.lock.lost) return;
    const { timers, clock } = this.#options.env;
    const confirmed = this.lock.remainingMs;
    if (this.#until - clock.now() <= confirmed + 1) return;
    const leftThen = Math.max(this.#leaseMs * RENEWED_AT, this.#thresholdMs);
    const inMs = Math.max(confirmed - leftThen, this.#leaseMs * RENEWED_EACH);
    this.#timer = timers.after(Math.min(inMs, confirmed / 2), () => void this.#prolong());
  }

  /** The next piece of a duration that is longer than a lease. */
  async #prolong(): Promise<void> {
    const wanted = Math.ceil((this.#until - this.#options.env.clock.now()) / 0.99) + 2;
    try {
      await this.#renew(Math.max(LEASE_MS_MIN, Math.min(this.#leaseMs, wanted)));
      this.#plan();
    } catch (error) {
      // What is lost is told by the lock's signal.
      if (this.#state !== "held" || this.lock.lost || CoterieError.is(error, "LOCK_LOST")) return;
      const pauseMs = Math.min(PAUSE_MS, this.lock.remainingMs / 4);
      this.#timer = this.#options.env.timers.after(pauseMs, () => void this.#prolong());
    }
  }

  #renew(leaseMs: number): Promise<void> {
    const renewed = this.#renewed.then(() => this.lock.renew({ leaseMs }));
    this.#renewed = renewed.then(ignore, ignore);
    return renewed;
  }

  /** A lease that ends with its duration is no loss. */
  #becomeLost(): void {
    this.#timer?.cancel();
    if (this.#state !== "held") return;
    this.#state = "over";
    const left = this.#until - this.#options.env.clock.now();
    if (left > LATE_MS) this.#options.onLost(lossOf(this.lock));
  }
}

function ignore(): void {
  // Whoever asked for the renewal is told.
}

/** Why the lock was lost, as the locker says. */
export function lossOf(lock: LockerLock): CoterieError {
  const reason: unknown = lock.signal.reason;
  if (CoterieError.is(reason)) return reason;
  return new CoterieError("LOCK_LOST", `lock "${lock.resources.join(", ")}" is over`);
}
