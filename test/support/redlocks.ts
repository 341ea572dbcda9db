/**
 * Real Redis with old and new redlock beside each other: clients as users make them, `coterie/redlock` and
 * both old packages on them, and an end that leaves nothing behind, whatever an old package is doing.
 */
import { Redis, type RedisOptions } from "ioredis";

import { systemEnv } from "../../src/env/index.ts";
import Redlock, { type RedlockSettings } from "../../src/redlock/index.ts";
import {
  type RedisConfig,
  type RedisGroup,
  type RedisInstanceHandle,
  startRedis,
} from "../../src/testing/index.ts";
import { OldRedlock, Redlock4 } from "./old-redlock.ts";

type ClientOptions = Pick<RedisOptions, "keyPrefix" | "db" | "lazyConnect">;
type OldSettings = NonNullable<ConstructorParameters<typeof OldRedlock>[1]>;

/** Quick to notice, so that tests are quick. */
const QUICK = { deadlineMs: 150, connectDeadlineMs: 400, healthMs: 100, assumeNew: true } as const;

export class Redlocks {
  readonly group: RedisGroup;
  readonly #clients: Redis[] = [];
  /** What was told by `error` events of any Redlock of ours. */
  readonly errors: Error[] = [];

  private constructor(group: RedisGroup) {
    this.group = group;
  }

  static async start(count: number, config: RedisConfig = {}): Promise<Redlocks> {
    return new Redlocks(await startRedis({ count, config }));
  }

  static on(group: RedisGroup): Redlocks {
    return new Redlocks(group);
  }

  server(at: number): RedisInstanceHandle {
    return this.group.instances[at]!;
  }

  /** One client for each instance, of its own, as each process has them. */
  clients(options: ClientOptions = {}, urls: readonly string[] = this.group.urls): Redis[] {
    const made = urls.map((url) => new Redis(url, options));
    for (const client of made) client.on("error", () => undefined);
    this.#clients.push(...made);
    return made;
  }

  client(at: number): Redis {
    return this.clients({}, [this.server(at).url])[0]!;
  }

  ours(settings: Partial<RedlockSettings> = {}, clients: Redis[] = this.clients()): Redlock {
    const { locker, ...rest } = settings;
    const redlock = new Redlock(clients, { ...rest, locker: { ...QUICK, ...locker } });
    redlock.on("error", (error: Error) => this.errors.push(error));
    return redlock;
  }

  old5(settings: Partial<OldSettings> = {}, clients: Redis[] = this.clients()): OldRedlock {
    const redlock = new OldRedlock(clients as never, settings);
    redlock.on("error", () => undefined);
    return redlock;
  }

  old4(settings: Partial<OldSettings> = {}, clients: Redis[] = this.clients()): Redlock4 {
    const redlock = new Redlock4(clients, settings);
    redlock.on("clientError", () => undefined);
    return redlock;
  }

  /** The key, as somebody else holds it there. */
  async occupy(at: number, resource: string, ms = 60_000): Promise<void> {
    await this.client(at).set(resource, "f".repeat(32), "PX", ms);
  }

  /** Disconnects every client, with which our Redlocks close, and ends the servers. */
  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.disconnect();
    await this.group.stop();
  }
}

/** How a call ended, and when; `"pending"` when it did not within the bound. */
export interface Outcome<T> {
  readonly state: "resolved" | "rejected" | "pending";
  readonly value?: T;
  readonly error?: Error & { readonly code?: string };
  readonly tookMs: number;
}

export async function outcomeOf<T>(promise: Promise<T>, withinMs = 5000): Promise<Outcome<T>> {
  const { clock } = systemEnv;
  const startedAt = clock.now();
  const took = (): number => clock.now() - startedAt;
  const bound = new AbortController();
  const late = clock.sleep(withinMs, bound.signal).then(
    (): Outcome<T> => ({ state: "pending", tookMs: took() }),
    (): Outcome<T> => ({ state: "pending", tookMs: took() }),
  );
  const settled = promise.then(
    (value): Outcome<T> => ({ state: "resolved", value, tookMs: took() }),
    (error: unknown): Outcome<T> => ({ state: "rejected", error: error as Error, tookMs: took() }),
  );
  const outcome = await Promise.race([settled, late]);
  bound.abort();
  return outcome;
}

export function sleep(ms: number): Promise<void> {
  return systemEnv.clock.sleep(ms);
}
