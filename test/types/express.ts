/**
 * What a user's compiler says about `coterie/express`. Compiled with the tests and never run: each
 * `@ts-expect-error` is a mistake that must not compile, and all else must.
 */
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from "express";

import {
  type Problem,
  problems,
  type RequestShard,
  shard,
  shardOf,
  type ShardOptions,
} from "../../middleware/express/index.ts";
import type { Coterie, Instance, Key } from "../../src/index.ts";

declare const coterie: Coterie;

const app = express();
const byId: RequestHandler = shard(coterie, { key: (req) => `item:${req.path}` });
const explicit: ShardOptions = {
  key: () => null,
  keyBytesMax: undefined,
  unavailable: "pass",
  onProblem: undefined,
};

app.use(byId, shard({ shards: coterie.shards }, explicit));
// oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Express 5 awaits them.
app.get("/items/:id", byId, async (req, res) => {
  const { key, id, instance }: RequestShard = shardOf(req);
  const parts: readonly [Key, string, Instance] = [key, id, instance];
  res.json({ parts, value: await coterie.shards.get(key) });
});
app.use((req: Request) => {
  const id: string | undefined = req.coterie?.shard?.id;
  // @ts-expect-error -- the middleware may not have run
  const certain: string = req.coterie.shard.id;
  return [id, certain];
});
app.use(
  shard(coterie, {
    key: (req) => req.get("x-tenant"),
    onProblem: (problem: Problem, _req, res) => res.status(problem.status).json(problem),
  }),
  shard(coterie, { key: () => new Uint8Array(1), onProblem: async (_problem, _req, _res, next) => next() }),
);
const handler: ErrorRequestHandler = problems({ onError: (error) => [error.code, error.retryable] });
app.use(problems(), handler);

// @ts-expect-error -- a key is needed
shard(coterie, {});
// @ts-expect-error -- a number is no key
shard(coterie, { key: () => 7 });
// @ts-expect-error -- a promise is no key
shard(coterie, { key: () => Promise.resolve("key") });
// @ts-expect-error -- an unknown option
shard(coterie, { key: () => "key", timeout: 5 });
// @ts-expect-error -- an unknown word
shard(coterie, { key: () => "key", unavailable: "wait" });
// @ts-expect-error -- no coterie
shard({}, { key: () => "key" });
