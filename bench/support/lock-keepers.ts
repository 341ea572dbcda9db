/**
 * Who can hold many locks and renew them by itself: `coterie`, redlock 5 with `using`, redis-semaphore.
 * `keep` resolves with the lock's release, which answers whether it was still held.
 */
import { Clients, type LockClientOptions } from "./lock-clients.ts";
import { openCoterieLocks } from "./lock-contenders.ts";

export interface Keeper {
  keep(resource: string): Promise<() => Promise<boolean>>;
  close(): unknown;
}

export const KEEPERS = {
  coterie: keepByCoterie,
  "redlock 5 (using)": keepByRedlock5,
  "redis-semaphore": keepBySemaphore,
} satisfies Record<string, (options: LockClientOptions) => Promise<Keeper>>;

export type KeeperName = keyof typeof KEEPERS;

async function keepByCoterie(options: LockClientOptions): Promise<Keeper> {
  const client = await openCoterieLocks(options);
  return {
    keep: async (resource) => {
      const lock = await client.acquire(resource);
      return async () => (await lock.release()) === true;
    },
    close: () => client.close(),
  };
}

async function keepByRedlock5({ ports, leaseMs }: LockClientOptions): Promise<Keeper> {
  const { default: Redlock } = await import("redlock");
  const clients = await Clients.open(ports);
  const redlock = new Redlock(clients.all);
  redlock.on("error", () => undefined);
  const keep = (resource: string): Promise<() => Promise<boolean>> =>
    new Promise((resolve, reject) => {
      const held = redlock.using([resource], leaseMs, (signal) => new Promise<void>((end) => {
        resolve(async () => {
          const isHeld = !signal.aborted;
          end();
          return held.then(() => isHeld, () => false);
        });
      }));
      held.catch(reject);
    });
  return { keep, close: () => clients.close() };
}

async function keepBySemaphore({ ports, leaseMs }: LockClientOptions): Promise<Keeper> {
  const { RedlockMutex } = await import("redis-semaphore");
  const clients = await Clients.open(ports);
  const keep = async (resource: string): Promise<() => Promise<boolean>> => {
    const onLockLost = (): void => undefined;
    const mutex = new RedlockMutex([...clients.all], resource, { lockTimeout: leaseMs, onLockLost });
    await mutex.acquire();
    return async () => {
      const isHeld = mutex.isAcquired;
      await mutex.release();
      return isHeld;
    };
  };
  return { keep, close: () => clients.close() };
}
