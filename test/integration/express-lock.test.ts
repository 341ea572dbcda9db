/** `withLock` in both Express versions over real Redis that is well: who runs, when, and for how long. */
import { once } from "node:events";
import type { Server } from "node:http";

import type { Express, NextFunction, Request, RequestHandler, Response } from "express";
import request from "supertest";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import {
  type LockedHandler,
  lockOf,
  problems,
  withLock,
  type WithLockOptions,
} from "../../middleware/express/index.ts";
import { type Coterie, systemEnv } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { EXPRESS_VERSIONS, OpenCoteries } from "../support/express-apps.ts";
import { ask } from "../support/raw-client.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;

let redis: RedisGroup;
let coterie: Coterie;
const opened = new OpenCoteries();
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis({ count: 3 });
});
beforeEach(async () => {
  coterie = await opened.open(redis.urls);
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await once(server.close(), "close");
  }
  await opened.closeAll();
});
afterAll(() => redis.stop());

/** Resolves when it is told to. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { opened: promise, open };
}

async function isFree(resource: string): Promise<boolean> {
  const lock = await coterie.locks.tryAcquire(resource);
  await lock?.release();
  return lock !== undefined;
}

async function untilFree(resource: string): Promise<void> {
  let free = false;
  const looking = (async () => {
    while (!free) {
      free = await isFree(resource);
      if (!free) await clock.sleep(5);
    }
  })();
  await until(`${resource} is free`, () => free);
  await looking;
}

async function listen(app: Express): Promise<Server> {
  const server = app.listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return server;
}

let made = 0;
/** So that no test meets another's lock. */
function freshName(): string {
  made += 1;
  return `resource ${made}`;
}

