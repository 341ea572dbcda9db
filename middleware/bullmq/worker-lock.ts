/**
 * BullMQ's own lock on a job: the key that its worker renews while the job runs, and whose loss lets
 * another worker run the job again. BullMQ announces a refused renewal and tells the job nothing. Here the
 * announcement reaches the job, and so does silence: a renewal that did not come for the lock's whole
 * duration was not made, whatever the reason. Known of a worker is what its events say, and no more.
 */
import { CoterieError, systemEnv, type Timer, WAIT_MS_MAX } from "../../src/index.ts";

/** What is needed of a BullMQ `Worker`. */
export interface WatchedWorker {
  on(event: "lockRenewalFailed", listener: (jobIds: string[]) => void): unknown;
  cancelJob(jobId: string, reason?: string): boolean;
}

interface RunningJob {
  readonly id?: string | undefined;
  readonly processedOn?: number | undefined;
}

/** A job that runs, and whether BullMQ still has it. */
export interface JobWatch {
  /** Aborts when BullMQ cancelled the job, or with LOCK_LOST when it lost its lock on it. */
  readonly signal: AbortSignal;
  /** Aborts when the worker is told to close. */
  readonly closing: AbortSignal;
  /** Why BullMQ has the job no more; undefined while it has, as far as is known. */
  loss(): CoterieError | undefined;
  /** The job has ended: nothing is noticed any more. */
  end(): void;
}

interface WorkerEvents {
  on(event: string, listener: (payload: never) => void): unknown;
  readonly opts: { readonly lockDuration: number; readonly skipLockRenewal?: boolean };
  readonly cancelJob?: unknown;
  /** There once it was told to close. */
  readonly closing?: unknown;
}

/** By which a cancellation says, over the border of a process too, that it is for a lost lock. */
const LOST = "coterie: BullMQ could not renew its lock on the job";

/**
 * For a worker whose processor is a file: cancels each job on which BullMQ loses its lock, so that the guard
 * in the processor's own process learns of it. Elsewhere the guard watches the worker by itself.
 */
export function watch(worker: WatchedWorker): void {
  if (typeof worker?.on !== "function" || typeof worker.cancelJob !== "function") {
    throw new CoterieError("INVALID_ARGUMENT", "watch: needs a Worker of BullMQ 5.64 or later");
  }
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const id of jobIds) worker.cancelJob(id, LOST);
  });
}

/** Watches a job from now until its `end()`; `cancelled` is BullMQ's own signal. */
export function watchJob(job: RunningJob, cancelled: AbortSignal | undefined): JobWatch {
  return new WatchedJob(job, cancelled);
}

class WatchedJob implements JobWatch {
  readonly id: string | undefined;
  readonly signal: AbortSignal;
  readonly #lost = new AbortController();
  readonly #closing = new AbortController();
  readonly #cancelled: AbortSignal | undefined;
  readonly #worker: WorkerWatch | undefined;
  #heldUntil = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(job: RunningJob, cancelled: AbortSignal | undefined) {
    this.id = job.id;
    this.#cancelled = cancelled;
    this.signal =
      cancelled === undefined ? this.#lost.signal : AbortSignal.any([cancelled, this.#lost.signal]);
    this.#worker = workerOf(job);
    this.#worker?.add(this);
    // BullMQ's lock began when the worker fetched the job, by the worker's own clock.
    const now = systemEnv.clock.wallNow();
    this.renewed(Math.max(0, now - (job.processedOn ?? now)));
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  loss(): CoterieError | undefined {
    if (systemEnv.clock.now() >= this.#heldUntil) this.#loseToTime();
    if (this.#cancelled?.reason === LOST) this.lose("its renewal was refused");
    return this.#lost.signal.aborted ? (this.#lost.signal.reason as CoterieError) : undefined;
  }

  end(): void {
    this.#timer?.cancel();
    this.#worker?.remove(this);
  }

  /** Its lock has begun anew, this long ago. */
  renewed(agoMs = 0): void {
    const { lockDuration = Number.NaN } = this.#worker ?? {};
    const leftMs = lockDuration - agoMs;
    if (!(leftMs <= WAIT_MS_MAX)) return;
    this.#heldUntil = systemEnv.clock.now() + leftMs;
    this.#timer?.cancel();
    // A timer may fire a fraction early by the clock: it decides by itself.
    this.#timer = systemEnv.timers.after(Math.max(0, leftMs), () => this.#loseToTime());
  }

  lose(why: string): void {
    if (this.#lost.signal.aborted) return;
    const message = `guard: BullMQ lost its lock on job ${String(this.id)}: ${why}`;
    this.#lost.abort(new CoterieError("LOCK_LOST", message, { details: { job: this.id } }));
  }

  workerCloses(): void {
    this.#closing.abort();
  }

  #loseToTime(): void {
    this.lose("it was not renewed in time");
  }
}

/** One listener per worker and event, however many jobs it runs. */
class WorkerWatch {
  /** Milliseconds for which a renewal counts; undefined when none will be heard of. */
  readonly lockDuration: number | undefined;
  readonly #worker: WorkerEvents;
  readonly #running = new Set<WatchedJob>();

  constructor(worker: WorkerEvents) {
    this.#worker = worker;
    const { lockDuration, skipLockRenewal } = worker.opts;
    // Workers that cannot cancel (before BullMQ 5.64) do not tell of their renewals either.
    const tells = typeof worker.cancelJob === "function" && skipLockRenewal !== true;
    this.lockDuration = tells ? lockDuration : undefined;
    worker.on("lockRenewalFailed", (jobIds: readonly string[]) => {
      for (const job of this.#of(jobIds)) job.lose("its renewal was refused");
    });
    worker.on("locksRenewed", ({ jobIds }: { readonly jobIds: readonly string[] }) => {
      for (const job of this.#of(jobIds)) job.renewed();
    });
    worker.on("closing", () => {
      for (const job of this.#running) job.workerCloses();
    });
  }

  add(job: WatchedJob): void {
    this.#running.add(job);
    if (this.#worker.closing !== undefined) job.workerCloses();
  }

  remove(job: WatchedJob): void {
    this.#running.delete(job);
  }

  #of(jobIds: readonly string[]): WatchedJob[] {
    return [...this.#running].filter(({ id }) => id !== undefined && jobIds.includes(id));
  }
}

const watches = new WeakMap<WorkerEvents, WorkerWatch>();

/**
 * The worker that runs the job: BullMQ keeps it there under the name of the queue, and has since its first
 * version. A sandboxed job has none.
 */
function workerOf(job: RunningJob): WorkerWatch | undefined {
  const worker = (job as { readonly queue?: Partial<WorkerEvents> }).queue;
  const isWorker = typeof worker?.on === "function" && typeof worker.opts?.lockDuration === "number";
  if (!isWorker) return undefined;
  const known = watches.get(worker as WorkerEvents);
  if (known !== undefined) return known;
  const made = new WorkerWatch(worker as WorkerEvents);
  watches.set(worker as WorkerEvents, made);
  return made;
}
