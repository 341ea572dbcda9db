/**
 * What comes late, on real Redis: an acquire that is answered after its lock was released, an instance
 * that comes back after the lock there has ended, answers too late for one of those that asked together.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;
const lockers = new OpenLockers();
let redis: RedisGroup;
let raws: Redis[];
beforeAll(async () => {
  redis = await startRedis({ count: 3 });
  raws = redis.urls.map((url) => new Redis(url));
});
afterAll(async () => {
  for (const raw of raws) raw.disconnect();
  await redis.stop();
});
afterEach(() => lockers.closeAll());

async function untilExists(raw: Redis, key: string): Promise<void> {
  const giveUpAt = clock.now() + 5000;
  while ((await raw.exists(key)) === 0) {
    if (clock.now() > giveUpAt) throw new Error(`not within 5,000 ms: ${key}`);
    await clock.sleep(5);
  }
}

test("a release takes back the ticket of an acquire that was not answered yet", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name });
  const key = `${name}:lock:r`;
  const late = raws[2]!;
  await late.set(key, `${"e".repeat(28)}00000001`, "PX", 60_000);
  await (await locker.acquire("other")).release();

  await late.client("PAUSE", 200, "ALL");
  const lock = await locker.acquire("r", { leaseMs: 5000 });
  await lock.release();
  await locker.acquire("another");
  await untilExists(late, `${name}:lock:another`);

  expect(lock.votes.filter(({ vote }) => vote === "granted")).toHaveLength(2);
  expect(await late.zcard(`${name}:queue:${key}`)).toBe(0);
});

test("a lock is renewed again where it ended because the instance was away", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name });
  const key = `${name}:lock:r`;
  const lock = await locker.acquire("r", { leaseMs: 300 });

  await until("it stands everywhere", () => lock.votes.every(({ vote }) => vote === "granted"));
  await raws[0]!.del(key);

  await untilExists(raws[0]!, key);
  expect(lock.lost).toBe(false);
});

test("a short deadline of one caller is no deadline for the others that ask with it", async () => {
  await using proxy = await TcpProxy.open({ host: "127.0.0.1", port: Number(new URL(redis.urls[0]!).port) });
  const locker = await lockers.open([proxy.url], { name: lockers.newName() });
  await (await locker.acquire("warm")).release();
  proxy.delay("toClient", 150);

  const startedAt = clock.now();
  const [error, tookMs, lock] = await Promise.all([
    rejection(() => locker.acquire("short", { waitMs: 0, deadlineMs: 20 }), "NO_QUORUM"),
    rejection(() => locker.acquire("brief", { waitMs: 0, deadlineMs: 30 }), "NO_QUORUM").then(
      () => clock.now() - startedAt,
    ),
    locker.acquire("long", { waitMs: 0 }),
  ]);
  proxy.pass("toClient");

  expect(error.message).toContain("did not answer within 20 ms");
  expect(tookMs).toBeLessThan(140);
  expect(lock.remainingMs).toBeGreaterThan(0);
  expect(await lock.release()).toBe(true);
});

test("renewals asked for faster than they are answered are confirmed all the same", async () => {
  await using proxy = await TcpProxy.open({ host: "127.0.0.1", port: Number(new URL(redis.urls[0]!).port) });
  const locker = await lockers.open([proxy.url], { name: lockers.newName() });
  const lock = await locker.acquire("r", { leaseMs: 5000 });
  proxy.delay("toClient", 60);
  let confirmed = 0;

  const renewals: Promise<number>[] = [];
  for (let n = 0; n < 20 && confirmed === 0; n += 1) {
    renewals.push(lock.renew().then(() => (confirmed += 1)));
    await clock.sleep(20);
  }
  const confirmedMeanwhile = confirmed;
  proxy.pass("toClient");
  await Promise.all(renewals);

  expect(confirmedMeanwhile).toBeGreaterThan(0);
  expect(await lock.release()).toBe(true);
});

test("a lock that is granted while its locker closes is released with the others", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name });
  let closing: Promise<void> | undefined;
  const close = (): void => {
    closing ??= locker.close();
  };

  subscribe("coterie:lock:acquired", close);
  const [one, other] = await Promise.allSettled([locker.acquire("one"), locker.acquire("other")]);
  unsubscribe("coterie:lock:acquired", close);
  await closing;

  expect(other).toMatchObject({ status: "rejected", reason: { code: "CLOSED" } });
  expect(one.status).toBe("fulfilled");
  for (const raw of raws) expect(await raw.keys(`${name}:lock:*`)).toEqual([]);
});

test("of many that acquire at once most ask a quorum, and what is kept stands on all instances soon", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name, spareMs: 300 });
  const count = async (): Promise<number> => {
    const keys = await Promise.all(raws.map((raw) => raw.keys(`${name}:lock:*`)));
    return keys.flat().length;
  };

  const asked = Array.from({ length: 16 }, (_, n) => locker.acquire(`r${n}`, { leaseMs: 20_000 }));
  const locks = await Promise.all(asked);
  const atFirst = await count();
  await clock.sleep(600);
  const later = await count();
  const released = await Promise.all(locks.map((lock) => lock.release()));

  // The first eight ask all three, the ninth does so now and then, the others just two.
  expect(atFirst).toBe(9 * 3 + 7 * 2);
  expect(later).toBe(16 * 3);
  expect(new Set(released)).toEqual(new Set([true]));
  await until("nothing is left", () => locker.status().held === 0);
  expect(await count()).toBe(0);
});

test("a lock that just a quorum was asked for outlives the loss of one of them once it is kept", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name, spareMs: 50 });
  const asked = Array.from({ length: 16 }, (_, n) => locker.acquire(`r${n}`, { leaseMs: 900 }));
  const locks = await Promise.all(asked);
  await clock.sleep(300);

  // Its renewals find it on the two others.
  await raws[0]!.client("PAUSE", 1500, "ALL");
  await clock.sleep(1400);

  expect(locks.map(({ lost }) => lost)).not.toContain(true);
  await Promise.all(locks.map((lock) => lock.release()));
});

test("all that is held is listed while one instance does not answer, and a list is refused without a majority", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name, deadlineMs: 200 });
  await Promise.all(["a", "b", "c"].map((resource) => locker.acquire(resource, { leaseMs: 20_000 })));
  const list = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { resource } of locker.list()) found.push(resource);
    return found.toSorted();
  };

  await raws[0]!.client("PAUSE", 1000, "ALL");
  const withTwo = await list();
  await raws[1]!.client("PAUSE", 1000, "ALL");
  const withOne = await rejection(list, "NO_QUORUM");

  expect(withTwo).toEqual(["a", "b", "c"]);
  expect(withOne.message).toContain("2 needed");
});
