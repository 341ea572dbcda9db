/** Lock groups that are odd: of an even size, of one server twice, of replicas, of too few that live. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { CoterieError } from "../../src/errors.ts";
import { type Lock, openLocker } from "../../src/locks/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let clients: Redis[];
const opened = new OpenLockers();

beforeAll(async () => {
  redis = await startRedis({ count: 5, provider: "process" });
  clients = redis.urls.map((url) => new Redis(url));
});
afterEach(async () => {
  await opened.closeAll();
  await Promise.all(clients.map((client) => client.flushall()));
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await redis.stop();
});

describe("an even number of instances", () => {
  test.each([2, 4])("of %i needs more than half of them", async (count) => {
    const locker = await opened.open(redis.urls.slice(0, count));
    const other = await opened.open(redis.urls.slice(0, count));
    const needed = count / 2 + 1;

    const lock = await locker.acquire("r");
    const error = await rejection(() => other.acquire("r", { waitMs: 0 }), "LOCKED");

    expect(lock.votes.filter(({ vote }) => vote === "granted").length).toBeGreaterThanOrEqual(needed);
    expect(error.details["needed"]).toBe(needed);
  });

  /** Two lockers, each with wires of its own; the first calls of each meet the instances crosswise. */
  async function splitVote(waitMs: number): Promise<PromiseSettledResult<Lock>[]> {
    const wires = await Promise.all(
      [0, 1].map(() => Promise.all([0, 1].map((at) => TcpProxy.open(redis.instances[at]!)))),
    );
    try {
      const lockers = await Promise.all(wires.map((pair) => opened.open(pair.map(({ url }) => url))));
      for (const locker of lockers) await locker.using("warm", () => undefined);
      wires[0]![1]!.hold("toServer");
      wires[1]![0]!.hold("toServer");
      const startedAt = systemEnv.clock.now();
      const calls = lockers.map((locker) =>
        locker.acquire("r", { waitMs }).finally(() => {
          expect(systemEnv.clock.now() - startedAt).toBeLessThan(2_000);
        }),
      );
      const held = [wires[0]![1]!, wires[1]![0]!];
      const isSplit = (): boolean => held.every((wire) => wire.counts("toServer").waitingBytes > 0);
      await until("each has asked both", isSplit);
      await systemEnv.clock.sleep(50);
      for (const wire of wires.flat()) wire.pass();
      const first = await Promise.race(calls).catch(() => undefined);
      await first?.release();
      return await Promise.allSettled(calls);
    } finally {
      await opened.closeAll();
      await Promise.all(wires.flat().map((wire) => wire.stop()));
    }
  }

  test("splits: those that do not wait are both refused at once", async () => {
    const outcomes = await splitVote(0);

    const reasons = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : outcome));
    expect(reasons.map((reason) => CoterieError.is(reason, "LOCKED"))).toEqual([true, true]);
  });

  test("splits: of those that wait one gives way at once, and both are served in turn", async () => {
    const outcomes = await splitVote(3_000);

    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  });
});

