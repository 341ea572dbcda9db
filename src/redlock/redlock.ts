/**
 * redlock's two classes over the locker. The arguments, the names and what is stored in Redis are redlock's;
 * what a call does, and that it ends, is the locker's matter.
 * A call settles within its wait and its deadlines, nothing here rejects without somebody awaiting it, and
 * what went wrong underneath is told by `error` events.
 */
import { EventEmitter } from "node:events";

import { type Env, systemEnv, WAIT_MS_MAX } from "../env/index.ts";
import { CoterieError, quote } from "../errors.ts";
import type { Lock as LockerLock } from "../locks/index.ts";
import { type Client, readClients } from "./clients.ts";
import { type Connection, connectionFor } from "./connection.ts";
import {
  ExecutionError,
  type ExecutionResult,
  type ExecutionStats,
  EXPIRED_TEXT,
  NO_QUORUM_TEXT,
} from "./errors.ts";
import { Hold, lossOf, type Released } from "./hold.ts";
import {
  mergeSettings,
  readSettings,
  type RedlockSettings,
  refuseScripts,
  retryPauseMs,
  type Settings,
  waitBudgetMs,
} from "./settings.ts";
import { isOpen, refusalsIn, statsOf, votesIn } from "./votes.ts";

/** What a routine is given: `error` is why it aborted, and its `reason` as well. */
export type RedlockAbortSignal = AbortSignal & { error?: Error };
export type Routine<T> = (signal: RedlockAbortSignal, lock: Lock) => Promise<T>;
/** Of tries that came to nothing. */
type Attempts = Promise<ExecutionStats>[];

/** redlock's third argument. It is here to be refused: see `refuseScripts`. */
export interface Scripts {
  readonly acquireScript?: undefined;
  readonly extendScript?: undefined;
  readonly releaseScript?: undefined;
}

/** The locker takes no shorter lease. */
const DURATION_MS_MIN = 10;
/** The locker's own default. */
const LEASE_MS_MAX = 30_000;
/** How long `quit` waits for a client before it cuts it. */
const QUIT_MS_MAX = 1000;

/** How long the statistics of an attempt wait for its last votes, in steps that grow. */
const VOTES_MS_MAX = 1000;
const VOTES_MS_STEP = 2;

/** What is behind a Lock that `acquire` gave out; nothing is behind one that somebody made by hand. */
interface Held {
  /** The same for a lock and for what its extensions gave. */
  readonly hold: Hold;
  /** Made when somebody looks: votes may come in after the lock is ours, and few ask for them. */
  attempts: readonly Promise<ExecutionStats>[] | undefined;
  readonly countAttempts: () => readonly Promise<ExecutionStats>[];
}

const holds = new WeakMap<Lock, Held>();

export class Lock {
  readonly redlock: Redlock;
  readonly resources: string[];
  /** The holder's token. In Redis a number that grows with each send stands after it. */
  readonly value: string;
  readonly #attempts: readonly Promise<ExecutionStats>[];
  readonly #expiration: number;

  constructor(
    redlock: Redlock,
    resources: string[],
    value: string,
    attempts: readonly Promise<ExecutionStats>[],
    expiration: number,
  ) {
    this.redlock = redlock;
    this.resources = resources;
    this.value = value;
    this.#attempts = attempts;
    this.#expiration = expiration;
  }

  /** One for each try, with all votes; none of them rejects. */
  get attempts(): readonly Promise<ExecutionStats>[] {
    const held = holds.get(this);
    if (held === undefined) return this.#attempts;
    held.attempts ??= held.countAttempts();
    return held.attempts;
  }

  /**
   * When it is over, in milliseconds since 1970; 0 once it is. Computed from the monotonic clock whenever it
   * is read, so that comparing it with `Date.now()` is right even after the wall clock leapt.
   */
  get expiration(): number {
    const held = holds.get(this);
    return held === undefined ? this.#expiration : held.hold.expiration;
  }

  /** Grows with each holder of a resource, so that what the lock protects can refuse a late writer. */
  get fencingToken(): number {
    return holdOf(this).lock.fencingToken;
  }

