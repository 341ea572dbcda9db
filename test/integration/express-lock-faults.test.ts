/** `withLock` when the lock is lost, cannot be had, or the whole process was asleep. */
import { once } from "node:events";
import { Agent, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";

import type { Express, NextFunction, Request, Response } from "express";
import request from "supertest";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import {
  type LockedHandler,
  lockOf,
  withLock,
  type WithLockOptions,
} from "../../middleware/express/index.ts";
import { type Coterie, systemEnv } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { EXPRESS_VERSIONS, OpenCoteries } from "../support/express-apps.ts";
import { Program } from "../support/program.ts";
import { ask } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;
/** In every URL of this file; must be in no answer. */
const SECRET = "planted-secret";
const LEASE_MS = 300;

let redis: RedisGroup;
const opened = new OpenCoteries();
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis({ count: 3, config: { requirepass: SECRET } });
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await once(server.close(), "close");
  }
  await opened.closeAll();
  await Promise.all(redis.instances.map((instance) => instance.restart({ wipe: true })));
});
afterAll(() => redis.stop());

describe.each(EXPRESS_VERSIONS)("in %s", (_version, express) => {
  /** One route whose handler is under a short lease, and what reached the app's own error handler. */
  function appWith(
    coterie: Coterie,
    handler: LockedHandler,
    options: Partial<WithLockOptions> = {},
  ): { readonly app: Express; readonly errors: unknown[] } {
    const app = express();
    const errors: unknown[] = [];
    app.all("/", withLock(coterie, { resource: "thing", leaseMs: LEASE_MS, ...options }, handler));
    app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      errors.push(error);
      if (res.headersSent) res.end(", ended by the app");
      else res.status(599).end(String(error));
    });
    return { app, errors };
  }

  async function listen(app: Express): Promise<Server> {
    const server = app.listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return server;
  }

  describe("a lock that is lost", () => {
    /** Takes the lock away from the request that has it; its next renewal finds out. */
    async function lose(coterie: Coterie, req: Request): Promise<void> {
      const { signal } = lockOf(req);
      await coterie.locks.forceRelease("thing");
      await until("the loss was noticed", () => signal.aborted);
    }

    test("aborts the signal and makes the answer 503, and what the handler says later goes nowhere", async () => {
      const coterie = await opened.open(redis.urls);
      let ran = false;
      const { app, errors } = appWith(coterie, async (req, res) => {
        await lose(coterie, req);
        await clock.sleep(20);
        res.status(201).set("x-late", "1").json({ late: true });
        ran = res.headersSent;
      });

      const answer = await request(app).get("/");
      await until("the handler has ended", () => ran);

      expect([answer.status, answer.body.code]).toEqual([503, "LOCK_LOST"]);
      expect(answer.headers["retry-after"]).toBe("1");
      expect(answer.headers).not.toHaveProperty("x-late");
      expect(answer.body.detail).toContain("may or may not have been done");
      expect(errors).toEqual([]);
      expectNoSecrets(answer.text);
    });

    test("does not invite a POST to ask again", async () => {
      const coterie = await opened.open(redis.urls);
      const { app } = appWith(coterie, (req) => lose(coterie, req));

      const answer = await request(app).post("/");

      expect([answer.status, answer.body.code]).toEqual([503, "LOCK_LOST"]);
      expect(answer.headers).not.toHaveProperty("retry-after");
    });

    const late: readonly (readonly [string, (res: Response) => void])[] = [
      ["json", (res) => res.json({ late: true })],
      ["setHeader and end", (res) => void res.setHeader("x-late", "1").end("late")],
      ["writeHead, write and end", (res) => void (res.writeHead(201).write("late"), res.end())],
      ["flushHeaders and removeHeader", (res) => (res.flushHeaders(), res.removeHeader("etag"))],
      ["a redirect", (res) => res.redirect("/elsewhere")],
      ["a piped stream", (res) => void Readable.from(["la", "te"]).pipe(res)],
      ["an end with a callback", (res) => void res.end("late", () => res.end())],
    ];
    test.each(late)("E4: makes an answer that comes too late by %s harmless", async (_name, answerLate) => {
      const coterie = await opened.open(redis.urls);
      let isDone = false;
      const { app, errors } = appWith(coterie, (req, res) => {
        lockOf(req).signal.addEventListener("abort", () => {
          systemEnv.timers.after(10, () => {
            answerLate(res);
            isDone = true;
          });
        });
        void coterie.locks.forceRelease("thing");
      });
      const server = await listen(app);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });

      const first = await getWith(agent, server);
      await until("it answered too late", () => isDone);
      await clock.sleep(20);
      const second = await getWith(agent, server);
      agent.destroy();

      // The same answer twice, over the same connection.
      expect(first).toMatchObject({ status: 503, code: "LOCK_LOST" });
      expect(second).toEqual(first);
      expect(errors).toEqual([]);
    });

    test("leaves an answer that had begun to the handler", async () => {
      const coterie = await opened.open(redis.urls);
      const { app } = appWith(coterie, async (req, res) => {
        res.write("begun");
        await lose(coterie, req);
        res.end(`, and ended after ${String(lockOf(req).signal.reason.code)}`);
      });

      const answer = await request(app).get("/");

      expect([answer.status, answer.text]).toEqual([200, "begun, and ended after LOCK_LOST"]);
    });

    test("is not the app's error when the handler stops because of it; another late error is warned of", async () => {
      const coterie = await opened.open(redis.urls);
      const warnings: (Error & { code?: string })[] = [];
      const onWarning = (warning: Error) => warnings.push(warning);
      process.on("warning", onWarning);
      const stops: readonly ((req: Request) => never)[] = [
        (req) => {
          throw lockOf(req).signal.reason as Error;
        },
        () => {
          throw new DOMException("the fetch was aborted", "AbortError");
        },
        () => {
          throw new Error("its own");
        },
      ];

      for (const stop of stops) {
        let isDone = false;
        const { app, errors } = appWith(coterie, async (req) => {
          try {
            await lose(coterie, req);
            stop(req);
          } finally {
            isDone = true;
          }
        });
        const answer = await request(app).get("/");
        await until("the handler has ended", () => isDone);
        expect([answer.status, errors]).toEqual([503, []]);
      }
      await until("it was warned of", () => warnings.length > 0);
      process.off("warning", onWarning);

      expect(warnings.map(({ code, message }) => [code, message])).toEqual([
        ["COTERIE_LATE_ERROR", "withLock: a handler failed after its answer: its own"],
      ]);
    });

    test("is not passed on to the next handler", async () => {
      const coterie = await opened.open(redis.urls);
      let isPassedOn = false;
      const app = express();
      app.get(
        "/",
        withLock(coterie, { resource: "thing", leaseMs: LEASE_MS }, async (req, _res, next) => {
          await lose(coterie, req);
          next();
        }),
        (_req, res) => {
          isPassedOn = true;
          res.end();
        },
      );

      const answer = await request(app).get("/");
      await clock.sleep(20);

      expect([answer.status, isPassedOn]).toEqual([503, false]);
    });

    test("is noticed at the answer when the event loop was blocked beyond the lease", async () => {
      const coterie = await opened.open(redis.urls);
      const { app } = appWith(coterie, (_req, res) => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LEASE_MS + 50);
        res.json({ done: true });
      });

      const answer = await request(app).get("/");

      expect([answer.status, answer.body.code]).toEqual([503, "LOCK_LOST"]);
    });

    test("because too few Redis are left makes the answer 503 no later than the lease ends", async () => {
      const coterie = await opened.open(redis.urls);
      let lostAfterMs = Number.NaN;
      const { app } = appWith(coterie, async (req) => {
        const startedAt = clock.now();
        const { signal } = lockOf(req);
        signal.addEventListener("abort", () => (lostAfterMs = clock.now() - startedAt));
        await Promise.all(redis.instances.map((instance) => instance.kill()));
        await until("the loss was noticed", () => signal.aborted);
      });

      const answer = await request(app).get("/");

      expect([answer.status, answer.body.code]).toEqual([503, "LOCK_LOST"]);
      expect(lostAfterMs).toBeGreaterThan(LEASE_MS / 2);
      // Two leases: it may have been renewed just before the last Redis died.
      expect(lostAfterMs).toBeLessThan(2 * LEASE_MS);
      expectNoSecrets(answer.text);
    });
  });

  test("without a quorum of Redis the answer is 503 with Retry-After, and the handler does not run", async () => {
    const coterie = await opened.open(redis.urls);
    let runs = 0;
    const { app, errors } = appWith(coterie, (_req, res) => {
      runs += 1;
      res.end();
    });
    await Promise.all(redis.instances.map((instance) => instance.kill()));

    const answer = await request(app).get("/");

    expect([answer.status, answer.body.code, runs, errors]).toEqual([503, "NO_QUORUM", 0, []]);
    expect(Number(answer.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expectNoSecrets(answer.text);
  });

  test("E1: a hung majority costs the first request its deadline, and the next ones nothing", async () => {
    const coterie = await opened.open(redis.urls);
    const { app } = appWith(coterie, (_req, res) => res.end(), { deadlineMs: 100 });
    await Promise.all(redis.instances.slice(0, 2).map((instance) => instance.pause()));

    const tookMs: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const startedAt = clock.now();
      const answer = await request(app).get("/");
      tookMs.push(clock.now() - startedAt);
      expect([answer.status, answer.body.code]).toEqual([503, "NO_QUORUM"]);
    }
    await Promise.all(redis.instances.slice(0, 2).map((instance) => instance.resume()));

    expect(tookMs[0]).toBeLessThan(1000);
    // The quickest, since the machine may be busy; each would take the deadline if it asked Redis.
    expect(Math.min(...tookMs)).toBeLessThan(50);
  });

  test("a closed coterie is answered 503", async () => {
    const coterie = await opened.open(redis.urls);
    const { app } = appWith(coterie, (_req, res) => res.end());
    await coterie.close();

    const answer = await request(app).get("/");

    expect([answer.status, answer.body.code]).toEqual([503, "CLOSED"]);
  });

  test("a lease that the locks do not allow is the programmer's error", async () => {
    const coterie = await opened.open(redis.urls);
    const { app, errors } = appWith(coterie, (_req, res) => res.end(), { leaseMs: 10_000_000 });

    const answer = await request(app).get("/");

    expect(answer.status).toBe(599);
    expect(errors).toMatchObject([{ code: "INVALID_OPTION" }]);
  });
});

