/** What the middleware makes of a request, in both Express versions, over real Redis that is well. */
import type { Express, Request, Response } from "express";
import request from "supertest";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { problems, shard, shardOf, type ShardOptions } from "../../middleware/express/index.ts";
import type { Coterie, Key } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { EXPRESS_VERSIONS, OpenCoteries } from "../support/express-apps.ts";
import { rejection } from "../support/reject.ts";

let redis: RedisGroup;
const opened = new OpenCoteries();

beforeAll(async () => {
  redis = await startRedis({ count: 3 });
});
afterEach(() => opened.closeAll());
afterAll(() => redis.stop());

const MISSING = {
  type: "urn:coterie:problem:missing-key",
  title: "The request names no key",
  status: 400,
  detail: "The request does not name the key that decides where its data is.",
  code: "MISSING_KEY",
};

describe.each(EXPRESS_VERSIONS)("in %s", (_version, express) => {
  /** One route behind the middleware; its handler and the app's own error handler say what reached them. */
  function appWith(
    coterie: Coterie,
    options: ShardOptions,
  ): { app: Express; errors: unknown[]; handled: string[] } {
    const app = express();
    const errors: unknown[] = [];
    const handled: string[] = [];
    app.all("/", shard(coterie, options), (req, res) => {
      handled.push(String(req.coterie?.shard?.key));
      res.json({ shard: req.coterie?.shard?.id });
    });
    app.use((error: unknown, _req: Request, res: Response, _next: unknown) => {
      errors.push(error);
      if (!res.headersSent) res.status(599).end("the app's own error handler");
    });
    return { app, errors, handled };
  }

  test("the owner of the request's key stands on the request", async () => {
    const coterie = await opened.open(redis.urls);
    const app = express();
    app.get(
      "/items/:id",
      shard(coterie, { key: (req) => `item:${String(req.params["id"])}` }),
      (req, res) => {
        const { key, id, instance } = shardOf(req);
        res.json({ key, id, same: instance === coterie.shards.for(key) && req.coterie?.shard?.id === id });
      },
    );

    for (const id of ["1", "2", "3", "grüße", "a b"]) {
      const answer = await request(app).get(`/items/${encodeURIComponent(id)}`);

      const key = `item:${id}`;
      expect(answer.body).toEqual({ key, id: coterie.ring.owner(key), same: true });
    }
  });

  test("a key of bytes has the owner of the same text", async () => {
    const coterie = await opened.open(redis.urls);
    const { app } = appWith(coterie, { key: () => Buffer.from("grüße") });

    const answer = await request(app).get("/");

    expect(answer.body).toEqual({ shard: coterie.ring.owner("grüße") });
  });

  test.each([["undefined", undefined], ["null", null], ["empty text", ""], ["no bytes", new Uint8Array()]])(
    "a request whose key is %s is answered 400",
    async (_name, key) => {
      const { app, errors, handled } = appWith(await opened.open(redis.urls), { key: () => key });

      const answer = await request(app).get("/");

      expect(answer.status).toBe(400);
      expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
      expect(answer.headers["cache-control"]).toBe("no-store");
      expect(answer.headers).not.toHaveProperty("retry-after");
      expect(answer.body).toEqual(MISSING);
      expect([errors, handled]).toEqual([[], []]);
    },
  );

  const hostile: readonly (readonly [string, unknown])[] = [
    ["a number", 7],
    ["true", true],
    ["a symbol", Symbol("secret")],
    ["a list", ["a", "b"]],
    ["an object with a length", { length: 0 }],
    ["an object without a prototype", Object.create(null)],
    ["an object whose every field throws", new Proxy({}, { get: () => { throw new Error("touched"); } })],
    ["a function", () => "key"],
  ];
  test.each(hostile)("a key that is %s is answered 400, and nothing of it is told", async (_name, key) => {
    const { app, errors, handled } = appWith(await opened.open(redis.urls), { key: () => key as Key });

    const answer = await request(app).get("/");

    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({
      type: "urn:coterie:problem:invalid-key",
      title: "The request's key cannot be used",
      status: 400,
      detail: "The key must be text or bytes.",
      code: "INVALID_KEY",
    });
    expect([errors, handled]).toEqual([[], []]);
  });

  test("a key longer than keyBytesMax is answered 400, counted in bytes", async () => {
    const coterie = await opened.open(redis.urls);
    const { app, handled } = appWith(coterie, { key: (req) => String(req.headers["x-key"]).repeat(10) });
    const { app: tight, handled: passed } = appWith(coterie, { key: () => "ü".repeat(5), keyBytesMax: 10 });
    const { app: tighter } = appWith(coterie, { key: () => "ü".repeat(5), keyBytesMax: 9 });
    const { app: huge } = appWith(coterie, { key: () => "k".repeat(100_000_000) });

    const long = await request(app).get("/").set("x-key", "k".repeat(103));
    const fits = await request(tight).get("/");
    const doesNot = await request(tighter).get("/");
    const tooMuch = await request(huge).get("/");

    expect([long.status, fits.status, doesNot.status, tooMuch.status]).toEqual([400, 200, 400, 400]);
    expect(long.body).toMatchObject({
      code: "INVALID_KEY",
      detail: "The key must not be longer than 1024 bytes.",
    });
    expect([handled, passed]).toEqual([[], ["üüüüü"]]);
  });

  test("a key function that throws is the app's own error", async () => {
    const own = new Error("in the key function");
    const { app, errors } = appWith(await opened.open(redis.urls), {
      key: () => {
        throw own;
      },
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.text]).toEqual([599, "the app's own error handler"]);
    expect(errors).toEqual([own]);
  });

  test("an error of coterie that the key function throws is not taken for the client's mistake", async () => {
    const coterie = await opened.open(redis.urls);
    const { app, errors } = appWith(coterie, { key: () => coterie.shards.for(7 as never).id });

    const answer = await request(app).get("/");

    expect(answer.status).toBe(599);
    expect(errors).toMatchObject([{ code: "INVALID_ARGUMENT" }]);
  });

  test("a promise for a key is refused as a programmer's error, and its rejection reaches nobody", async () => {
    const coterie = await opened.open(redis.urls);
    const { app, errors } = appWith(coterie, { key: (() => Promise.reject(new Error("late"))) as never });

    const answer = await request(app).get("/");

    expect(answer.status).toBe(599);
    expect(errors).toMatchObject([{ code: "INVALID_ARGUMENT" }]);
    expect(String(errors[0])).toContain("must return a key, got a promise");
  });

  test("an answer of the app's own takes the place of the problem", async () => {
    const { app } = appWith(await opened.open(redis.urls), {
      key: () => undefined,
      onProblem: (problem, _req, res) => res.status(problem.status).json({ own: problem.code }),
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.body]).toEqual([400, { own: "MISSING_KEY" }]);
  });

  test("an onProblem that throws or rejects is the app's own error", async () => {
    const coterie = await opened.open(redis.urls);
    const thrown = await rejection(() => coterie.shards.mget([]), "INVALID_ARGUMENT");
    const cases: readonly ShardOptions["onProblem"][] = [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown),
      (_problem, _req, _res, next) => {
        next(thrown);
        throw new Error("too late");
      },
    ];
    for (const onProblem of cases) {
      const { app, errors } = appWith(coterie, { key: () => undefined, onProblem });

      const answer = await request(app).get("/");

      expect([answer.status, errors]).toEqual([599, [thrown]]);
    }
  });

  test("an onProblem may let the request pass", async () => {
    const { app, handled } = appWith(await opened.open(redis.urls), {
      key: () => undefined,
      onProblem: (_problem, _req, _res, next) => next(),
    });

    const answer = await request(app).get("/");

    expect([answer.status, answer.body, handled]).toEqual([200, {}, ["undefined"]]);
  });

  test("a HEAD request gets the problem's headers and no body", async () => {
    const { app } = appWith(await opened.open(redis.urls), { key: () => undefined });

    const answer = await request(app).head("/");

    expect([answer.status, answer.text]).toEqual([400, undefined]);
    expect(answer.headers["content-length"]).toBe(String(JSON.stringify(MISSING).length));
  });

  test("a second key on one request takes the place of the first and leaves other middleware's part", async () => {
    const coterie = await opened.open(redis.urls);
    const app = express();
    app.use((req, _res, next) => {
      req.coterie = { other: "kept" } as never;
      next();
    });
    app.use(shard(coterie, { key: () => "first" }), shard(coterie, { key: () => "second" }));
    app.get("/", (req, res) => res.json({ ...req.coterie, shard: shardOf(req).key }));

    const answer = await request(app).get("/");

    expect(answer.body).toEqual({ other: "kept", shard: "second" });
  });

  test("shardOf in a handler without the middleware says what is missing", async () => {
    const app = express();
    const errors: unknown[] = [];
    app.get("/", (req, res) => res.end(shardOf(req).id));
    app.use((error: unknown, _req: Request, res: Response, _next: unknown) => {
      errors.push(error);
      res.end();
    });

    await request(app).get("/");

    expect(errors).toMatchObject([
      {
        code: "INVALID_ARGUMENT",
        message: "shardOf: shard() has not run for this request; put it before the handler",
      },
    ]);
  });

  test("nothing is answered once a response is finished, and a begun one is left to the app", async () => {
    const coterie = await opened.open(redis.urls);
    const app = express();
    const errors: unknown[] = [];
    const guarded = shard(coterie, { key: () => undefined });
    app.get("/finished", (_req, res, next) => {
      res.end("done");
      next();
    }, guarded);
    app.get("/begun", (_req, res, next) => {
      res.write("begun, ");
      next();
    }, guarded);
    app.use((error: unknown, _req: Request, res: Response, _next: unknown) => {
      errors.push(error);
      res.end("and ended by the app");
    });

    const finished = await request(app).get("/finished");
    const begun = await request(app).get("/begun");

    expect([finished.status, finished.text]).toEqual([200, "done"]);
    expect([begun.status, begun.text]).toEqual([200, "begun, and ended by the app"]);
    expect(errors).toMatchObject([{ code: "INVALID_ARGUMENT" }]);
  });
});

