/**
 * What a user's compiler says about `coterie/express`. Compiled with the tests and never run: each
 * `@ts-expect-error` is a mistake that must not compile, and all else must.
 */
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from "express";

import {
  type LockedHandler,
  lockOf,
  type Problem,
  problems,
  type RequestLock,
  type RequestShard,
  shard,
  shardOf,
  type ShardOptions,
  withLock,
  type WithLockOptions,
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

const lockOptions: WithLockOptions = {
  resource: (req) => [`order:${req.path}`, "stock"],
  leaseMs: 5000,
  waitMs: undefined,
  busy: 409,
  onProblem: (problem: Problem, _req, res) => res.status(problem.status).end(),
};
const locked: LockedHandler = (req, res) => {
  const { resources, fencingToken, signal, remainingMs }: RequestLock = lockOf(req);
  const parts: readonly [readonly string[], number, AbortSignal, number] = [
    resources,
    fencingToken,
    signal,
    remainingMs,
  ];
  res.json({ parts, same: req.coterie?.lock === lockOf(req) });
};
const guarded: RequestHandler = withLock(coterie, lockOptions, locked);
app.put("/orders/:id", guarded, withLock({ locks: coterie.locks }, { resource: "stock" }, locked));
app.post(
  "/orders",
  withLock(coterie, { resource: ["a", "b"] }, async (req, res, next) => {
    if (req.body === undefined) next();
    else await Promise.resolve(res.end());
  }),
);

// @ts-expect-error -- a resource is needed
withLock(coterie, {}, locked);
// @ts-expect-error -- a handler is needed
withLock(coterie, { resource: "a" });
// @ts-expect-error -- another status
withLock(coterie, { resource: "a", busy: 429 }, locked);
// @ts-expect-error -- a number is no resource
withLock(coterie, { resource: () => 7 }, locked);
// @ts-expect-error -- a promise is no resource
withLock(coterie, { resource: () => Promise.resolve("a") }, locked);
// @ts-expect-error -- the middleware releases it
lockOf({} as Request).release();
