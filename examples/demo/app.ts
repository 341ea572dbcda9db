/**
 * The Express app of the demo: a small store of texts, spread over Redis. This file is what a user would
 * write; the rest of the folder starts it three times, loads it, and breaks things.
 */
// oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits them.
import express, { type Express, type Request, type Response } from "express";

import { type Coterie, systemEnv } from "coterie";
import { lockOf, problems, shard, shardOf, withLock } from "coterie/express";
import { arcOf } from "coterie/ring";

import type { Increment } from "./locks/claims.ts";

/** So that nothing stays for ever in a Redis that is not the demo's own. */
const ITEM_TTL_MS = 3_600_000;
const LEASE_MS = 2000;
const WAIT_MS = 4000;
/** How long an increment thinks between reading and writing. */
const WORK_MS = 3;

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
  const lock = { resource: (req: Request) => keyOf(idOf(req)), leaseMs: LEASE_MS, waitMs: WAIT_MS };
  app.post("/items/:id/increment", withLock(coterie, lock, increment));
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

  /** Reads, thinks, and writes: two at once would lose one, so it runs under a lock. */
  async function increment(req: Request, res: Response): Promise<void> {
    const { clock } = systemEnv;
    const from = clock.wallNow();
    const key = keyOf(idOf(req));
    const count = Number(await shards.get(key)) + 1;
    await clock.sleep(WORK_MS);
    await shards.set(key, String(count), { ttlMs: ITEM_TTL_MS });
    const { fencingToken } = lockOf(req);
    const to = clock.wallNow();
    res.json({ what: idOf(req), by: servedBy, count, fencingToken, from, to } satisfies Increment);
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
