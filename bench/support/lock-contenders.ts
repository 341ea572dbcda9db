/** Everybody who takes part in the locks' benches, ours first. */
import { openLocker } from "coterie/locks";

import { type LockClient, type LockClientOptions, RIVALS } from "./lock-clients.ts";

export type OpenLockClient = (options: LockClientOptions) => Promise<LockClient>;

export type ContenderName = keyof typeof RIVALS | "coterie";

export const CONTENDERS: Readonly<Record<ContenderName, OpenLockClient>> = {
  coterie: openCoterieLocks,
  ...RIVALS,
};

const WAIT_MS = 60_000;

export async function openCoterieLocks({ ports, leaseMs }: LockClientOptions): Promise<LockClient> {
  const locker = await openLocker({ instances: ports.map((port) => `redis://127.0.0.1:${port}`) });
  return {
    acquire: (resource) => locker.acquire(resource, { leaseMs, waitMs: WAIT_MS }),
    secondTrips: () => locker.status().counters.secondTrips,
    close: () => locker.close(),
  };
}
