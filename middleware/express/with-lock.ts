/**
 * Express middleware: runs a handler under a quorum lock, so that no two requests for one resource run at
 * once, in whichever process. A resource in use is answered 423 at once, or 503 after a wait; a lock that
 * cannot be had is answered 503 and never passed over. A client that leaves while its request waits ends
 * the wait; one that leaves later ends nothing.
 */
import type { Request, RequestHandler, Response } from "express";

import { type Coterie, CoterieError, type Lock, WAIT_MS_MAX } from "../../src/index.ts";
import {
  describe,
  isOptionalFunction,
  isOptionalInteger,
  readRecord,
  requireOption,
} from "../options.ts";
import { type Answer, answerFor, invalidResource, isOfLocks, missingResource } from "./problem.ts";
import { type ProblemHandler, refuse } from "./refuse.ts";
import { type LockedHandler, type RequestLock, runUnderLock } from "./with-lock-hold.ts";

export type { LockedHandler } from "./with-lock-hold.ts";

/** What is locked: one name, or several of which all are held or none. */
type Resource = string | readonly string[];

export interface WithLockOptions {
  /**
   * What no two handlers may be at work on: a name, several names, or a function from the request to them.
   * `undefined`, null, "" and no names mean that the request does not say; it is answered 400.
   */
  readonly resource: Resource | ((req: Request) => Resource | null | undefined);
  /** Longer names that a request gives, in bytes of UTF-8, are answered 400. Default 1,024. */
  readonly resourceBytesMax?: number | undefined;
  /**
   * Milliseconds after which others get the lock when this process dies; renewed while the handler runs.
   * Default the locker's own, 10,000.
   */
  readonly leaseMs?: number | undefined;
  /** Milliseconds to wait for other holders. Default 0: a resource in use is answered at once. */
  readonly waitMs?: number | undefined;
  /** Milliseconds for one command to a Redis. Default: the locker's own. */
  readonly deadlineMs?: number | undefined;
  /** The status for a resource in use that is not waited for. Default 423. */
  readonly busy?: 423 | 409 | undefined;
  /** What Retry-After says of a resource in use, rounded up to seconds. Default 1,000. */
  readonly retryAfterMs?: number | undefined;
  /**
   * A handler that gives no promise, and has neither ended its response nor called `next` this many
   * milliseconds after its client left, is given up: its signal aborts, then the lock is released.
   * Default 10,000.
   */
  readonly abandonedMs?: number | undefined;
  /** Called instead of answering a request that is not handled; its own errors go to `next`. */
  readonly onProblem?: ProblemHandler | undefined;
}

const OPTIONS: readonly (keyof WithLockOptions)[] = [
  "resource",
  "resourceBytesMax",
  "leaseMs",
  "waitMs",
  "deadlineMs",
  "busy",
  "retryAfterMs",
  "abandonedMs",
  "onProblem",
];
const LEASE_MS_MIN = 10;
/** As many as one lock takes. */
const NAMES_MAX = 1000;
const DEFAULTS = { resourceBytesMax: 1024, waitMs: 0, busy: 423, retryAfterMs: 1000, abandonedMs: 10_000 };

type Locks = Pick<Coterie, "locks">;

/**
 * The handler, under a lock of its own for each request. It ends, and the lock is released, when the promise
 * that it gives settles; a handler that gives none has ended when it has called `next` or ended the response.
 */
export function withLock(coterie: Locks, options: WithLockOptions, handler: LockedHandler): RequestHandler {
  requireArguments(coterie, handler);
  const settings = readWithLockOptions(options);
  const { abandonedMs = DEFAULTS.abandonedMs, onProblem } = settings;
  return async (req, res, next) => {
    try {
      const resource = resourceOf(req, settings);
      const taken =
        "problem" in resource ? resource : await take(coterie, resource.names, settings, req, res);
      if (taken === undefined) return;
      if ("problem" in taken) refuse("withLock", taken, onProblem, req, res, next);
      else await runUnderLock(handler, { lock: taken, req, res, next, abandonedMs });
    } catch (error) {
      next(error);
    }
  };
}

/** The lock under which this request runs; throws INVALID_ARGUMENT where `withLock()` does not. */
export function lockOf(req: Request): RequestLock {
  const found = req.coterie?.lock;
  if (found !== undefined) return found;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    "lockOf: this request has no lock; wrap the handler in withLock()",
  );
}

/** The lock, or the answer for having none; undefined when the client left meanwhile. */
async function take(
  { locks }: Locks,
  names: Resource,
  settings: WithLockOptions,
  req: Request,
  res: Response,
): Promise<Lock | Answer | undefined> {
  const { leaseMs, waitMs = DEFAULTS.waitMs, deadlineMs } = settings;
  const client = watchClient(req, res);
  try {
    const lock = await locks.acquire(names, { leaseMs, waitMs, deadlineMs, signal: client.gone });
    if (!client.gone.aborted) return lock;
    await lock.release();
    return undefined;
  } catch (error) {
    if (client.gone.aborted) return undefined;
    if (!CoterieError.is(error) || !isOfLocks(error)) throw error;
    return busyAnswer(error, settings, req);
  } finally {
    client.forget();
  }
}

