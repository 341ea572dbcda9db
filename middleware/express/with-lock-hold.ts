/**
 * One request that has its lock, from the handler's start to its end. Its one idea: the lock follows the
 * handler and not the connection. A client that leaves ends nothing; the handler's own end, whatever form
 * it takes, releases. When the lock is lost before an answer was begun, the answer is 503, and what the
 * handler says later goes nowhere: neither to the client nor, as an error, to the process.
 */
import type { NextFunction, Request, Response } from "express";

import { CoterieError, type Lock, systemEnv, type Timer } from "../../src/index.ts";
import { answerFor, sendAnswer } from "./problem.ts";
import { WatchedResponse } from "./with-lock-response.ts";

/** The lock of a request, as its handler sees it. The middleware releases it. */
export interface RequestLock {
  readonly resources: readonly string[];
  /** Grows with each holder of a resource: for writes that refuse an older holder's. */
  readonly fencingToken: number;
  /** Aborts with LOCK_LOST when the lock is lost, no later than its lease ends. */
  readonly signal: AbortSignal;
  /** Milliseconds of the lease that are left; renewals lengthen it. */
  readonly remainingMs: number;
}

export type LockedHandler = (req: Request, res: Response, next: NextFunction) => unknown;

export interface Hold {
  readonly lock: Lock;
  readonly req: Request;
  readonly res: Response;
  readonly next: NextFunction;
  /** How long a handler without a promise may go on after its client has left. */
  readonly abandonedMs: number;
}

/** Runs the handler under its lock; resolves when it has ended and the lock is released. */
export async function runUnderLock(handler: LockedHandler, hold: Hold): Promise<void> {
  await new LockedRequest(hold).run(handler);
}

class LockedRequest {
  readonly #hold: Hold;
  readonly #response: WatchedResponse;
  /** Aborts with the lock, or for a handler that was given up. */
  readonly #lost = new AbortController();
  readonly #ended: Promise<void>;
  #onEnd: () => void = () => {};
  #hasPassedOn = false;
  #abandoned: Timer | undefined;

  constructor(hold: Hold) {
    this.#hold = hold;
    this.#ended = new Promise((resolve) => (this.#onEnd = resolve));
    this.#response = new WatchedResponse(hold.res, () => this.#checkLock());
  }

  async run(handler: LockedHandler): Promise<void> {
    const { lock, req } = this.#hold;
    const onLost = (): void => this.#lose(lock.signal.reason);
    lock.signal.addEventListener("abort", onLost, { once: true });
    req.coterie = { ...req.coterie, lock: this.#view() };
    try {
      this.#checkLock();
      if (!this.#response.isRefused) await this.#handle(handler);
      this.#checkLock();
    } catch (error) {
      this.#fail(error);
    } finally {
      lock.signal.removeEventListener("abort", onLost);
      this.#response.forget();
      await lock.release();
    }
  }

  async #handle(handler: LockedHandler): Promise<void> {
    const { req, res } = this.#hold;
    const returned: unknown = handler(req, res, this.#next as NextFunction);
    if (isPromise(returned)) await returned;
    else await this.#untilAnswered();
  }

  /** What the handler calls to pass the request on: once, and only while the request is ours to pass on. */
  readonly #next = (error?: unknown): void => {
    this.#onEnd();
    this.#checkLock();
    if (this.#hasPassedOn || this.#response.isRefused) return;
    this.#hasPassedOn = true;
    this.#hold.next(error);
  };

  /** A handler without a promise has ended when it has passed the request on or ended the response. */
  async #untilAnswered(): Promise<void> {
    const { res, abandonedMs } = this.#hold;
    const onClose = (): void => {
      this.#abandoned = systemEnv.timers.after(abandonedMs, () => this.#abandon());
    };
    if (res.destroyed) onClose();
    else res.once("close", onClose);
    this.#response.onEnd(this.#onEnd);
    await this.#ended;
    res.off("close", onClose);
    this.#abandoned?.cancel();
  }

  /** The client is gone and the handler shows no sign of life: as if the lease had ended. */
  #abandon(): void {
    const { abandonedMs, lock } = this.#hold;
    const [resource] = lock.resources;
    this.#lose(
      new CoterieError(
        "LOCK_LOST",
        `withLock: given up, the client left ${abandonedMs} ms ago and the handler has not ended`,
        { details: { resource, abandonedMs } },
      ),
    );
    this.#onEnd();
  }

  /** The clock may know before the signal does: after a pause of the process timers fire one by one. */
  #checkLock(): void {
    const { lock } = this.#hold;
    if (lock.lost || lock.remainingMs <= 0) this.#lose(lock.signal.reason);
  }

  #lose(reason: unknown): void {
    if (this.#lost.signal.aborted) return;
    const { req, res } = this.#hold;
    const error = CoterieError.is(reason, "LOCK_LOST")
      ? reason
      : new CoterieError("LOCK_LOST", "withLock: the lease has ended", { cause: reason });
    const isBegun = res.headersSent || this.#hasPassedOn;
    if (!isBegun) this.#response.refuseWith(() => sendAnswer(res, answerFor(error, req)));
    this.#lost.abort(error);
  }

  #fail(error: unknown): void {
    this.#checkLock();
    if (!this.#response.isRefused && !this.#hasPassedOn) {
      this.#hasPassedOn = true;
      this.#hold.next(error);
      return;
    }
    // The request has its answer. That the handler stopped because of the loss is what is asked of it.
    const { aborted, reason } = this.#lost.signal;
    const isAbort = error === reason || (error as Error | undefined)?.name === "AbortError";
    if (aborted && isAbort) return;
    const why = error instanceof Error ? error.message : String(error);
    const message = `withLock: a handler failed after its answer: ${why}`;
    process.emitWarning(message, { code: "COTERIE_LATE_ERROR" });
  }

  #view(): RequestLock {
    const { lock } = this.#hold;
    const { resources, fencingToken } = lock;
    const { signal } = this.#lost;
    return {
      resources,
      fencingToken,
      signal,
      get remainingMs() {
        return signal.aborted ? 0 : lock.remainingMs;
      },
    };
  }
}

function isPromise(returned: unknown): returned is PromiseLike<unknown> {
  return typeof (returned as PromiseLike<unknown> | null | undefined)?.then === "function";
}