  /** Aborts with code LOCK_LOST when the lock is over and was not released. */
  get signal(): AbortSignal {
    return holdOf(this).lock.signal;
  }

  async release(): Promise<ExecutionResult> {
    return this.redlock.release(this);
  }

  async extend(duration: number): Promise<Lock> {
    return this.redlock.extend(this, duration);
  }

  /** redlock 4's name for `release`. */
  unlock(...callback: never[]): Promise<ExecutionResult> {
    return this.redlock.unlock(this, ...callback);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release().then(() => undefined);
  }
}

/** Construct one for your servers and keep it. Its connections are its own; your clients are not used. */
export class Redlock extends EventEmitter {
  readonly clients: Set<Client>;
  readonly settings: Settings;
  readonly #byId: ReadonlyMap<string, Client>;
  readonly #keyPrefix: string;
  readonly #connection: Connection;
  readonly #env: Env;
  readonly #leaseMsMax: number;

  /** Throws INVALID_OPTION for clients and settings that it cannot use, and for scripts. */
  constructor(
    clients: Iterable<Client>,
    settings: Partial<RedlockSettings> = {},
    scripts: Scripts = {},
  ) {
    super();
    // Without a listener an `error` event throws; and losing a minority is no error of the caller's.
    this.on("error", () => undefined);
    const given = readClients(clients);
    const { locker, ...own } = readSettings(settings);
    refuseScripts(scripts);
    this.clients = new Set(given.byId.values());
    this.settings = own;
    this.#byId = given.byId;
    this.#keyPrefix = given.keyPrefix;
    this.#connection = connectionFor(given, locker);
    this.#env = locker.env ?? systemEnv;
    this.#leaseMsMax = locker.leaseMsMax ?? LEASE_MS_MAX;
  }

  /**
   * Waits for the lock for as long as the retries would take, and holds it for `duration` milliseconds.
   * Rejects with an ExecutionError, or with a CoterieError where trying again cannot help.
   */
  async acquire(
    resources: string | readonly string[],
    duration: number,
    settings?: Partial<Settings>,
  ): Promise<Lock> {
    requireDuration(duration);
    const names = readResources(resources);
    this.#refuseOwnKeys(names);
    const merged = mergeSettings("acquire", this.settings, settings);
    const failed: Attempts = [];
    const lock = await this.#try(names, duration, merged, failed);
    const hold = new Hold(lock, duration, {
      leaseMsMax: this.#leaseMsMax,
      extraDrift: Math.max(0, merged.driftFactor - 0.01),
      env: this.#env,
      onLost: (error) => this.#report(error),
    });
    return this.#lockFor(names, hold, failed);
  }

