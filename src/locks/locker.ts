/**
 * Locks over a group of independent Redis instances: asks all of them, counts votes, waits its turn, renews,
 * and says in time when a lock is lost. How that keeps its promises: docs/locks.md.
 */
import { type Env, WAIT_MS_MAX } from "../env/index.ts";
import { CoterieError } from "../errors.ts";
import type { HistogramSnapshot } from "../observe/index.ts";
import { numberField, readOptions } from "../options.ts";
import type { CloseOptions } from "../redis/index.ts";
import {
  Engine,
  type LockerCounter,
  type LockerSettings,
  type Request,
  type TryOptions,
} from "./engine/engine.ts";
import type { GroupStatus, LockGroup } from "./group/index.ts";
import { forceRelease, inspect, list, type ListOptions, type LockInfo } from "./inspect.ts";
import type { Lock } from "./lock.ts";
import type { AcquireOptions } from "./options.ts";
import { ReadWrite } from "./read-write.ts";
import { readResource, readResources } from "./resources.ts";
import { Semaphore, type SemaphoreOptions } from "./semaphore.ts";
import { type Body, bodyOf, runUnder } from "./using.ts";

export interface LockerStatus {
  readonly group: GroupStatus;
  /** Locks held by this locker now. */
  readonly held: number;
  /** Calls that wait for other holders now. */
  readonly waiting: number;
  readonly counters: Readonly<Record<LockerCounter, number>>;
  /** From the call to the lock, waits included. */
  readonly acquire: HistogramSnapshot;
  /** For how long locks were held. */
  readonly hold: HistogramSnapshot;
}

const CLOSE_SHAPE = { graceMs: numberField(1000, { min: 0, max: WAIT_MS_MAX }) };

export class Locker {
  readonly name: string;
  readonly #engine: Engine;
  readonly #env: Env;
  #closed: Promise<void> | undefined;

  constructor(group: LockGroup, settings: LockerSettings, env: Env) {
    this.name = settings.name;
    this.#env = env;
    this.#engine = new Engine(group, settings, env);
  }

  /**
   * The lock, once a quorum has granted it: LOCKED when others hold it for longer than `waitMs`, NO_QUORUM
   * when too few instances answer, ABSTAINING when too few may vote yet.
   */
  acquire(resource: string | readonly string[], options?: AcquireOptions): Promise<Lock> {
    try {
      return this.#engine.acquire(this.#request("acquire", resource), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The lock, or undefined at once when another holder has it. Does not wait for others. */
  async tryAcquire(resource: string | readonly string[], options?: TryOptions): Promise<Lock | undefined> {
    return this.#engine.tryAcquire(this.#request("tryAcquire", resource), options);
  }

  using<T>(resource: string | readonly string[], body: Body<T>): Promise<T>;
  using<T>(resource: string | readonly string[], options: AcquireOptions, body: Body<T>): Promise<T>;
  /**
   * Runs `body` under the lock and releases it whatever happens. Rejects with the body's own error if it
   * threw, else with LOCK_LOST if the lock was lost before the body ended.
   */
  async using<T>(
    resource: string | readonly string[],
    second: AcquireOptions | Body<T>,
    third?: Body<T>,
  ): Promise<T> {
    const { options, body } = bodyOf(second, third);
    return runUnder(await this.acquire(resource, options), body);
  }

  /** At most `permits` holders at once; every process gives the same number. */
  semaphore(name: string, options: SemaphoreOptions): Semaphore {
    return new Semaphore(this.#engine, this.#env, readResource("semaphore", name), options);
  }

  /** Readers share, a writer is alone; a writer that waits lets no new reader before it. */
  readWrite(name: string): ReadWrite {
    return new ReadWrite(this.#engine, readResource("readWrite", name));
  }

  /** Who holds it, as a quorum of the instances says, and who waits. */
  async inspect(resource: string): Promise<LockInfo> {
    return inspect(this.#engine, readResource("inspect", resource));
  }

  /** All locks that are held now, in no order. `match` is a pattern as SCAN takes it. */
  list(options?: ListOptions): AsyncIterableIterator<LockInfo> {
    return list(this.#engine, options);
  }

  /**
   * Takes the lock away from whoever holds it: true when anybody did. That holder may go on until its next
   * renewal, so what it writes must be fenced.
   */
  async forceRelease(resource: string): Promise<boolean> {
    return forceRelease(this.#engine, readResource("forceRelease", resource));
  }

  /**
   * Declares instances gone for good, so that those that wait for what only they know need not. The order
   * of fencing tokens then rests on the servers' clocks.
   */
  seedWithout(ids: readonly string[]): void {
    this.#engine.group.seedWithout(ids);
  }

  status(): LockerStatus {
    const { group, held, waiting, counters, acquireMs, holdMs } = this.#engine;
    return {
      group: group.status(),
      held,
      waiting,
      counters: counters.snapshot(),
      acquire: acquireMs.snapshot(),
      hold: holdMs.snapshot(),
    };
  }

  /** Ends the waits, releases what is held, waits up to `graceMs` (default 1,000) for it, and disconnects. */
  async close(options: CloseOptions = {}): Promise<void> {
    const { graceMs } = readOptions("close", options, CLOSE_SHAPE);
    this.#closed ??= this.#close(graceMs);
    await this.#closed;
  }

  /** Disconnects now. Locks that are held end with their leases; here they count as lost. */
  destroy(): void {
    this.#engine.destroy();
    this.#engine.group.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    const done = new AbortController();
    const drained = this.#engine.drain().then(() => done.abort());
    await Promise.race([drained, this.#env.clock.sleep(graceMs, done.signal).catch(ignoreAbort)]);
    await this.#engine.group.close({ graceMs });
    this.destroy();
  }

  #request(where: string, received: string | readonly string[]): Request {
    const resources = readResources(where, received);
    const keys = resources.map((resource) => this.#engine.keyOf("lock", resource));
    return { where, resources, keys, kind: resources.length > 1 ? "m" : "x" };
  }
}

function ignoreAbort(error: unknown): void {
  if (!CoterieError.is(error, "ABORTED")) throw error;
}
