/**
 * What a holder has in hand. Work under it passes `fencingToken` to whatever it writes to and `signal` to
 * whatever can be stopped: a lock can be lost, and a process that was asleep acts late.
 */
import { WAIT_MS_MAX } from "../env/index.ts";
import { type CoterieError, throwIfAborted } from "../errors.ts";
import { optionalNumberField, readOptions, signalField } from "../options.ts";
import type { InstanceVote } from "./core/failure.ts";
import type { Hold } from "./engine/hold.ts";
import { LEASE_MS_MIN } from "./options.ts";

export interface RenewOptions {
  /** The new lease in milliseconds, from now; the old one is never shortened there. Default as before. */
  readonly leaseMs?: number | undefined;
  /** Checked before the renewal; it does not stop one on its way, which is bounded. */
  readonly signal?: AbortSignal | undefined;
}

export class Lock {
  /** Which permit of a semaphore it is, from 0; undefined for anything else. */
  readonly permit: number | undefined;
  readonly #hold: Hold;
  readonly #leaseMsMax: number;

  constructor(hold: Hold, leaseMsMax: number, permit?: number) {
    this.#hold = hold;
    this.#leaseMsMax = leaseMsMax;
    this.permit = permit;
  }

  /** As they were given. */
  get resources(): readonly string[] {
    return this.#hold.resources;
  }

  /** Grows with every acquire of the resource: whatever is written to refuses a lower one. */
  get fencingToken(): number {
    return this.#hold.fencingToken;
  }

  /** Random; 28 hex digits. Instances know the holder by it. */
  get holderToken(): string {
    return this.#hold.acquisition.plan.target.base;
  }

  get leaseMs(): number {
    return this.#hold.leaseMs;
  }

  /** Milliseconds for which it is held at least if nothing more is heard; 0 when it is over. */
  get remainingMs(): number {
    return this.#hold.remainingMs;
  }

  /** Aborts with LOCK_LOST no later than the lease ends. A release does not abort it. */
  get signal(): AbortSignal {
    return this.#hold.signal;
  }

  get lost(): boolean {
    return this.#hold.isLost;
  }

  get released(): boolean {
    return this.#hold.isReleased;
  }

  /** How each instance voted, as far as it is known. */
  get votes(): readonly InstanceVote[] {
    return this.#hold.votes;
  }

  /** Renews now. Rejects with LOCK_LOST when that cannot be confirmed before the lease ends. */
  async renew(options: RenewOptions = {}): Promise<void> {
    const { leaseMs, signal } = readOptions("renew", options, {
      leaseMs: optionalNumberField({ min: LEASE_MS_MIN, max: Math.min(WAIT_MS_MAX, this.#leaseMsMax) }),
      signal: signalField(),
    });
    throwIfAborted(signal, "renew");
    await this.#hold.renew(leaseMs);
  }

  /**
   * Releases it on every instance. Never rejects: true when a quorum confirmed, false when it could not be
   * confirmed or the lock was lost before; what is left then ends with its lease.
   */
  release(): Promise<boolean> {
    return this.#hold.release();
  }

  /** The error that `signal` aborts with, or would. */
  lossError(): CoterieError {
    return this.#hold.lossError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
