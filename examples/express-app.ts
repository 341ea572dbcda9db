/**
 * An Express 5 app that stores texts, spread over Redis. A request without a usable key is answered 400,
 * one whose Redis is away 503 with Retry-After, both as application/problem+json.
 */
// oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits them.
import type { AddressInfo } from "node:net";

import express from "express";

import { openCoterie } from "coterie";
import { problems, shard, shardOf } from "coterie/express";

const urls = process.env["REDIS_URLS"] ?? "redis://127.0.0.1:6379";
const coterie = await openCoterie({ name: "items", instances: urls.split(",") });

const app = express();
app.use(express.text({ type: () => true }));

const item = shard(coterie, { key: (req) => `item:${String(req.params["id"])}` });

app.put("/items/:id", item, async (req, res) => {
  await coterie.shards.set(shardOf(req).key, String(req.body));
  res.status(204).end();
});
app.get("/items/:id", item, async (req, res) => {
  const value = await coterie.shards.get(shardOf(req).key);
  res.status(value === null ? 404 : 200).send(value ?? "");
});
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
