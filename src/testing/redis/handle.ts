/**
 * What `startRedis` gives out: one handle per instance and the group that holds them.
 * Its one idea: a handle takes one order at a time, so that a `restart()` called during a `kill()` starts
 * when the kill is done. What an order means is the backend's matter: a child process or a container.
 */
import { CoterieError } from "../../index.ts";

export type RedisProvider = "process" | "container" | "external";

/** What a handle can do beyond giving its address. An external instance can do none of it. */
export type RedisCapability = "kill" | "restart" | "pause" | "output";

export interface RestartOptions {
  /** True starts with an empty data folder. Default false: what was persisted returns, as the config says. */
  readonly wipe?: boolean | undefined;
}

export interface RedisInstanceHandle {
  /** With its password, if it has one. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly provider: RedisProvider;
  /** Asking for anything else rejects with INVALID_ARGUMENT. */
  readonly capabilities: ReadonlySet<RedisCapability>;
  /** Ends it as a crash would, with SIGKILL, and resolves when it is dead. Killing a dead one is no error. */
  kill(): Promise<void>;
  /** Starts it again on the same port, after a kill if it still runs; resolves when it answers. */
  restart(options?: RestartOptions): Promise<void>;
  /** Freezes it: connections are still accepted by the kernel, and nothing is answered. */
  pause(): Promise<void>;
  /** Lets it go on; what had been sent meanwhile is answered now. */
  resume(): Promise<void>;
  /** Ends it for good and removes its data. Any later order but `stop` rejects with CLOSED. */
  stop(): Promise<void>;
  /** The last 64 KiB that it printed, over all its restarts. */
  output(): Promise<string>;
}

export interface RedisGroup extends AsyncDisposable {
  readonly instances: readonly RedisInstanceHandle[];
  readonly urls: readonly string[];
  /** Stops every instance and removes everything that was made for them. Safe to call more than once. */
  stop(): Promise<void>;
}

/** How one kind of instance is run. Orders come one at a time. */
export interface Backend {
  readonly provider: RedisProvider;
  readonly address: { readonly url: string; readonly host: string; readonly port: number };
  kill(): Promise<void>;
  /** Only called when it is dead. */
  start(wipe: boolean): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Dead, and its data gone. */
  discard(): Promise<void>;
  output(): Promise<string>;
}

const ALL_CAPABILITIES: ReadonlySet<RedisCapability> = new Set<RedisCapability>([
  "kill",
  "restart",
  "pause",
  "output",
]);

class InstanceHandle implements RedisInstanceHandle {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly provider: RedisProvider;
  readonly capabilities: ReadonlySet<RedisCapability> = ALL_CAPABILITIES;
  readonly #backend: Backend;
  /** Settles, and never rejects, when the orders given so far are done. */
  #idle: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.provider = backend.provider;
    this.url = backend.address.url;
    this.host = backend.address.host;
    this.port = backend.address.port;
  }

  kill(): Promise<void> {
    return this.#order("kill", () => this.#backend.kill());
  }

  restart(options: RestartOptions = {}): Promise<void> {
    return this.#order("restart", async () => {
      await this.#backend.kill();
      await this.#backend.start(options.wipe === true);
    });
  }

  pause(): Promise<void> {
    return this.#order("pause", () => this.#backend.pause());
  }

  resume(): Promise<void> {
    return this.#order("resume", () => this.#backend.resume());
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#inTurn(() => this.#backend.discard());
    return this.#stopped;
  }

  output(): Promise<string> {
    return this.#backend.output();
  }

  #order(name: string, act: () => Promise<void>): Promise<void> {
    if (this.#stopped !== undefined) {
      const where = `${this.host}:${this.port}`;
      return Promise.reject(new CoterieError("CLOSED", `${name}: the Redis at ${where} has been stopped`));
    }
    return this.#inTurn(act);
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.#idle.then(act);
    this.#idle = Promise.allSettled([done]);
    return done;
  }
}

export class InstanceGroup implements RedisGroup {
  readonly instances: readonly RedisInstanceHandle[];
  readonly urls: readonly string[];
  readonly #cleanUp: () => Promise<void>;
  #stopped: Promise<void> | undefined;

  /** `cleanUp` runs once, after every instance has been stopped. */
  constructor(instances: readonly RedisInstanceHandle[], cleanUp: () => Promise<void>) {
    this.instances = instances;
    this.urls = instances.map((instance) => instance.url);
    this.#cleanUp = cleanUp;
  }

  stop(): Promise<void> {
    this.#stopped ??= stopAll(this.instances, this.#cleanUp);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** All of them, or none: when one fails to start, the others are stopped before the error goes out. */
export async function openGroup(
  count: number,
  open: () => Promise<Backend>,
  cleanUp: () => Promise<void>,
): Promise<RedisGroup> {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, open));
  const opened = outcomes.filter((outcome) => outcome.status === "fulfilled");
  const group = new InstanceGroup(
    opened.map(({ value }) => new InstanceHandle(value)),
    cleanUp,
  );
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed === undefined) return group;
  await group.stop();
  throw failed.reason;
}

/** Stops all of them whatever becomes of each, cleans up, and then rejects with the first error. */
async function stopAll(
  instances: readonly RedisInstanceHandle[],
  cleanUp: () => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(instances.map((instance) => instance.stop()));
  outcomes.push(...(await Promise.allSettled([cleanUp()])));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
