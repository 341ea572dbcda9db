/** What clients are told while Redis is killed, paused, full and back, in both Express versions. */
import { once } from "node:events";

import type { Express, NextFunction, Request, Response } from "express";
import request from "supertest";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import {
  problems,
  type ProblemsOptions,
  shard,
  shardOf,
  type ShardOptions,
} from "../../middleware/express/index.ts";
import { type Coterie, CoterieError, systemEnv } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { EXPRESS_VERSIONS, keyOfEach, OpenCoteries } from "../support/express-apps.ts";
import { until } from "../support/until.ts";

/** In every URL of this file; must be in no answer. */
const SECRET = "planted-secret";

let redis: RedisGroup;
const opened = new OpenCoteries();

beforeAll(async () => {
  redis = await startRedis({ count: 3, config: { requirepass: SECRET } });
});
afterEach(async () => {
  await opened.closeAll();
  await Promise.all(redis.instances.map((instance) => instance.restart({ wipe: true })));
});
afterAll(() => redis.stop());

/** Seconds of Retry-After; NaN without the header. */
function retryAfter(answer: request.Response): number {
  return Number(answer.headers["retry-after"]);
}

function keyIn(req: Request): string {
  return String(req.params["key"]);
}

function expectProblem(answer: request.Response, status: number, code: string): void {
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(answer.headers["cache-control"]).toBe("no-store");
  expect(Object.keys(answer.body).toSorted()).toEqual(["code", "detail", "status", "title", "type"]);
  expect(answer.body.type).toBe(`urn:coterie:problem:${code.toLowerCase().replaceAll("_", "-")}`);
  expect(answer.body.status).toBe(status);
  expectNoSecrets(answer);
}

/** Neither the password, an address, an instance's port, a key, nor a stack. */
function expectNoSecrets(answer: request.Response): void {
  const told = JSON.stringify(answer.headers) + answer.text;
  const secrets = [
    SECRET,
    "127.0.0.1",
    "redis",
    "item:",
    "    at ",
    ...redis.instances.map(({ port }) => String(port)),
  ];
  expect(secrets.filter((secret) => told.includes(secret))).toEqual([]);
}

