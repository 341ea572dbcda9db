/** A process that takes a lock and holds on to it, until it is killed: then it cannot release. */
import { openCoterie } from "coterie";

import type { AppSettings } from "./app-process.ts";
import { asChild, tell, until } from "./as-child.ts";

export interface HolderSettings extends Pick<AppSettings, "name" | "instances" | "lockGroup"> {
  readonly resource: string;
  readonly leaseMs: number;
}

/** What the parent is told: it holds the lock. */
export interface HolderMessage {
  readonly fencingToken: number;
}

await asChild(async (settings: HolderSettings, gone) => {
  const { name, instances, lockGroup, resource, leaseMs } = settings;
  const locks = { instances: lockGroup, assumeNew: true };
  const coterie = await openCoterie({ name, instances, locks, signal: gone });
  try {
    const { fencingToken } = await coterie.locks.acquire(resource, { leaseMs, signal: gone });
    tell({ fencingToken } satisfies HolderMessage);
    await until(gone);
  } finally {
    await coterie.close({ graceMs: 500 });
  }
});