function busyAnswer(error: CoterieError, settings: WithLockOptions, req: Request): Answer {
  if (error.code !== "LOCKED") return answerFor(error, req);
  const { waitMs = DEFAULTS.waitMs, busy = DEFAULTS.busy, retryAfterMs = DEFAULTS.retryAfterMs } = settings;
  return answerFor(error, req, { status: waitMs > 0 ? 503 : busy, retryAfterMs });
}

/** A request that waits behind another of its connection has no socket of its own yet: both are looked at. */
function watchClient(req: Request, res: Response): { readonly gone: AbortSignal; forget(): void } {
  const left = new AbortController();
  const onLeft = (): void => left.abort();
  const sources = req.httpVersionMajor === 1 ? [res, req.socket] : [res];
  for (const source of sources) {
    if (source.destroyed) onLeft();
    source.once("close", onLeft);
  }
  const forget = (): void => sources.forEach((source) => source.off("close", onLeft));
  return { gone: left.signal, forget };
}

/** What the request is about, or the answer when it does not say so. What the function throws is thrown. */
function resourceOf(
  req: Request,
  { resource, resourceBytesMax = DEFAULTS.resourceBytesMax }: WithLockOptions,
): { readonly names: Resource } | Answer {
  if (typeof resource !== "function") return { names: resource };
  const given: unknown = resource(req);
  if (given instanceof Promise) throw promiseResource(given);
  if (given === undefined || given === null || given === "") return missingResource();
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (names.length === 0) return missingResource();
  if (!names.every(isName)) return invalidResource("It must be text, or a list of texts, and not empty.");
  if (names.length > NAMES_MAX || new Set(names).size < names.length) {
    return invalidResource(`It must be at most ${NAMES_MAX} texts, and none of them twice.`);
  }
  const isShort = (name: string): boolean =>
    name.length <= resourceBytesMax && Buffer.byteLength(name) <= resourceBytesMax;
  if ((names as readonly string[]).every(isShort)) return { names: given as Resource };
  return invalidResource(`It must not be longer than ${resourceBytesMax} bytes.`);
}

/** Waiting for it could take for ever, and its rejection would have nobody to go to. */
function promiseResource(resource: Promise<unknown>): CoterieError {
  void Promise.allSettled([resource]);
  return new CoterieError(
    "INVALID_ARGUMENT",
    "withLock: option resource must return names, got a promise; " +
      "find out what it needs in a middleware before this one",
  );
}

/** Text, not empty, without halves of surrogate pairs: those have no bytes. */
function isName(name: unknown): boolean {
  return typeof name === "string" && name !== "" && !/\p{Surrogate}/u.test(name);
}

function requireArguments(coterie: unknown, handler: unknown): void {
  const locks = (coterie as Partial<Coterie> | null | undefined)?.locks;
  if (typeof locks?.acquire !== "function") {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `withLock: the first parameter must be a coterie, got ${describe(coterie)}`,
    );
  }
  if (typeof handler === "function") return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `withLock: the third parameter must be a handler, got ${describe(handler)}`,
  );
}

function readWithLockOptions(received: unknown): WithLockOptions {
  const given = readRecord("withLock", received, OPTIONS);
  const require = (name: keyof WithLockOptions, needed: string, holds: boolean) =>
    requireOption("withLock", name, needed, given[name], holds);
  const { resource, busy, onProblem } = given;
  require(
    "resource",
    "a name, a list of names, or a function from the request to them",
    typeof resource === "function" ||
      isName(resource) ||
      (Array.isArray(resource) && resource.length > 0 && resource.every(isName)),
  );
  require("resourceBytesMax", "an integer of at least 1", isOptionalInteger(given["resourceBytesMax"], 1));
  require(
    "leaseMs",
    `an integer of at least ${LEASE_MS_MIN}`,
    isOptionalInteger(given["leaseMs"], LEASE_MS_MIN),
  );
  for (const name of ["waitMs", "deadlineMs", "retryAfterMs", "abandonedMs"] as const) {
    const min = name === "deadlineMs" ? 1 : 0;
    const isWait = isOptionalInteger(given[name], min) && ((given[name] ?? 0) as number) <= WAIT_MS_MAX;
    require(name, `an integer from ${min} to ${WAIT_MS_MAX}`, isWait);
  }
  require("busy", "423 or 409", [undefined, 423, 409].includes(busy as undefined));
  require("onProblem", "a function", isOptionalFunction(onProblem));
  return given as unknown as WithLockOptions;
}