describe.each(EXPRESS_VERSIONS)("in %s", (_version, express) => {
  /** A small store behind the middleware, as a user would write it. */
  function storeOver(
    coterie: Coterie,
    options: Partial<ShardOptions> = {},
    onError?: ProblemsOptions["onError"],
  ): Express {
    const app = express();
    app.use("/items/:key", shard(coterie, { key: keyIn, ...options }));
    app.get("/items/:key", (req, res, next) => {
      coterie.shards.get(keyIn(req)).then((value) => res.json({ value, shard: shardOf(req).id }), next);
    });
    const write = (req: Request, res: Response, next: NextFunction) => {
      coterie.shards.set(keyIn(req), "value").then(() => res.json({ shard: shardOf(req).id }), next);
    };
    app.put("/items/:key", write);
    app.post("/items/:key", write);
    app.get("/all", (_req, res, next) => {
      coterie.shards.mget([...keyOfEach(coterie).values()]).then((values) => res.json(values), next);
    });
    app.get("/wrong", (_req, res, next) => {
      coterie.shards.lpush("text", ["x"]).then(() => res.end("ok"), next);
    });
    app.use(problems({ onError }));
    app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      res.status(599).json({ own: String(error) });
    });
    return app;
  }

  test("S4: a killed Redis costs its own keys 503 with Retry-After, and the others nothing", async () => {
    const coterie = await opened.open(redis.urls);
    const app = storeOver(coterie);
    const keys = keyOfEach(coterie);
    for (const key of keys.values()) expect((await request(app).put(`/items/${key}`)).status).toBe(200);
    await redis.instances[0]!.kill();
    await until("the loss was noticed", () => !coterie.shards.for(keys.get("a")!).available);

    const ask = async (id: string) => {
      const path = `/items/${keys.get(id)}`;
      return [await request(app).get(path), await request(app).put(path)];
    };
    for (const id of ["b", "c"]) {
      const answers = await ask(id);
      expect(answers.map(({ status, body }) => [status, body.shard])).toEqual([[200, id], [200, id]]);
      expect(answers.map(retryAfter)).toEqual([Number.NaN, Number.NaN]);
    }
    for (const answer of await ask("a")) {
      expectProblem(answer, 503, "UNREACHABLE");
      expect(retryAfter(answer)).toBe(1);
    }

    await redis.instances[0]!.restart();
    await until("it is back", () => coterie.shards.for(keys.get("a")!).available);
    expect((await request(app).get(`/items/${keys.get("a")}`)).status).toBe(200);
  });

  test("E1: a paused Redis costs the first request its deadline, and the next ones nothing", async () => {
    const coterie = await opened.open(redis.urls);
    const app = storeOver(coterie);
    const key = keyOfEach(coterie).get("b")!;
    await redis.instances[1]!.pause();

    const first = await request(app).get(`/items/${key}`);
    expectProblem(first, 503, "NO_ANSWER");
    expect(retryAfter(first)).toBe(1);

    const tookMs: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const startedAt = systemEnv.clock.now();
      const next = await request(app).get(`/items/${key}`);
      tookMs.push(systemEnv.clock.now() - startedAt);
      expectProblem(next, 503, "CIRCUIT_OPEN");
      expect(retryAfter(next)).toBe(1);
    }
    // The quickest, since the machine may be busy; each would take the deadline if it asked Redis.
    expect(Math.min(...tookMs)).toBeLessThan(50);

    await redis.instances[1]!.resume();
    await until("it answers again", () => coterie.shards.for(key).available);
    expect((await request(app).get(`/items/${key}`)).status).toBe(200);
  });

  test("a write that may have happened invites a PUT to ask again, and never a POST", async () => {
    const coterie = await opened.open(redis.urls);
    const app = storeOver(coterie);
    const key = keyOfEach(coterie).get("c")!;
    await redis.instances[2]!.pause();

    const [put, post] = await Promise.all([
      request(app).put(`/items/${key}`),
      request(app).post(`/items/${key}`),
    ]);

    expectProblem(put, 503, "MAYBE_APPLIED");
    expectProblem(post, 503, "MAYBE_APPLIED");
    expect(put.body.detail).toContain("may or may not have been made");
    expect([retryAfter(put), retryAfter(post)]).toEqual([1, Number.NaN]);
  });

  test("a full Redis is answered 503", async () => {
    const coterie = await opened.open(redis.urls);
    const key = keyOfEach(coterie).get("a")!;
    await coterie.shards.for(key).call("config", ["set", "maxmemory", "1"]);

    const answer = await request(storeOver(coterie)).put(`/items/${key}`);

    expectProblem(answer, 503, "OUT_OF_MEMORY");
    expect(retryAfter(answer)).toBe(1);
  });

  test("a request for many keys of which some are away is answered 503", async () => {
    const coterie = await opened.open(redis.urls);
    await redis.instances[0]!.kill();
    await until("the loss was noticed", () => coterie.status().shards.instances[0]!.state !== "ready");

    const answer = await request(storeOver(coterie)).get("/all");

    expectProblem(answer, 503, "PARTIAL");
    expect(retryAfter(answer)).toBe(1);
  });

  test("what asking again does not change is answered 500, and only onError learns the cause", async () => {
    const coterie = await opened.open(redis.urls);
    await coterie.shards.set("text", "x");
    const seen: CoterieError[] = [];

    const answer = await request(storeOver(coterie, {}, (error) => seen.push(error))).get("/wrong");

    expectProblem(answer, 500, "REPLY_ERROR");
    expect(answer.headers).not.toHaveProperty("retry-after");
    expect(seen.map((error) => error.message)).toEqual([expect.stringContaining("WRONGTYPE")]);
  });

  test("a closed coterie is answered 503", async () => {
    const coterie = await opened.open(redis.urls);
    const app = storeOver(coterie);
    await coterie.close();

    const answer = await request(app).get("/items/any");

    expectProblem(answer, 503, "CLOSED");
    expect(retryAfter(answer)).toBe(1);
  });

  test("unavailable: pass lets the handler see that the owner is away", async () => {
    const coterie = await opened.open(redis.urls);
    await redis.instances[0]!.kill();
    const key = keyOfEach(coterie).get("a")!;
    await until("the loss was noticed", () => !coterie.shards.for(key).available);
    const app = express();
    app.get("/", shard(coterie, { key: () => key, unavailable: "pass" }), (req, res) => {
      res.json({ available: shardOf(req).instance.available });
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.body]).toEqual([200, { available: false }]);
  });

  test("in a cache a request whose owner is away is served by the next one", async () => {
    const coterie = await opened.open(redis.urls, { purpose: "cache" });
    const app = storeOver(coterie);
    const key = keyOfEach(coterie).get("a")!;
    await redis.instances[0]!.kill();
    await until("the loss was noticed", () => !coterie.shards.for(key).available);

    const written = await request(app).put(`/items/${key}`);
    const read = await request(app).get(`/items/${key}`);

    expect([written.status, read.status, read.body.value]).toEqual([200, 200, "value"]);
  });

  test("an answer of one's own gets the same problem", async () => {
    const coterie = await opened.open(redis.urls);
    await redis.instances[0]!.kill();
    const key = keyOfEach(coterie).get("a")!;
    await until("the loss was noticed", () => !coterie.shards.for(key).available);
    const app = storeOver(coterie, {
      onProblem: (problem, _req, res) => res.status(problem.status).send(problem.code),
    });

    const answer = await request(app).get(`/items/${key}`);

    expect([answer.status, answer.text]).toEqual([503, "UNREACHABLE"]);
  });
});