const key = () => "key";

describe("options", () => {
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["no options", undefined, "shard: options must be an object, got undefined"],
    ["null", null, "shard: options must be an object, got null"],
    ["no key", {}, "shard: option key must be a function from the request to its key, got undefined"],
    [
      "a key that is text",
      { key: "id" },
      "shard: option key must be a function from the request to its key, got 'id'",
    ],
    [
      "a misspelt name",
      { key, onproblem: key },
      "shard: unknown option 'onproblem' (known: key, keyBytesMax, unavailable, onProblem)",
    ],
    [
      "an unknown word",
      { key, unavailable: "wait" },
      'shard: option unavailable must be "refuse" or "pass", got \'wait\'',
    ],
    [
      "a big integer",
      { key, unavailable: 1n },
      'shard: option unavailable must be "refuse" or "pass", got 1n',
    ],
    ["no function", { key, onProblem: {} }, "shard: option onProblem must be a function, got {}"],
    [
      "no bytes",
      { key, keyBytesMax: 0 },
      "shard: option keyBytesMax must be an integer of at least 1, got 0",
    ],
    [
      "NaN bytes",
      { key, keyBytesMax: Number.NaN },
      "shard: option keyBytesMax must be an integer of at least 1, got NaN",
    ],
  ];
  test.each(wrong)(
    "%s is refused, and the option and the value are quoted",
    async (_name, options, message) => {
      const coterie = await opened.open(redis.urls);

    const error = await rejection(() => shard(coterie, options as ShardOptions), "INVALID_OPTION");

    expect(error.message).toBe(message);
  });

  test("an explicit undefined means the default", async () => {
    const coterie = await opened.open(redis.urls);

    expect(() =>
      shard(coterie, { key, keyBytesMax: undefined, unavailable: undefined, onProblem: undefined }),
    ).not.toThrow();
  });

  test("anything but a coterie is refused, and so are wrong options of problems", async () => {
    const noCoterie = await rejection(() => shard({} as Coterie, { key }), "INVALID_ARGUMENT");
    const unknown = await rejection(() => problems({ log: key } as never), "INVALID_OPTION");
    const noFunction = await rejection(() => problems({ onError: 1 } as never), "INVALID_OPTION");

    expect(noCoterie.message).toBe("shard: the first parameter must be a coterie, got {}");
    expect(unknown.message).toBe("problems: unknown option 'log' (known: onError)");
    expect(noFunction.message).toBe("problems: option onError must be a function, got 1");
  });
});
