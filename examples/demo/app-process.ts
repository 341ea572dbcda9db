/**
 * One process of the demo's app: opens coterie, listens on a free port of 127.0.0.1, and closes when its
 * parent goes away, for whatever reason. What it needs comes as a message and not as arguments: a Redis
 * URL may hold a password, and arguments stand in everybody's `ps`.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { openCoterie } from "coterie";

import { createApp } from "./app.ts";

export interface AppSettings {
  readonly label: string;
  readonly name: string;
  readonly instances: readonly { readonly id: string; readonly url: string }[];
}

/** What the parent is told: where it listens, or why it does not. */
export type AppMessage = { readonly port: number } | { readonly failure: string };

/** Above the load generator's pauses, so that no connection is closed while a request is on its way. */
const KEEP_ALIVE_MS = 60_000;

// A Ctrl-C reaches this process too; the parent decides when it ends.
process.on("SIGINT", () => {});
const gone = new AbortController();
process.once("disconnect", () => gone.abort());

try {
  const [settings] = (await once(process, "message", { signal: gone.signal })) as [AppSettings];
  await serve(settings);
} catch (error) {
  if (!gone.signal.aborted) process.send?.({ failure: String(error) } satisfies AppMessage);
  process.exitCode = gone.signal.aborted ? 0 : 1;
  if (process.connected) process.disconnect();
}

async function serve({ label, name, instances }: AppSettings): Promise<void> {
  const coterie = await openCoterie({
    name,
    instances,
    shards: { deadlineMs: 2000, healthMs: 250 },
    signal: gone.signal,
  });
  const server = createApp(coterie, label).listen(0, "127.0.0.1");
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  try {
    await once(server, "listening");
    process.send?.({ port: (server.address() as AddressInfo).port } satisfies AppMessage);
    if (!gone.signal.aborted) await once(gone.signal, "abort");
  } finally {
    // Requests on their way are answered first; then nothing is left that keeps the process alive.
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await coterie.close({ graceMs: 500 });
    server.closeAllConnections();
    await closed;
  }
}
