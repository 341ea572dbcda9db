/**
 * What a user's compiler says about `coterie/redlock`: what compiled with redlock 5 compiles, and so do the
 * old names of 4. Compiled with the tests and never run; each `@ts-expect-error` must not compile.
 */
import { type Cluster, Redis } from "ioredis";

import Redlock, {
  ExecutionError,
  type ExecutionResult,
  type ExecutionStats,
  type Lock,
  type RedlockAbortSignal,
  ResourceLockedError,
  type Settings,
} from "../../src/redlock/index.ts";
import type * as old from "../../node_modules/redlock/dist/index.js";

declare const cluster: Cluster;

const settings: Partial<Settings> = { driftFactor: 0.01, retryCount: 10, retryDelay: 200, retryJitter: 200 };
const redlock = new Redlock([new Redis(), new Redis()], { ...settings, automaticExtensionThreshold: 500 });
const fromSet = new Redlock(new Set([new Redis()]));
const raised = new Redlock([new Redis()], { locker: { leaseMsMax: 60_000, name: "shop", assumeNew: true } });
const withoutScripts = new Redlock([new Redis()], {}, {});

redlock.on("error", (error) => (error instanceof ResourceLockedError ? undefined : error));

let lock: Lock = await redlock.acquire(["a", "b"], 5000, { retryCount: 0 });
lock = await lock.extend(5000);
lock = await redlock.extend(lock, 5000, settings);
const answer: ExecutionResult = await lock.release();
await redlock.release(lock, settings);
const [first] = lock.attempts;
const stats: ExecutionStats | undefined = await first;
const votes: readonly unknown[] = [
  stats?.membershipSize,
  stats?.quorumSize,
  stats?.votesFor.has(new Redis()),
  stats?.votesAgainst.get(new Redis())?.message,
];

const isDone: boolean = await redlock.using(["a"], 5000, settings, async (signal) => {
  if (signal.aborted) throw signal.error ?? new Error("aborted");
  return true;
});
const count: number = await redlock.using(["a"], 5000, async (signal: RedlockAbortSignal, held) => {
  return signal.aborted ? 0 : held.fencingToken;
});
await redlock.quit();

// redlock 4
const single: Lock = await redlock.lock("a", 1000);
const list: Lock = await redlock.lockWithOptions(["a", "b"], 1000, { retryCount: -1 });
await single.unlock();
await redlock.unlock(list);

// What coterie adds.
await using disposed = await redlock.acquire("a", 1000);
const token: number = disposed.fencingToken;
const signal: AbortSignal = disposed.signal;
const error = new ExecutionError("no quorum", []);
const code: string = error.code;

/** Everything that the old one took is taken, and everything that it gave is given. */
type Takes<Old extends readonly unknown[], New extends readonly unknown[]> = Old extends New ? true : false;
const acquires: Takes<Parameters<old.default["acquire"]>, Parameters<Redlock["acquire"]>> = true;
const keysOfLock: keyof old.Lock extends keyof Lock ? true : false = true;
const keysOfRedlock: Exclude<keyof old.default, "scripts"> extends keyof Redlock ? true : false = true;
type Alike<A, B> = A extends B ? (B extends A ? true : false) : false;
const settingsAlike: Alike<old.Settings, Settings> = true;

// @ts-expect-error -- a cluster is not one independent server
const wrong1 = new Redlock([cluster]);
// @ts-expect-error -- a URL is not a client
const wrong2 = new Redlock(["redis://127.0.0.1"]);
// @ts-expect-error -- scripts of the caller's own do not run
const wrong3 = new Redlock([new Redis()], {}, { acquireScript: "return 1" });
// @ts-expect-error -- an unknown setting
const wrong4 = new Redlock([new Redis()], { retries: 3 });
// @ts-expect-error -- the instances are the clients'
const wrong5 = new Redlock([new Redis()], { locker: { instances: [] } });
// @ts-expect-error -- no callbacks
void redlock.lock("a", 1000, (_error: Error, _lock: Lock) => undefined);
// @ts-expect-error -- a routine is a function
void redlock.using(["a"], 1000, {}, 7);

export {
  acquires,
  answer,
  code,
  count,
  fromSet,
  isDone,
  keysOfLock,
  keysOfRedlock,
  raised,
  settingsAlike,
  signal,
  token,
  votes,
  withoutScripts,
  wrong1,
  wrong2,
  wrong3,
  wrong4,
  wrong5,
};