describe.each(EXPRESS_VERSIONS)("problems() in %s", (_version, express) => {
  const failure = new CoterieError("UNREACHABLE", "away", { details: { retryAfterMs: 2100 } });

  function appThat(handle: (res: Response, next: NextFunction) => void, options?: ProblemsOptions): Express {
    const app = express();
    app.get("/", (_req, res, next) => handle(res, next));
    app.use(problems(options));
    app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      if (res.headersSent) res.end(`, then ${String(error)}`);
      else res.status(599).end(String(error));
    });
    return app;
  }

  test("Retry-After is what the error says, in whole seconds upwards", async () => {
    const answer = await request(appThat((_res, next) => next(failure))).get("/");

    expect([answer.status, retryAfter(answer)]).toEqual([503, 3]);
  });

  test.each([Number.NaN, Infinity, -5, "soon", null])(
    "a retryAfterMs of %s counts as a second",
    async (retryAfterMs) => {
      const odd = new CoterieError("UNREACHABLE", "away", { details: { retryAfterMs } });

    const answer = await request(appThat((_res, next) => next(odd))).get("/");

    expect(retryAfter(answer)).toBe(1);
  });

  test("several failed shards are answered 500 when asking again does not help with one of them", async () => {
    const errors = [failure, new CoterieError("REPLY_ERROR", "NOPERM")];
    const partial = new CoterieError("PARTIAL", "2 failed", { cause: new AggregateError(errors) });

    const answer = await request(appThat((_res, next) => next(partial))).get("/");

    expect([answer.status, answer.body.code, retryAfter(answer)]).toEqual([500, "PARTIAL", Number.NaN]);
  });

  test("any other error goes on to the app's own handler", async () => {
    const answer = await request(appThat((_res, next) => next(new Error("mine")))).get("/");

    expect([answer.status, answer.text]).toEqual([599, "Error: mine"]);
  });

  test("an error after the response has begun is the app's to end", async () => {
    const app = appThat((res, next) => {
      res.write("begun");
      next(failure);
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.text]).toEqual([200, "begun, then CoterieError: away"]);
  });

  test("what the handler had said about its own body is taken back", async () => {
    const app = appThat((res, next) => {
      res.status(201).attachment("report.csv").set({
        "Content-Length": "5",
        "Content-Encoding": "gzip",
        "Cache-Control": "public",
        ETag: '"1"',
        "X-Own": "kept",
      });
      res.statusMessage = "Made";
      next(failure);
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.body.code]).toEqual([503, "UNREACHABLE"]);
    expect(answer.headers).toMatchObject({ "cache-control": "no-store", "x-own": "kept" });
    expect(answer.headers["content-length"]).toBe(String(answer.text.length));
    for (const name of ["content-encoding", "etag", "content-disposition"]) {
      expect(answer.headers).not.toHaveProperty(name);
    }
    expect((answer as unknown as { res: { statusMessage: string } }).res.statusMessage).toBe(
      "Service Unavailable",
    );
  });

  test("an onError that rejects is warned of, and the answer is given all the same", async () => {
    const warned = once(process, "warning");
    const options: ProblemsOptions = { onError: () => Promise.reject(new Error("the log is full")) };

    const answer = await request(appThat((_res, next) => next(failure), options)).get("/");
    const [warning] = (await warned) as [Error & { code?: string }];

    expect(answer.headers["content-type"]).toContain("application/problem+json");
    expect([warning.code, warning.message]).toEqual([
      "COTERIE_ON_ERROR",
      "problems: onError rejected: the log is full",
    ]);
  });

  test("an onError that throws is the app's own error", async () => {
    const options: ProblemsOptions = {
      onError() {
        throw new Error("in onError");
      },
    };

    const answer = await request(appThat((_res, next) => next(failure), options)).get("/");

    expect([answer.status, answer.text]).toEqual([599, "Error: in onError"]);
  });
});