describe("a group that is none", () => {
  test.each<[string, unknown, RegExp]>([
    ["no options", undefined, /instances/],
    ["no instances", { instances: [] }, /instances/],
    ["instances that are no list", { instances: "redis://localhost" }, /instances/],
    ["the same id twice", { instances: ["x", "y"].map((at) => ({ id: "a", url: `redis://${at}` })) }, /"a"/],
    ["the same address twice", { instances: ["redis://h:1", "redis://h:1"] }, /h:1/],
    ["an unknown option", { instances: ["redis://x"], retryCount: 3 }, /retryCount/],
    ["a name with a colon", { instances: ["redis://x"], name: "a:b" }, /name/],
    ["an empty name", { instances: ["redis://x"], name: "" }, /name/],
    ["a leaseMsMax of zero", { instances: ["redis://x"], leaseMsMax: 0 }, /leaseMsMax/],
    ["a fractional leaseMsMax", { instances: ["redis://x"], leaseMsMax: 1.5 }, /leaseMsMax/],
    ["a durable instance that is not there", { instances: ["redis://x"], durable: ["b"] }, /durable.*"b"/],
    ["other keys", { instances: ["redis://x"], keys: "raw" }, /keys/],
    ["a deadline of zero", { instances: ["redis://x"], deadlineMs: 0 }, /deadlineMs/],
  ])("%s is refused at once", async (_, options, text) => {
    const error = await rejection(() => openLocker(options as never), "INVALID_OPTION");

    expect(error.message).toMatch(text);
    expect(error.message).not.toContain("undefined is not");
  });

  test("the same server under two addresses counts once, and the reason is told", async () => {
    await using wire = await TcpProxy.open(redis.instances[0]!);
    const urls = [redis.urls[0]!, wire.url];
    const locker = await opened.open([...urls, redis.urls[1]!]);

    const lock = await locker.acquire("r");
    const error = await rejection(() => opened.open(urls, { name: "two" }), "INSTANCE_REFUSED");
    await opened.closeAll();

    const granted = lock.votes.filter(({ vote }) => vote === "granted").map(({ instance }) => instance);
    expect(granted.length).toBe(2);
    expect(granted).toContain("c");
    expect(error.message).toMatch(/same server/);
  });

  test("a replica, and one that evicts, are refused with the reason; the others are a quorum", async () => {
    const [, , replica, evicting] = clients as [Redis, Redis, Redis, Redis];
    const { host, port } = redis.instances[0]!;
    await replica.replicaof(host, port);
    await evicting.config("SET", "maxmemory-policy", "allkeys-lru");
    try {
      const locker = await opened.open(redis.urls);

      const lock = await locker.acquire("r");
      const members = JSON.stringify(locker.status().group);

      expect(lock.votes.filter(({ vote }) => vote === "granted")).toHaveLength(3);
      expect(members).toMatch(/replica/);
      expect(members).toMatch(/allkeys-lru/);
    } finally {
      await replica.replicaof("NO", "ONE");
      await evicting.config("SET", "maxmemory-policy", "noeviction");
    }
  });
});

describe("fewer instances than a quorum at the start", () => {
  test("open the locker all the same; acquires fail in time, and work once they are there", async () => {
    await using own = await startRedis({ count: 3, provider: "process" });
    await Promise.all([0, 1].map((at) => own.instances[at]!.kill()));
    const startedAt = systemEnv.clock.now();
    const locker = await opened.open(own.urls, { leaseMsMax: 500 });
    const openedMs = systemEnv.clock.now() - startedAt;

    const askedAt = systemEnv.clock.now();
    const error = await rejection(() => locker.acquire("r", { waitMs: 0 }), "NO_QUORUM");
    const refusedMs = systemEnv.clock.now() - askedAt;
    await Promise.all([0, 1].map((at) => own.instances[at]!.restart()));
    let lock: Lock | undefined;
    for (let tries = 0; lock === undefined && tries < 200; tries += 1) {
      lock = await locker.acquire("r", { leaseMs: 500, waitMs: 5_000 }).catch(() => undefined);
      await systemEnv.clock.sleep(20);
    }

    expect(openedMs).toBeLessThan(2_000);
    expect(refusedMs).toBeLessThan(1_000);
    expect(error.retryable).toBe(true);
    expect(error.message).toMatch(/0 of 3|1 of 3/);
    expect(lock?.remainingMs).toBeGreaterThan(0);
    await opened.closeAll();
  });

  test("of which not one answers is refused in time", async () => {
    await using own = await startRedis({ count: 3, provider: "process" });
    await Promise.all(own.instances.map((instance) => instance.kill()));
    const startedAt = systemEnv.clock.now();

    const error = await rejection(() => opened.open(own.urls), "UNREACHABLE");

    expect(systemEnv.clock.now() - startedAt).toBeLessThan(2_000);
    expect(error.retryable).toBe(true);
    expect(error.message).toMatch(/ECONNREFUSED/);
  });

  test("that are silent can be given up before the opening is over", async () => {
    await using own = await startRedis({ count: 3, provider: "process" });
    await Promise.all(own.instances.map((instance) => instance.pause()));
    const controller = new AbortController();
    const opening = opened.open(own.urls, { signal: controller.signal, connectDeadlineMs: 20_000 });
    const startedAt = systemEnv.clock.now();
    controller.abort("enough");

    const error = await rejection(() => opening, "ABORTED");

    expect(systemEnv.clock.now() - startedAt).toBeLessThan(500);
    expect(error.cause).toBe("enough");
  });
});
