/**
 * What a lock program is told to do and what it says: the lines between `lock-program.ts`, which runs in a
 * process of its own, and the test that started it. All times are microseconds of the machine's monotonic
 * clock, which its processes share.
 */
import type { LockerOptions } from "coterie";

export type WorkKind = "lock" | "permit" | "reader" | "writer";

export interface LockWork {
  readonly kind: WorkKind;
  /** Several for a lock on all of them; else one name. */
  readonly resource: string | readonly string[];
  /** Of a semaphore. */
  readonly permits?: number;
  /** How many do this at the same time; default 1. */
  readonly workers?: number;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly holdMs: number;
  /** Between two holds; default 2. */
  readonly thinkMs?: number;
  readonly renew?: boolean;
  readonly fair?: boolean;
  /** How often each worker does it; default until told to stop. */
  readonly roundsMax?: number;
}

export interface LockProgramPlan {
  readonly locker: Omit<LockerOptions, "env" | "signal">;
  readonly work: readonly LockWork[];
}

/** How long a call took. */
interface Took {
  readonly tookMs: number;
}

interface VoteSeen {
  readonly instance: string;
  readonly vote: "granted" | "refused" | "unreachable";
}

interface OfHold {
  /** Which of its process's holds; the events of one hold share it. */
  readonly hold: number;
  readonly at: number;
}

interface OfWork {
  readonly kind: WorkKind;
  readonly resources: readonly string[];
  /** Of the semaphore. */
  readonly permits?: number;
}

interface AskedEvent extends OfHold, OfWork {
  readonly event: "asked";
  readonly waitMs: number;
}

export interface AcquiredEvent extends OfHold, OfWork, Took {
  readonly event: "acquired";
  /** When the lease that was told to the holder is over. */
  readonly until: number;
  readonly token: number;
  readonly holderToken: string;
  readonly permit?: number;
  readonly votes: readonly VoteSeen[];
}

interface FailedEvent extends OfHold, Took {
  readonly event: "failed";
  readonly code: string;
  readonly message: string;
}

interface SeenEvent extends OfHold {
  readonly event: "seen";
  readonly until: number;
}

interface ReleasedEvent extends OfHold {
  readonly event: "released";
  readonly confirmed: boolean;
}

interface PlainHoldEvent extends OfHold {
  /** Release was called; the signal said that the lock is lost. */
  readonly event: "releasing" | "lost";
}

interface ProcessEvent {
  readonly event: "ready" | "closed";
  readonly at: number;
}

/** The process did not run in this time, or only for something else. */
interface StalledEvent {
  readonly event: "stalled";
  readonly at: number;
  readonly until: number;
}

export interface StatusEvent {
  readonly event: "status";
  readonly at: number;
  readonly status: unknown;
}

export interface UnhandledEvent {
  readonly event: "unhandled";
  readonly at: number;
  readonly what: string;
  readonly text: string;
}

export type LockEvent =
  | AskedEvent
  | AcquiredEvent
  | FailedEvent
  | SeenEvent
  | ReleasedEvent
  | PlainHoldEvent
  | ProcessEvent
  | StalledEvent
  | StatusEvent
  | UnhandledEvent;

/** Now, in microseconds of the machine's monotonic clock. */
export function micros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
