/**
 * One process of the demo's app: opens coterie, listens on a free port of 127.0.0.1, works on the queue if it
 * is told to, and closes when its parent goes away.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { openCoterie } from "coterie";

import { createApp } from "./app.ts";
import { asChild, tell, until } from "./as-child.ts";
import { createWorker, type QueuePlace } from "./worker.ts";

export interface AppSettings {
  readonly label: string;
  readonly name: string;
  readonly instances: readonly { readonly id: string; readonly url: string }[];
  /** Ids of the instances that keep the locks. */
  readonly lockGroup: readonly string[];
  /** Given to a process that also works on the queue. */
  readonly queue?: QueuePlace;
}

/** What the parent is told: where it listens. */
export interface AppMessage {
  readonly port: number;
}

/** Above the load generator's pauses, so that no connection is closed while a request is on its way. */
const KEEP_ALIVE_MS = 60_000;

await asChild(async (settings: AppSettings, gone) => {
  const { label, name, instances, lockGroup, queue } = settings;
  const coterie = await openCoterie({
    name,
    instances,
    shards: { deadlineMs: 2000, healthMs: 250 },
    locks: { instances: lockGroup, assumeNew: true },
    signal: gone,
  });
  const worker = queue === undefined ? undefined : createWorker(coterie, label, queue);
  const server = createApp(coterie, label).listen(0, "127.0.0.1");
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  try {
    await once(server, "listening");
    await worker?.waitUntilReady();
    tell({ port: (server.address() as AddressInfo).port } satisfies AppMessage);
    await until(gone);
  } finally {
    // Requests on their way are answered first; then nothing is left that keeps the process alive.
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await worker?.close(true);
    await coterie.close({ graceMs: 500 });
    server.closeAllConnections();
    await closed;
  }
});