describe.each(EXPRESS_VERSIONS)("in %s", (_version, express) => {
  /** One route, and what reached the app's own error handler. */
  function appWith(
    options: WithLockOptions,
    handler: LockedHandler,
    ...after: readonly RequestHandler[]
  ): { app: Express; errors: unknown[] } {
    const app = express();
    const errors: unknown[] = [];
    app.all("/", withLock(coterie, options, handler), ...after);
    app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      errors.push(error);
      if (!res.headersSent) res.status(599).end(String(error));
    });
    return { app, errors };
  }

  describe("a resource in use", () => {
    test("is answered 423 with Retry-After at once, and the handler does not run", async () => {
      const resource = freshName();
      let runs = 0;
      const { app, errors } = appWith({ resource }, (_req, res) => {
        runs += 1;
        res.end();
      });
      const lock = await coterie.locks.acquire(resource);

      const refused = await request(app).post("/");
      await lock.release();
      const served = await request(app).post("/");

      expect([refused.status, served.status, runs, errors]).toEqual([423, 200, 1, []]);
      expect(refused.headers).toMatchObject({
        "content-type": "application/problem+json; charset=utf-8",
        "cache-control": "no-store",
        "retry-after": "1",
      });
      expect(refused.body).toEqual({
        type: "urn:coterie:problem:locked",
        title: "Another request is at work on this",
        status: 423,
        detail: "Another request is at work on what this request needs for itself.",
        code: "LOCKED",
      });
    });

    test("is answered as the options say", async () => {
      const resource = freshName();
      const { app } = appWith({ resource, busy: 409, retryAfterMs: 2100 }, (_req, res) => res.end());
      const own: WithLockOptions["onProblem"] = (problem, _req, res) => res.status(418).send(problem.code);
      const { app: another } = appWith({ resource, onProblem: own }, (_req, res) => res.end());
      const lock = await coterie.locks.acquire(resource);

      const conflict = await request(app).get("/");
      const answered = await request(another).get("/");
      await lock.release();

      expect([conflict.status, conflict.body.status]).toEqual([409, 409]);
      expect(conflict.headers["retry-after"]).toBe("3");
      expect([answered.status, answered.text]).toEqual([418, "LOCKED"]);
    });

    test("is waited for as long as waitMs says: then the handler runs, or the answer is 503", async () => {
      const resource = freshName();
      const { app } = appWith({ resource, waitMs: 5000 }, (_req, res) => res.end("served"));
      const { app: hasty } = appWith({ resource, waitMs: 50 }, (_req, res) => res.end("served"));
      const lock = await coterie.locks.acquire(resource);

      const waiting = request(app).get("/").then((answer) => answer);
      const late = await request(hasty).get("/");
      await lock.release();
      const served = await waiting;

      expect([late.status, late.body.code, late.headers["retry-after"]]).toEqual([503, "LOCKED", "1"]);
      expect([served.status, served.text]).toEqual([200, "served"]);
    });

    test("runs for one request at a time, all the others in turn, and tokens grow", async () => {
      const resource = freshName();
      let running = 0;
      const tokens: number[] = [];
      const { app } = appWith({ resource, waitMs: 10_000 }, async (req, res) => {
        running += 1;
        expect(running).toBe(1);
        tokens.push(lockOf(req).fencingToken);
        await clock.sleep(3);
        running -= 1;
        res.end();
      });
      const server = await listen(app);

      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server).answer));

      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(tokens).toHaveLength(20);
      expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => a - b));
    });
  });

  describe("the request's lock", () => {
    test("has the token, the signal and what is left of the lease", async () => {
      const resource = freshName();
      const { app } = appWith({ resource: [resource, `${resource} too`], leaseMs: 5000 }, (req, res) => {
        const { resources, fencingToken, signal, remainingMs } = lockOf(req);
        const isLeft = remainingMs > 3000 && remainingMs <= 5000;
        const isSame = req.coterie?.lock === lockOf(req);
        const isToken = Number.isSafeInteger(fencingToken);
        res.json({ resources, isToken, aborted: signal.aborted, isLeft, isSame });
      });

      const { body } = await request(app).get("/");

      const resources = [resource, `${resource} too`];
      expect(body).toEqual({ resources, isToken: true, aborted: false, isLeft: true, isSame: true });
    });

    test("is named by the request, and other middleware's part of req.coterie is left", async () => {
      const app = express();
      app.use((req, _res, next) => {
        req.coterie = { other: "kept" } as never;
        next();
      });
      const resource = (req: Request) => [`order:${String(req.params["id"])}`, `user:${req.get("x-user")}`];
      app.get("/:id", withLock(coterie, { resource }, (req, res) => {
        res.json([lockOf(req).resources, (req.coterie as { other?: unknown }).other]);
      }));

      const { body } = await request(app).get("/7").set("x-user", "ann");

      expect(body).toEqual([["order:7", "user:ann"], "kept"]);
    });

    test("is asked for in vain where there is none", async () => {
      const error = await rejection(() => lockOf({} as Request), "INVALID_ARGUMENT");

      expect(error.message).toBe("lockOf: this request has no lock; wrap the handler in withLock()");
    });
  });

  describe("the lock is released", () => {
    test("when the handler's promise settles, and not when it answers", async () => {
      const resource = freshName();
      const end = gate();
      const { app } = appWith({ resource }, async (_req, res) => {
        res.end("early");
        await end.opened;
      });

      const answer = await request(app).get("/");
      const freeBefore = await isFree(resource);
      end.open();
      await untilFree(resource);

      expect([answer.text, freeBefore]).toEqual(["early", false]);
    });

    test("when the handler's promise rejects or it throws, and the error is the app's own", async () => {
      for (const fail of [
        () => Promise.reject(new Error("in the handler")),
        () => {
          throw new Error("in the handler");
        },
      ]) {
        const resource = freshName();
        const { app, errors } = appWith({ resource }, fail);

        const answer = await request(app).get("/");
        await untilFree(resource);

        expect([answer.status, answer.text]).toEqual([599, "Error: in the handler"]);
        expect(errors).toHaveLength(1);
      }
    });

    test("when a handler without a promise ends the response", async () => {
      const resource = freshName();
      const [begun, end] = [gate(), gate()];
      const { app } = appWith({ resource }, (_req, res) => {
        res.write("begun, ");
        begun.open();
        void end.opened.then(() => res.end("ended"));
      });
      const server = await listen(app);

      const { answer } = ask(server);
      await begun.opened;
      const freeBefore = await isFree(resource);
      end.open();
      await untilFree(resource);

      expect([(await answer).text, freeBefore]).toEqual(["begun, ended", false]);
    });

    test("when a handler without a promise passes the request on, with an error or without", async () => {
      const resource = freshName();
      const freeAfter: boolean[] = [];
      const { app, errors } = appWith(
        { resource },
        (req, _res, next) => next(req.method === "POST" ? new Error("passed on") : undefined),
        async (_req, res) => {
          await untilFree(resource);
          freeAfter.push(true);
          res.end("by the next");
        },
      );

      const passed = await request(app).get("/");
      const failed = await request(app).post("/");
      await untilFree(resource);

      expect([passed.text, freeAfter]).toEqual(["by the next", [true]]);
      expect([failed.text, errors.length]).toEqual(["Error: passed on", 1]);
    });

    test("not when the client leaves: a handler with a promise goes on under its lock", async () => {
      const resource = freshName();
      const [started, end] = [gate(), gate()];
      let hasSeenClose = false;
      const { app } = appWith({ resource, leaseMs: 300 }, async (_req, res) => {
        res.once("close", () => (hasSeenClose = true));
        started.open();
        await end.opened;
        res.end("to nobody");
      });
      const server = await listen(app);

      const asking = ask(server);
      await started.opened;
      asking.leave();
      await until("the server saw it", () => hasSeenClose);
      await clock.sleep(700);
      const freeWhileRunning = await isFree(resource);
      end.open();
      await untilFree(resource);

      expect(freeWhileRunning).toBe(false);
    });

    test("not when the client leaves: a handler without a promise goes on until it answers", async () => {
      const resource = freshName();
      const [started, end] = [gate(), gate()];
      let hasSeenClose = false;
      const { app } = appWith({ resource }, (_req, res) => {
        res.once("close", () => (hasSeenClose = true));
        started.open();
        void end.opened.then(() => res.json({ to: "nobody" }));
      });
      const server = await listen(app);

      const asking = ask(server);
      await started.opened;
      asking.leave();
      await until("the server saw it", () => hasSeenClose);
      const freeWhileRunning = await isFree(resource);
      end.open();
      await untilFree(resource);

      expect(freeWhileRunning).toBe(false);
    });

    test("abandonedMs after the client left a handler that shows no sign of life, its signal first", async () => {
      const resource = freshName();
      const started = gate();
      let signal: AbortSignal | undefined;
      let freeAtAbort: Promise<boolean> | undefined;
      const { app } = appWith({ resource, abandonedMs: 60 }, (req) => {
        ({ signal } = lockOf(req));
        signal.addEventListener("abort", () => {
          freeAtAbort = isFree(resource);
        });
        started.open();
      });
      const server = await listen(app);

      const asking = ask(server);
      await started.opened;
      asking.leave();
      await untilFree(resource);

      expect([signal?.aborted, await freeAtAbort]).toEqual([true, false]);
      expect(signal?.reason).toMatchObject({ code: "LOCK_LOST", details: { abandonedMs: 60 } });
    });
  });

  describe("a client that leaves while its request waits", () => {
    test("ends the wait, and the handler never runs", async () => {
      const resource = freshName();
      let runs = 0;
      const { app, errors } = appWith({ resource, waitMs: 10_000 }, (_req, res) => {
        runs += 1;
        res.end();
      });
      const server = await listen(app);
      const lock = await coterie.locks.acquire(resource);
      const waiting = () => coterie.locks.status().waiting;

      const askings = Array.from({ length: 5 }, () => ask(server));
      await until("all wait", () => waiting() === askings.length);
      for (const asking of askings) asking.leave();
      await until("nobody waits any more", () => waiting() === 0);
      await lock.release();
      await untilFree(resource);

      expect([runs, errors]).toEqual([0, []]);
    });
  });

  describe("what the request is about", () => {
    const missing: readonly (readonly [string, unknown])[] = [
      ["undefined", undefined],
      ["null", null],
      ["an empty text", ""],
      ["no names", []],
    ];
    test.each(missing)("is missing when its function gives %s: 400", async (_name, name) => {
      const { app, errors } = appWith({ resource: () => name as never }, (_req, res) => res.end());

      const answer = await request(app).get("/");

      expect([answer.status, answer.body.code, errors]).toEqual([400, "MISSING_RESOURCE", []]);
      expect(answer.headers).not.toHaveProperty("retry-after");
    });

    const invalid: readonly (readonly [string, unknown])[] = [
      ["a number", 7],
      ["true", true],
      ["an object", {}],
      ["an empty text among others", ["a", ""]],
      ["lists in a list", [["a"]]],
      ["half a surrogate pair", "\ud800"],
      ["the same text twice", ["a", "b", "a"]],
      ["too many texts", Array.from({ length: 1001 }, (_, n) => `${n}`)],
      ["too many bytes", "ü".repeat(513)],
      ["too many bytes among others", ["ok", "x".repeat(1025)]],
    ];
    test.each(invalid)("cannot be used when its function gives %s: 400", async (_name, name) => {
      const { app, errors } = appWith({ resource: () => name as never }, (_req, res) => res.end());

      const answer = await request(app).get("/");

      expect([answer.status, answer.body.code, errors]).toEqual([400, "INVALID_RESOURCE", []]);
    });

    test("is the programmer's error when its function throws or gives a promise", async () => {
      const own = new Error("in the resource function");
      const throwing = appWith({ resource: () => { throw own; } }, (_req, res) => res.end());
      const promising = appWith({ resource: (() => Promise.reject(own)) as never }, (_req, res) => res.end());

      const answers = [await request(throwing.app).get("/"), await request(promising.app).get("/")];

      expect(answers.map(({ status }) => status)).toEqual([599, 599]);
      expect(throwing.errors).toEqual([own]);
      expect(promising.errors).toMatchObject([{ code: "INVALID_ARGUMENT" }]);
    });
  });

  test("a lock inside a lock: both are held while the inner handler runs, and released after it", async () => {
    const [outer, inner] = [freshName(), freshName()];
    const held: boolean[] = [];
    const handler = withLock(coterie, { resource: inner }, async (_req, res) => {
      held.push(await isFree(outer), await isFree(inner));
      res.end("served");
    });
    const { app } = appWith({ resource: outer }, handler as LockedHandler);

    const answer = await request(app).get("/");
    await Promise.all([untilFree(outer), untilFree(inner)]);

    expect([answer.text, held]).toEqual(["served", [false, false]]);
  });

  test("the response is its own again after the handler, for who answers next", async () => {
    const methods: boolean[] = [];
    const { app } = appWith(
      { resource: freshName() },
      async (_req, _res, next) => {
        await clock.sleep(1);
        next();
      },
      async (_req, res) => {
        await clock.sleep(30);
        methods.push(...["end", "write", "writeHead", "setHeader"].map((name) => Object.hasOwn(res, name)));
        res.end("by the next");
      },
    );

    const answer = await request(app).get("/");

    expect([answer.text, methods]).toEqual(["by the next", [false, false, false, false]]);
  });
});

test("an error of locks that the app's own handler passes on is answered by problems()", async () => {
  const [, express] = EXPRESS_VERSIONS[0]!;
  const app = express();
  const resource = freshName();
  app.all("/:waitMs", (req, res, next) => {
    const waitMs = Number(req.params["waitMs"]);
    coterie.locks.acquire(resource, { waitMs }).then(() => res.end(), next);
  });
  app.use(problems());
  const lock = await coterie.locks.acquire(resource);

  const [atOnce, waited] = [await request(app).get("/0"), await request(app).get("/40")];
  await lock.release();

  expect([atOnce.status, waited.status]).toEqual([423, 503]);
  expect(Number(atOnce.headers["retry-after"])).toBeGreaterThanOrEqual(1);
});
