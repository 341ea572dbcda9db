/**
 * A lock that readers share and a writer has alone. Both stand in one queue: a reader waits for every writer
 * that came before it, so a writer is not starved by readers that keep coming.
 */
import type { Engine, Request, TryOptions } from "./engine/engine.ts";
import type { Lock } from "./lock.ts";
import type { AcquireOptions } from "./options.ts";
import { type Body, bodyOf, runUnder } from "./using.ts";

export class ReadWrite {
  readonly name: string;
  /** To read: beside other readers. */
  readonly read: LockSide;
  /** To write: beside nobody. */
  readonly write: LockSide;

  constructor(engine: Engine, name: string) {
    const keys = [engine.keyOf("rw", name)];
    this.name = name;
    this.read = new LockSide(engine, { where: "read", resources: [name], keys, kind: "r" });
    this.write = new LockSide(engine, { where: "write", resources: [name], keys, kind: "w" });
  }
}

/** One side of a read-write lock: the same calls as a locker has, without the resource. */
export class LockSide {
  readonly #engine: Engine;
  readonly #request: Request;

  constructor(engine: Engine, request: Request) {
    this.#engine = engine;
    this.#request = request;
  }

  async acquire(options?: AcquireOptions): Promise<Lock> {
    return this.#engine.acquire(this.#request, options);
  }

  async tryAcquire(options?: TryOptions): Promise<Lock | undefined> {
    return this.#engine.tryAcquire(this.#request, options);
  }

  using<T>(body: Body<T>): Promise<T>;
  using<T>(options: AcquireOptions, body: Body<T>): Promise<T>;
  /** Runs `body` under it and releases it whatever happens; errors as `using` of a locker. */
  async using<T>(first: AcquireOptions | Body<T>, second?: Body<T>): Promise<T> {
    const { options, body } = bodyOf(first, second);
    return runUnder(await this.acquire(options), body);
  }
}
