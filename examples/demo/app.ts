/**
 * The Express app of the demo: a small store of texts, spread over Redis. This file is what a user would
 * write; the rest of the folder starts it three times, loads it, and breaks things.
 */
// oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits them.
import express, { type Express, type Request, type Response } from "express";

import type { Coterie } from "coterie";
import { problems, shard, shardOf } from "coterie/express";
import { arcOf } from "coterie/ring";

/** So that nothing stays for ever in a Redis that is not the demo's own. */
const ITEM_TTL_MS = 3_600_000;

/** `servedBy` stands in every answer, so that one sees which process it came from. */
export function createApp(coterie: Coterie, servedBy: string): Express {
  const { shards, name } = coterie;
  const app = express();
  app.disable("x-powered-by");
  app.use(express.text({ type: () => true }));

  const item = shard(coterie, { key: (req) => keyOf(idOf(req)) });
  app.put("/items/:id", item, putItem);
  app.get("/items/:id", item, getItem);
  app.delete("/items/:id", item, deleteItem);
  // Where an item is can be told while its Redis is away.
  app.get("/where/:id", shard(coterie, { key: (req) => keyOf(idOf(req)), unavailable: "pass" }), where);
  app.post("/where", whereAll);
  app.get("/status", (_req, res) => res.json({ servedBy, ...coterie.status() }));
  app.use(problems());
  return app;

  function keyOf(id: string): string {
    return `${name}:item:${id}`;
  }

  async function putItem(req: Request, res: Response): Promise<void> {
    const { key, id } = shardOf(req);
    await shards.set(key, typeof req.body === "string" ? req.body : "", { ttlMs: ITEM_TTL_MS });
    res.json({ item: idOf(req), shard: id, servedBy });
  }

  async function getItem(req: Request, res: Response): Promise<void> {
    const { key, id } = shardOf(req);
    const value = await shards.get(key);
    res.status(value === null ? 404 : 200).json({ item: idOf(req), value, shard: id, servedBy });
  }

  async function deleteItem(req: Request, res: Response): Promise<void> {
    await shards.del(shardOf(req).key);
    res.json({ item: idOf(req), shard: shardOf(req).id, servedBy });
  }

  /** One item a line; answers each one's owner. */
  function whereAll(req: Request, res: Response): void {
    const items = String(req.body).split("\n");
    res.json(Object.fromEntries(items.map((id) => [id, coterie.ring.owner(keyOf(id))])));
  }

  function where(req: Request, res: Response): void {
    const { key, id } = shardOf(req);
    res.json({ item: idOf(req), key, arc: arcOf(key), shard: id, servedBy });
  }
}

function idOf(req: Request): string {
  return String(req.params["id"]);
}
