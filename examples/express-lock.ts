/**
 * An Express 5 app that counts: it reads a number, adds one, and writes it back. Without a lock two requests
 * would read the same number; with one, no increment is lost, whichever processes serve them.
 */
import type { AddressInfo } from "node:net";

import express, { type Request } from "express";

import { fencedSet, openCoterie } from "coterie";
import { lockOf, problems, withLock } from "coterie/express";

const urls = process.env["REDIS_URLS"] ?? "redis://127.0.0.1:6379";
const coterie = await openCoterie({ name: "counters", instances: urls.split(",") });
const { shards } = coterie;

const app = express();
const keyOf = (req: Request) => `counter:${String(req.params["id"])}`;

app.post(
  "/counters/:id",
  withLock(coterie, { resource: keyOf, waitMs: 5_000 }, async (req, res) => {
    const { fencingToken } = lockOf(req);
    const count = Number(await shards.get(keyOf(req))) + 1;
    const written = await fencedSet(shards, keyOf(req), count, fencingToken);
    res.status(written ? 200 : 503).json({ count });
  }),
);
app.use(problems({ onError: (error) => console.error(error.message) }));

const server = app.listen(Number(process.env["PORT"] ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

/** Answers the requests on their way, then closes the connections; the process ends by itself. */
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close(() => void coterie.close());
  });
}
