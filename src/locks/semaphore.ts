/**
 * A semaphore of n permits is n numbered quorum locks: a holder has a quorum on one number. Counting permits
 * on each instance would let too many in (two of two on each of three instances is three holders). Whoever
 * waits has a ticket for every number, all of one time, and takes the first that it gets.
 */
import type { Env } from "../env/index.ts";
import { abortError, CoterieError, quote, throwIfAborted } from "../errors.ts";
import { numberField, readOptions } from "../options.ts";
import type { Engine, Request, TryOptions } from "./engine/engine.ts";
import type { Lock } from "./lock.ts";
import { type AcquireOptions, WAIT_MS_DEFAULT } from "./options.ts";
import { PERMITS } from "./scripts/index.ts";
import { type Body, bodyOf, runUnder } from "./using.ts";

export interface SemaphoreOptions {
  /** How many may hold it at once, 1 to 256. Every process gives the same number, and that is checked. */
  readonly permits: number;
}

const PERMITS_MAX = 256;
/** How long the number of permits is remembered on the instances, and for how long a check is good. */
const REMEMBERED_MS = 3_600_000;
const CHECKED_MS = 60_000;

export class Semaphore {
  readonly name: string;
  readonly permits: number;
  readonly #engine: Engine;
  readonly #env: Env;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine, env: Env, name: string, options: SemaphoreOptions) {
    const shape = { permits: numberField(0, { min: 1, max: PERMITS_MAX }) };
    const { permits } = readOptions("semaphore", options, shape);
    if (permits === 0) {
      throw new CoterieError("INVALID_OPTION", `semaphore ${quote(name)}: option permits is needed`);
    }
    this.name = name;
    this.permits = permits;
    this.#engine = engine;
    this.#env = env;
  }

  /** A permit, as soon as one is free; errors as for a lock. */
  async acquire(options: AcquireOptions = {}): Promise<Lock> {
    const { clock } = this.#env;
    const startedAt = clock.now();
    this.#engine.checkOptions("acquire", options);
    const waitMs = options.waitMs ?? WAIT_MS_DEFAULT;
    try {
      const free = await this.tryAcquire(withoutWait(options));
      if (free !== undefined) return free;
    } catch (error) {
      // The wait may be long enough for instances that may not vote yet.
      if (!CoterieError.is(error, "ABSTAINING") || waitMs === 0) throw error;
    }
    const leftMs = Math.max(0, Math.floor(waitMs - (clock.now() - startedAt)));
    return this.#first({ ...options, waitMs: leftMs });
  }

  /** A permit that is free now, or undefined. */
  async tryAcquire(options?: TryOptions): Promise<Lock | undefined> {
    await this.#checkPermits(options?.signal ?? undefined);
    const begin = this.#env.random.below(this.permits);
    const first = await this.#engine.tryAcquire(this.#request(begin), options);
    if (first !== undefined || this.permits === 1) return first;
    for (const permit of await this.#freePermits(begin)) {
      const lock = await this.#engine.tryAcquire(this.#request(permit), options);
      if (lock !== undefined) return lock;
    }
    return undefined;
  }

  using<T>(body: Body<T>): Promise<T>;
  using<T>(options: AcquireOptions, body: Body<T>): Promise<T>;
  /** Runs `body` with a permit and gives it back whatever happens; errors as `using` of a locker. */
  async using<T>(first: AcquireOptions | Body<T>, second?: Body<T>): Promise<T> {
    const { options, body } = bodyOf(first, second);
    return runUnder(await this.acquire(options), body);
  }

  /** Waits for all numbers at once; what comes after the first goes back. */
  async #first(options: AcquireOptions): Promise<Lock> {
    const enough = new AbortController();
    const { signal } = options;
    const either = signal === undefined ? enough.signal : AbortSignal.any([signal, enough.signal]);
    const ticketTime = this.#engine.ticketTime();
    const all = Array.from({ length: this.permits }, (_, permit) =>
      this.#engine.acquire({ ...this.#request(permit), ticketTime }, { ...options, signal: either }),
    );
    try {
      const lock = await Promise.any(all);
      for (const each of all) each.then((other) => other !== lock && other.release(), keepSilent);
      return lock;
    } catch (error) {
      if (signal?.aborted === true) throw abortError(signal, "acquire");
      throw error instanceof AggregateError ? worst(error.errors) : error;
    } finally {
      enough.abort();
    }
  }

  #request(permit: number): Request {
    const key = this.#keyOf(permit);
    return { where: "acquire", resources: [this.name], keys: [key], kind: "x", permit };
  }

  #keyOf(permit: number): string {
    return this.#engine.keyOf("permit", `${permit}:${this.name}`);
  }

  /** The numbers that may be free on a quorum, those behind `tried` first. A hint, no more. */
  async #freePermits(tried: number): Promise<number[]> {
    const numbers = Array.from({ length: this.permits }, (_, permit) => permit);
    const keys = numbers.map((permit) => this.#keyOf(permit));
    const { members, quorum } = this.#engine.group;
    const calls = members.map(({ instance }) => instance.call("mget", keys));
    const taken = numbers.map(() => 0);
    for (const values of await answersOf(calls, quorum)) {
      numbers.forEach((permit) => {
        if (Array.isArray(values) && values[permit] !== null) taken[permit] = (taken[permit] as number) + 1;
      });
    }
    const takenMost = members.length - quorum;
    const others = numbers.filter((permit) => (taken[permit] as number) <= takenMost && permit !== tried);
    return [...others.filter((permit) => permit > tried), ...others.filter((permit) => permit < tried)];
  }

  /** All processes must mean the same number, or there would be more holders than some believe. */
  async #checkPermits(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal, "acquire");
    this.#engine.requireOpen();
    const now = this.#env.clock.now();
    if (now - this.#checkedAt < CHECKED_MS) return;
    const { members, quorum } = this.#engine.group;
    const key = `${this.#engine.settings.name}:permits:${this.name}`;
    const args = [this.permits, REMEMBERED_MS];
    const calls = members.map(({ instance }) => instance.run(PERMITS, [key], args));
    const said = (await answersOf(calls, quorum)).map(Number);
    const other = said.find((permits) => permits !== this.permits);
    if (other !== undefined) {
      throw new CoterieError(
        "CONFIG_MISMATCH",
        `semaphore ${quote(this.name)} has ${other} permits elsewhere, ${this.permits} here`,
        { details: { permits: this.permits, elsewhere: other } },
      );
    }
    if (said.length >= quorum) this.#checkedAt = now;
  }
}

function withoutWait({ leaseMs, signal, renew, deadlineMs, traceparent }: AcquireOptions): TryOptions {
  return { leaseMs, signal, renew, deadlineMs, traceparent };
}

/** What a quorum answered, or all that did when fewer do: nobody waits for the slowest. */
function answersOf<T>(calls: readonly Promise<T>[], quorum: number): Promise<readonly T[]> {
  return new Promise((resolve) => {
    const answers: T[] = [];
    let open = calls.length;
    const settle = (...answer: readonly T[]): void => {
      answers.push(...answer);
      open -= 1;
      if (open === 0 || answers.length === quorum) resolve([...answers]);
    };
    for (const call of calls) {
      call.then(
        (answer) => settle(answer),
        () => settle(),
      );
    }
  });
}

/** What says most: that the instances are the matter, rather than other holders. */
function worst(errors: readonly unknown[]): unknown {
  return errors.find((error) => !CoterieError.is(error, "LOCKED")) ?? errors[0];
}

/** The others were aborted because one permit is enough. */
function keepSilent(): void {}