test("a process that slept beyond its lease answers 503, although its handler is done before any timer", async () => {
  const program = new Program(["--input-type=module", "--eval", `
    import express from "express";
    import { openCoterie } from "coterie";
    import { withLock } from "coterie/express";
    const coterie = await openCoterie({ name: "test", instances: JSON.parse(process.env.URLS) });
    const app = express();
    app.get("/", withLock(coterie, { resource: "thing", leaseMs: 500 }, async (req, res) => {
      process.stdout.write("begun ");
      await new Promise((resolve) => setTimeout(resolve, 200));
      res.end("done");
      process.stdout.write("ended " + req.coterie.lock.signal.aborted);
    }));
    const server = app.listen(0, "127.0.0.1");
    server.once("listening", () => process.stdout.write("port " + server.address().port + " "));
  `], { URLS: JSON.stringify(redis.urls) });
  try {
    await program.printed("port ");
    const port = Number(/port (\d+)/.exec(program.output)?.[1]);
    const asking = ask({ address: () => ({ port }) } as Server);
    await program.printed("begun ");
    program.signal("SIGSTOP");
    await clock.sleep(900);
    program.signal("SIGCONT");

    const answer = await asking.answer;
    await program.printed("ended ");

    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([503, { code: "LOCK_LOST" }]);
    expect(program.output).toContain("ended true");
  } finally {
    program.destroy();
  }
});

function expectNoSecrets(text: string): void {
  const ports = redis.instances.map(({ port }) => String(port));
  const secrets = [SECRET, "127.0.0.1", "redis", "thing", "    at ", ...ports];
  expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
}

interface Got {
  readonly status: number;
  readonly code: unknown;
  /** The client's own port: the same one means the same connection. */
  readonly port: number | undefined;
}

async function getWith(agent: Agent, server: Server): Promise<Got> {
  const { port } = server.address() as AddressInfo;
  const asking = get({ host: "127.0.0.1", port, agent });
  const [incoming] = (await once(asking, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  const { localPort } = incoming.socket;
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const { code } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly code?: unknown };
  return { status: incoming.statusCode ?? 0, code, port: localPort };
}