  /**
   * Gives the lock back. Rejects with an ExecutionError when it was over before, or when no quorum confirmed
   * that it is gone; in either case nothing is left to do: what remains ends with its lease.
   */
  async release(lock: Lock, settings?: Partial<Settings>): Promise<ExecutionResult> {
    mergeSettings("release", this.settings, settings);
    const hold = holdOf(lock);
    const released = await hold.release();
    const attempts = [Promise.resolve(statsOf(this.#byId, hold.lock.votes, lock.resources))];
    if (released !== "confirmed") throw unreleased(released, attempts, hold);
    return { attempts };
  }

  /** Makes it last `duration` from now. The answer and the lock that was given are both good then. */
  async extend(existing: Lock, duration: number, settings?: Partial<Settings>): Promise<Lock> {
    requireDuration(duration);
    mergeSettings("extend", this.settings, settings);
    const hold = holdOf(existing);
    if (hold.remainingMs <= 0) throw new ExecutionError(EXPIRED_TEXT, [], lossOf(hold.lock));
    try {
      await hold.extend(duration);
    } catch (error) {
      const attempts = [this.#attempt(existing.resources, error)];
      throw new ExecutionError(NO_QUORUM_TEXT, attempts, asCoterieError(error));
    }
    return this.#lockFor(existing.resources, hold, []);
  }

  /**
   * Runs the routine under the lock, renewed for as long as it runs. Rejects with the routine's own error if
   * it threw, else with `signal.error` if the lock was lost before it ended.
   */
  using<T>(
    resources: string | readonly string[],
    duration: number,
    settings: Partial<Settings>,
    routine?: Routine<T>,
  ): Promise<T>;
  using<T>(resources: string | readonly string[], duration: number, routine: Routine<T>): Promise<T>;
  async using<T>(
    resources: string | readonly string[],
    duration: number,
    settingsOrRoutine: Partial<Settings> | Routine<T>,
    optionalRoutine?: Routine<T>,
  ): Promise<T> {
    const isRoutine = typeof settingsOrRoutine === "function";
    const routine = isRoutine ? settingsOrRoutine : optionalRoutine;
    if (typeof routine !== "function") throw invalid(`using: a routine is needed, got ${quote(routine)}`);
    requireDuration(duration);
    const settings = mergeSettings("using", this.settings, isRoutine ? undefined : settingsOrRoutine);
    const { automaticExtensionThreshold } = settings;
    if (automaticExtensionThreshold > duration - 100) {
      throw invalid(
        "A lock `duration` must be at least 100ms greater than the `automaticExtensionThreshold` setting.",
      );
    }
    const lock = await this.acquire(resources, duration, settings);
    holdOf(lock).keep(duration, automaticExtensionThreshold);
    return this.#use(lock, routine);
  }

  /** Closes our connections, and then calls `quit` on the clients, as redlock does. */
  async quit(): Promise<void> {
    await this.#connection.destroy();
    const outcomes = await Promise.allSettled([...this.clients].map((client) => this.#quitClient(client)));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** redlock 4's name for `acquire`. */
  lock(resource: string | readonly string[], ttl: number, ...callback: never[]): Promise<Lock> {
    refuseCallback("lock", callback);
    return this.acquire(resource, ttl);
  }

  /** redlock 4's name for `acquire` with settings. */
  lockWithOptions(
    resource: string | readonly string[],
    ttl: number,
    settings: Partial<Settings>,
    ...callback: never[]
  ): Promise<Lock> {
    refuseCallback("lockWithOptions", callback);
    return this.acquire(resource, ttl, settings);
  }

  /** redlock 4's name for `release`. */
  unlock(lock: Lock, ...callback: never[]): Promise<ExecutionResult> {
    refuseCallback("unlock", callback);
    return this.release(lock);
  }

  /** Under its own name a resource could be a key of the locker itself. */
  #refuseOwnKeys(names: readonly string[]): void {
    const own = `${this.#connection.name}:`;
    const name = names.find((one) => (this.#keyPrefix + one).startsWith(own));
    if (name === undefined) return;
    throw invalid(`resource ${quote(name)}: keys that begin with ${own} are the locker's own`);
  }

  async #try(
    names: readonly string[],
    duration: number,
    settings: Settings,
    failed: Attempts,
  ): Promise<LockerLock> {
    const { clock, random } = this.#env;
    const keys = names.map((name) => this.#keyPrefix + name);
    const giveUpAt = clock.now() + waitBudgetMs(settings);
    const leaseMs = Math.min(duration, this.#leaseMsMax);
    for (;;) {
      try {
        const locker = await this.#connection.locker();
        const waitMs = Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(giveUpAt - clock.now())));
        const lock = await locker.acquire(keys, { leaseMs, waitMs, renew: false });
        for (const against of refusalsIn(lock.votes, names)) this.#report(against);
        return lock;
      } catch (error) {
        failed.push(this.#attempt(names, error));
        const failure = asCoterieError(error);
        if (!failure.retryable) throw failure;
        const leftMs = giveUpAt - clock.now();
        if (leftMs <= 0) throw new ExecutionError(NO_QUORUM_TEXT, failed, failure);
        await clock.sleep(Math.min(leftMs, retryPauseMs(settings, random.fraction())));
      }
    }
  }

  async #use<T>(lock: Lock, routine: Routine<T>): Promise<T> {
    const hold = holdOf(lock);
    const controller = new AbortController();
    const signal: RedlockAbortSignal = controller.signal;
    const onLost = (): void => {
      signal.error = lossError(hold);
      controller.abort(signal.error);
    };
    if (hold.lock.signal.aborted) onLost();
    else hold.lock.signal.addEventListener("abort", onLost);
    let value: T;
    let released: Released;
    try {
      value = await routine(signal, lock);
    } finally {
      hold.lock.signal.removeEventListener("abort", onLost);
      released = await hold.release();
    }
    if (released === "over") throw signal.error ?? lossError(hold);
    if (released === "unconfirmed") this.#report(unreleased(released, [], hold));
    return value;
  }

  #lockFor(names: readonly string[], hold: Hold, failed: Attempts): Lock {
    const lock = new Lock(this, [...names], hold.lock.holderToken, [], 0);
    const countAttempts = (): Attempts => [...failed, this.#settledStats(names, hold.lock)];
    holds.set(lock, { hold, attempts: undefined, countAttempts });
    return lock;
  }

  /** The stats of an attempt that failed, each vote against it told as an `error` event. */
  #attempt(names: readonly string[], error: unknown): Promise<ExecutionStats> {
    const failure = asCoterieError(error);
    const votes = votesIn(failure);
    if (votes.length === 0) this.#report(failure);
    else for (const against of refusalsIn(votes, names)) this.#report(against);
    return Promise.resolve(statsOf(this.#byId, votes, names));
  }

  async #settledStats(names: readonly string[], lock: LockerLock): Promise<ExecutionStats> {
    for (let stepMs = VOTES_MS_STEP; isOpen(lock.votes) && stepMs < VOTES_MS_MAX / 2; stepMs *= 2) {
      await this.#env.clock.sleep(stepMs);
    }
    return statsOf(this.#byId, lock.votes, names);
  }

  /** Not in the middle of ours: what a listener throws is the listener's. */
  #report(error: Error): void {
    queueMicrotask(() => {
      this.emit("error", error);
      if (!CoterieError.is(error, "LOCKED")) this.emit("clientError", error);
    });
  }

  async #quitClient(client: Client): Promise<void> {
    if (client.status === "end") return;
    const bound = new AbortController();
    const late = this.#env.clock.sleep(QUIT_MS_MAX, bound.signal).then(
      () => client.disconnect(),
      // The client was quicker.
      () => undefined,
    );
    try {
      await Promise.race([client.quit(), late]);
    } finally {
      bound.abort();
    }
  }
}

function holdOf(lock: Lock): Hold {
  const held = holds.get(lock);
  if (held !== undefined) return held.hold;
  throw invalid("a Lock that acquire() did not give out holds nothing: it cannot be released or extended");
}

function unreleased(released: "unconfirmed" | "over", attempts: Attempts, hold: Hold): ExecutionError {
  if (released === "over") return new ExecutionError(lossOf(hold.lock).message, attempts, lossOf(hold.lock));
  return new ExecutionError(NO_QUORUM_TEXT, attempts);
}

function lossError(hold: Hold): ExecutionError {
  const cause = lossOf(hold.lock);
  return new ExecutionError(cause.message, [], cause);
}

/** At once, and not by a promise that code with callbacks does not look at. */
function refuseCallback(method: string, callback: readonly unknown[]): void {
  if (callback.length === 0) return;
  throw invalid(`${method}: callbacks are not taken; it returns a promise, as util.callbackify wants it`);
}

function requireDuration(duration: number): void {
  if (Number.isInteger(duration) && duration >= DURATION_MS_MIN) return;
  const needed = `an integer value in milliseconds, of at least ${DURATION_MS_MIN}`;
  throw invalid(`Duration must be ${needed}, got ${quote(duration)}`);
}

function readResources(resources: unknown): readonly string[] {
  const names: unknown = typeof resources === "string" ? [resources] : resources;
  const isList = Array.isArray(names) && names.length > 0;
  if (isList && names.every((name) => typeof name === "string" && name !== "")) return [...names] as string[];
  throw invalid(`resources must be a list of at least one non-empty string, got ${quote(resources)}`);
}

function invalid(message: string): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", message);
}

function asCoterieError(error: unknown): CoterieError {
  if (CoterieError.is(error)) return error;
  throw error;
}
