/**
 * A processor for BullMQ that runs under a quorum lock: no two jobs of one resource at once, whichever
 * workers run them, and the same job not twice at once. Its one idea: there are three ways to lose a job
 * (our lock, BullMQ's own lock on it, a cancellation) and one signal that tells the processor of each. A job
 * that lost a lock records no completion, whatever its processor gives.
 */
import type { Job } from "bullmq";

import { type Coterie, CoterieError, type Lock, systemEnv } from "../../src/index.ts";
import { describe } from "../options.ts";
import { delayMsFor, uncountedStarts } from "./delay.ts";
import { type GuardOptions, type GuardSettings, readGuardOptions } from "./options.ts";
import { type JobWatch, watchJob } from "./worker-lock.ts";

export type { GuardOptions } from "./options.ts";

/** What the guard needs of a job: BullMQ's own, or the one that it gives to a sandboxed processor. */
export interface GuardedJob {
  readonly id?: string | undefined;
  readonly attemptsMade: number;
  readonly attemptsStarted: number;
  readonly processedOn?: number | undefined;
  moveToDelayed(timestamp: number, token?: string): Promise<void>;
}

/** What the guard knows of a job that runs. */
export interface GuardContext {
  /**
   * Aborts when our lock is lost, when BullMQ's own lock on the job is, or when the job was cancelled; its
   * reason says which.
   */
  readonly signal: AbortSignal;
  /** Grows with each holder of the resource: for writes that refuse an older holder's. */
  readonly fencingToken: number;
  /** How often the job was started, this time included; it grows where `attemptsMade` does not. */
  readonly attempt: number;
  readonly lock: Lock;
}

/** A processor as BullMQ calls it, with the context as its last parameter; `signal` is the context's. */
export type GuardedProcessor<J, R> = (
  job: J,
  token: string | undefined,
  signal: AbortSignal,
  context: GuardContext,
) => Promise<R> | R;

/** What a BullMQ `Worker` takes. It has three parameters, so that BullMQ gives it a signal. */
export type Processor<J, R> = (job: J, token?: string, signal?: AbortSignal) => Promise<R>;

type Locks = Pick<Coterie, "locks">;

/**
 * The processor, under a lock of its own for each job. The lock is released when the processor ends, and
 * not when its signal aborts.
 */
export function guard<J extends GuardedJob = Job, R = unknown>(
  coterie: Locks,
  processor: GuardedProcessor<J, R>,
  options: GuardOptions<NoInfer<J>>,
): Processor<J, R> {
  requireArguments(coterie, processor);
  const settings = readGuardOptions<J>(options);
  // Three parameters without defaults: BullMQ looks at `length`.
  return async (job: J, token: string | undefined, signal: AbortSignal | undefined): Promise<R> => {
    const watched = watchJob(job, signal);
    try {
      const lock = await take(coterie, settings, watched, job, token);
      return await runUnderLock(processor, watched, lock, job, token);
    } finally {
      watched.end();
    }
  };
}

async function runUnderLock<J extends GuardedJob, R>(
  processor: GuardedProcessor<J, R>,
  watched: JobWatch,
  lock: Lock,
  job: J,
  token: string | undefined,
): Promise<R> {
  const signal = AbortSignal.any([lock.signal, watched.signal]);
  const { fencingToken } = lock;
  try {
    const value = await processor(job, token, signal, {
      signal,
      fencingToken,
      attempt: job.attemptsStarted,
      lock,
    });
    const loss = watched.loss() ?? lossOf(lock);
    if (loss !== undefined) throw loss;
    return value;
  } finally {
    await lock.release();
  }
}

/** The clock may know before the signal does: after a pause of the process timers fire one by one. */
function lossOf(lock: Lock): CoterieError | undefined {
  if (!lock.lost && lock.remainingMs > 0) return undefined;
  const reason: unknown = lock.signal.reason;
  if (CoterieError.is(reason, "LOCK_LOST")) return reason;
  return new CoterieError("LOCK_LOST", "guard: the lease ended before the job did", { cause: reason });
}

/** The job's lock. Rejects with what BullMQ takes for "moved to delayed" when the job was put back. */
async function take<J extends GuardedJob>(
  { locks }: Locks,
  settings: GuardSettings<J>,
  watched: JobWatch,
  job: J,
  token: string | undefined,
): Promise<Lock> {
  const { resource, leaseMs, deadlineMs, busy, waitMs } = settings;
  const names = typeof resource === "function" ? resource(job) : resource;
  const signal = AbortSignal.any([watched.signal, watched.closing]);
  try {
    return await locks.acquire(names, { leaseMs, deadlineMs, signal, waitMs: busy === "wait" ? waitMs : 0 });
  } catch (error) {
    if (watched.signal.aborted) throw watched.loss() ?? error;
    const isPassing = CoterieError.is(error) && error.retryable;
    if (!isPassing || busy === "fail") throw error;
    return putBack(error, settings, job, token);
  }
}

/** Nothing of the job has run: it goes back to the queue, and none of its attempts is used up. */
async function putBack<J extends GuardedJob>(
  error: CoterieError,
  settings: GuardSettings<J>,
  job: J,
  token: string | undefined,
): Promise<never> {
  const starts = uncountedStarts(job);
  if (starts >= settings.delaysMax) throw error;
  const { clock, random } = systemEnv;
  const delayMs = delayMsFor(starts, settings, random.fraction());
  await job.moveToDelayed(clock.wallNow() + delayMs, token);
  const { code, message, retryable, details, cause } = error;
  const moved = new CoterieError(code, `${message}; the job runs again in ${delayMs} ms`, {
    retryable,
    cause,
    details: { ...details, delayMs },
  });
  // BullMQ knows by this name that the job is where it belongs.
  moved.name = "DelayedError";
  throw moved;
}

function requireArguments(coterie: unknown, processor: unknown): void {
  const locks = (coterie as Partial<Coterie> | null | undefined)?.locks;
  if (typeof locks?.acquire !== "function") {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `guard: the first parameter must be a coterie, got ${describe(coterie)}`,
    );
  }
  if (typeof processor === "function") return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `guard: the second parameter must be a processor, got ${describe(processor)}; ` +
      "in a processor of its own file, wrap the function that the file exports",
  );
}
