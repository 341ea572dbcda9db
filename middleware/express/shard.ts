/**
 * Express middleware: finds the shard of a request and puts it on `req.coterie.shard`. It asks Redis
 * nothing and waits for nothing, so it adds microseconds; a shard that is known to be away is answered
 * at once. What the client did wrong is answered; what the programmer did wrong goes to `next`.
 */
import type { ErrorRequestHandler, Request, RequestHandler } from "express";

import { type Coterie, CoterieError, type Instance, type Key } from "../../src/index.ts";
import {
  describe,
  isOptionalFunction,
  isOptionalInteger,
  readRecord,
  requireOption,
} from "../options.ts";
import { type Answer, answerFor, invalidKey, missingKey, sendAnswer } from "./problem.ts";
import { type ProblemHandler, refuse } from "./refuse.ts";

/** What the middleware found out about the request. */
export interface RequestShard {
  /** The key that the request is about. */
  readonly key: Key;
  /** The id of the instance that owns the key. */
  readonly id: string;
  /** The owner itself: `call`, `run`, `status`. Commands through `coterie.shards` find it by themselves. */
  readonly instance: Instance;
}

export interface ShardOptions {
  /**
   * The request's key. `undefined`, null and "" mean that it has none, and anything but text and bytes
   * that it is wrong: both are answered 400. What the function throws goes to `next`.
   */
  readonly key: (req: Request) => Key | null | undefined;
  /** Longer keys, in bytes of UTF-8, are answered 400. Default 1,024. */
  readonly keyBytesMax?: number | undefined;
  /**
   * What to do when the key's owner is known to be away. `"refuse"`, the default, answers 503 at once;
   * `"pass"`, which shards with `purpose: "cache"` always do, goes on to the handler.
   */
  readonly unavailable?: "refuse" | "pass" | undefined;
  /** Called instead of answering with the problem; its own errors go to `next`. */
  readonly onProblem?: ProblemHandler | undefined;
}

export interface ProblemsOptions {
  /** Called with each error before it is answered, for logs: the answer tells its code and nothing else. */
  readonly onError?: ((error: CoterieError, req: Request) => unknown) | undefined;
}

const SHARD_OPTIONS: readonly (keyof ShardOptions)[] = ["key", "keyBytesMax", "unavailable", "onProblem"];
const PROBLEMS_OPTIONS: readonly (keyof ProblemsOptions)[] = ["onError"];
const KEY_BYTES_MAX = 1024;

/** Puts the owner of the request's key on `req.coterie.shard`, or answers with a problem. */
export function shard(coterie: Pick<Coterie, "shards">, options: ShardOptions): RequestHandler {
  requireCoterie(coterie);
  const {
    key: keyOf,
    keyBytesMax = KEY_BYTES_MAX,
    unavailable = "refuse",
    onProblem,
  } = readShardOptions(options);
  const refuses = unavailable === "refuse" && coterie.shards.purpose === "store";
  return (req, res, next) => {
    let refusal: Answer | undefined;
    try {
      const key: unknown = keyOf(req);
      refusal = keyRefusal(key, keyBytesMax);
      if (refusal === undefined) {
        const instance = coterie.shards.for(key as Key);
        req.coterie = { ...req.coterie, shard: { key: key as Key, id: instance.id, instance } };
        const away = refuses ? instance.refusal() : undefined;
        if (away !== undefined) refusal = answerFor(away, req);
      }
    } catch (error) {
      next(error);
      return;
    }
    if (refusal === undefined) next();
    else refuse("shard", refusal, onProblem, req, res, next);
  };
}

/** What `shard()` found out about this request; throws INVALID_ARGUMENT where it has not run. */
export function shardOf(req: Request): RequestShard {
  const found = req.coterie?.shard;
  if (found !== undefined) return found;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    "shardOf: shard() has not run for this request; put it before the handler",
  );
}

/**
 * Error-handling middleware, for after the routes: an error of coterie that a handler passed on or threw
 * becomes a problem answer; any other goes on to the next error handler.
 */
export function problems(options: ProblemsOptions = {}): ErrorRequestHandler {
  const { onError } = readProblemsOptions(options);
  return (error: unknown, req, res, next) => {
    if (!CoterieError.is(error) || res.headersSent) {
      next(error);
      return;
    }
    void warnOfLostNote(onError?.(error, req));
    sendAnswer(res, answerFor(error, req));
  };
}

/** Why the key cannot be looked up; undefined when it can. Nothing of a hostile value is touched. */
function keyRefusal(key: unknown, keyBytesMax: number): Answer | undefined {
  if (key === undefined || key === null || key === "") return missingKey();
  if (key instanceof Promise) throw promiseKey(key);
  const isKey = typeof key === "string" || key instanceof Uint8Array;
  if (!isKey) return invalidKey("The key must be text or bytes.");
  if (key.length === 0) return missingKey();
  if (key.length <= keyBytesMax && Buffer.byteLength(key) <= keyBytesMax) return undefined;
  return invalidKey(`The key must not be longer than ${keyBytesMax} bytes.`);
}

/** Waiting for it could take for ever, and its rejection would have nobody to go to. */
function promiseKey(key: Promise<unknown>): CoterieError {
  void Promise.allSettled([key]);
  return new CoterieError(
    "INVALID_ARGUMENT",
    "shard: option key must return a key, got a promise; " +
      "find out what it needs in a middleware before this one",
  );
}

/** The request has its answer by then; there is nobody else to tell. */
async function warnOfLostNote(noted: unknown): Promise<void> {
  try {
    await noted;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`problems: onError rejected: ${why}`, { code: "COTERIE_ON_ERROR" });
  }
}

function requireCoterie(coterie: unknown): void {
  const shards = (coterie as Partial<Coterie> | null | undefined)?.shards;
  if (typeof shards?.for === "function") return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `shard: the first parameter must be a coterie, got ${describe(coterie)}`,
  );
}

function readShardOptions(received: unknown): ShardOptions {
  const given = readRecord("shard", received, SHARD_OPTIONS);
  const { key, keyBytesMax, unavailable, onProblem } = given;
  const require = (name: keyof ShardOptions, needed: string, holds: boolean) =>
    requireOption("shard", name, needed, given[name], holds);
  require("key", "a function from the request to its key", typeof key === "function");
  require("keyBytesMax", "an integer of at least 1", isOptionalInteger(keyBytesMax, 1));
  require("unavailable", '"refuse" or "pass"', [undefined, "refuse", "pass"].includes(
    unavailable as undefined,
  ));
  require("onProblem", "a function", isOptionalFunction(onProblem));
  return given as unknown as ShardOptions;
}

function readProblemsOptions(received: unknown): ProblemsOptions {
  const given = readRecord("problems", received, PROBLEMS_OPTIONS);
  const { onError } = given;
  requireOption("problems", "onError", "a function", onError, isOptionalFunction(onError));
  return given;
}
