/**
 * The packages that the locks are compared with, behind one shape. Each is used as its documentation
 * says, with its defaults, on ioredis clients with theirs; "floor" is what anybody could write with
 * ioredis alone. A package is loaded only where it is used. Nothing here bounds a call: who measures does.
 */
import { randomBytes } from "node:crypto";

import { Redis } from "ioredis";

import { DELETE_OWN, DELETE_OWN_SHA, majority, RawLocks } from "./raw-locks.ts";

export interface LockClient {
  acquire(resource: string): Promise<Held>;
  /** Acquires that needed a second round trip so far; only who draws tokens counts them. */
  secondTrips?(): number;
  close(): unknown;
}

export interface Held {
  readonly holderToken?: string;
  readonly fencingToken?: number;
  release(): Promise<unknown>;
}

export interface LockClientOptions {
  readonly ports: readonly number[];
  readonly leaseMs: number;
}

/** Rejects with "pending" when the call is not settled after `ms`; what comes later is nobody's. */
export async function within<T>(ms: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error("still pending"), { code: "pending" })), ms);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Never gives up: only for where it is shown what comes of that. */
export const UNLIMITED = "redlock 5 (unlimited retries)";

export const RIVALS = {
  "redlock 5": (options) => openRedlock5(options, {}),
  [UNLIMITED]: (options) => openRedlock5(options, { retryCount: -1 }),
  "redlock 4.2": openRedlock4,
  "@sesamecare-oss/redlock": openSesame,
  "redlock-universal": openUniversal,
  "redis-semaphore": openSemaphore,
  floor: openFloor,
  "raw sockets": openRaw,
} satisfies Record<string, (options: LockClientOptions) => Promise<LockClient>>;

let sent = 0;
const { sendCommand } = Redis.prototype;
Redis.prototype.sendCommand = function count(this: Redis, command, stream): unknown {
  sent += 1;
  return sendCommand.call(this, command, stream);
};

/** What all ioredis clients of this process have sent so far, ours included; a script counts once. */
export function commandsSent(): number {
  return sent;
}

/** Connected ioredis clients. */
export class Clients {
  readonly all: readonly Redis[];

  private constructor(all: readonly Redis[]) {
    this.all = all;
  }

  static async open(ports: readonly number[]): Promise<Clients> {
    const all = ports.map((port) => new Redis({ port, host: "127.0.0.1" }));
    await Promise.all(all.map((client) => new Promise((resolve) => client.once("ready", resolve))));
    // A paused or killed instance is what is measured; ioredis would print it.
    for (const client of all) client.on("error", () => undefined);
    return new Clients(all);
  }

  client(acquire: LockClient["acquire"]): LockClient {
    return { acquire, close: () => this.close() };
  }

  close(): void {
    for (const client of this.all) client.disconnect();
  }
}

async function openRedlock5({ ports, leaseMs }: LockClientOptions, settings: object): Promise<LockClient> {
  const { default: Redlock } = await import("redlock");
  const clients = await Clients.open(ports);
  const redlock = new Redlock(clients.all, settings);
  redlock.on("error", () => undefined);
  return clients.client((resource) => redlock.acquire([resource], leaseMs));
}

async function openRedlock4({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const { default: Redlock } = await import("redlock4");
  const clients = await Clients.open(ports);
  // Without a limit, so that it can serve everybody where many wait; it changes nothing where nobody does.
  const redlock = new Redlock([...clients.all], { retryCount: -1 });
  redlock.on("clientError", () => undefined);
  return clients.client(async (resource) => {
    const lock = await redlock.lock(resource, leaseMs);
    return { release: () => lock.unlock() };
  });
}

async function openSesame({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const { Redlock } = await import("@sesamecare-oss/redlock");
  const clients = await Clients.open(ports);
  const redlock = new Redlock(clients.all);
  redlock.on("error", () => undefined);
  return clients.client((resource) => redlock.acquire([resource], leaseMs));
}

async function openUniversal({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const { createRedlock, IoredisAdapter } = await import("redlock-universal");
  const clients = await Clients.open(ports);
  const adapters = clients.all.map((client) => new IoredisAdapter(client));
  return clients.client(async (resource) => {
    const redlock = createRedlock({ adapters, key: resource, ttl: leaseMs });
    const handle = await redlock.acquire();
    return { release: () => redlock.release(handle) };
  });
}

async function openSemaphore({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const { RedlockMutex } = await import("redis-semaphore");
  const clients = await Clients.open(ports);
  return clients.client(async (resource) => {
    const onLockLost = (): void => undefined;
    const mutex = new RedlockMutex([...clients.all], resource, { lockTimeout: leaseMs, onLockLost });
    await mutex.acquire();
    return mutex;
  });
}

async function openFloor({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const clients = await Clients.open(ports);
  await Promise.all(clients.all.map((client) => client.script("LOAD", DELETE_OWN)));
  const everywhere = (send: (client: Redis) => Promise<unknown>, wanted: unknown): Promise<boolean> =>
    majority(clients.all.length, wanted, (settle) => {
      for (const client of clients.all) send(client).then(settle, settle);
    });
  return clients.client(async (resource) => {
    const value = randomBytes(16).toString("hex");
    const granted = await everywhere((client) => client.set(resource, value, "PX", leaseMs, "NX"), "OK");
    if (!granted) throw new Error(`${resource} is held by another`);
    return { release: () => everywhere((client) => client.evalsha(DELETE_OWN_SHA, 1, resource, value), 1) };
  });
}

async function openRaw({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const locks = await RawLocks.open(ports, leaseMs);
  const acquire = (resource: string): Promise<Held> => locks.acquire(resource);
  return { acquire, close: () => locks.close() };
}
