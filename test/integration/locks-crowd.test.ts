/**
 * What a crowd costs an instance: many resources in one lock, many waiters for one, waiters whose process is
 * silent, readers that died. Counted in commands, not in time: a script keeps all others waiting.
 */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import type { Lock, Locker } from "../../src/locks/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const lockers = new OpenLockers();
let redis: RedisGroup;
let raw: Redis;
beforeAll(async () => {
  redis = await startRedis({ count: 1 });
  raw = new Redis(redis.urls[0]!);
});
afterAll(async () => {
  raw.disconnect();
  await redis.stop();
});
afterEach(() => lockers.closeAll());

const SLOW = { deadlineMs: 20_000, ticketMs: 60_000, reserveMs: 500 };

/** How often the server ran these commands, scripts included, since the last call. */
async function commands(...names: readonly string[]): Promise<number> {
  const text = await raw.info("commandstats");
  await raw.config("RESETSTAT");
  const calls = names.map((name) => new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1]);
  return calls.reduce((sum, count) => sum + Number(count ?? 0), 0);
}

async function pair(): Promise<[Locker, Locker, string]> {
  const options = { ...SLOW, name: lockers.newName() };
  const { name } = options;
  return [await lockers.open(redis.urls, options), await lockers.open(redis.urls, options), name];
}

test("a lock on many resources costs a few commands for each, to wait for and to hand over", async () => {
  const [one, other] = await pair();
  const resources = Array.from({ length: 250 }, (_, n) => `r${n}`);
  const held = await one.acquire([...resources, "last"], { leaseMs: 20_000 });
  await commands();

  const waiting = other.acquire([...resources, "last"], { waitMs: 20_000 });
  await until("it waits", () => other.status().waiting === 1);
  const filing = await commands("get", "set", "zrange", "zadd");
  await held.release();
  const next = await waiting;
  const passing = await commands("get", "set", "zrange", "zadd");

  expect(filing).toBeLessThan(5 * 251);
  expect(passing).toBeLessThan(20 * 251);
  expect(next.remainingMs).toBeGreaterThan(0);
});

test("locks on many resources do not all leave in one call", async () => {
  const [one] = await pair();
  await (await one.acquire("warm")).release();
  await commands();
  const lists = ["a", "b", "c", "d"].map((list) => Array.from({ length: 400 }, (_, n) => `${list}${n}`));

  const locks = await Promise.all(lists.map((list) => one.acquire(list)));

  expect(await commands("evalsha")).toBe(2);
  expect(await Promise.all(locks.map((lock) => lock.release()))).toEqual([true, true, true, true]);
});

test("a first ticket that cannot be served yet is looked at once per release", async () => {
  const [one, other] = await pair();
  const resources = Array.from({ length: 250 }, (_, n) => `r${n}`);
  const blocker = await one.acquire("last", { leaseMs: 20_000 });
  const held = await one.acquire(resources, { leaseMs: 20_000 });
  const waiting = other.acquire([...resources, "last"], { waitMs: 20_000 });
  await until("it waits", () => other.status().waiting === 1);
  await commands();

  await held.release();
  const releasing = await commands("get", "set", "zrange");
  await blocker.release();

  expect(releasing).toBeLessThan(20 * 251);
  expect((await waiting).resources).toHaveLength(251);
});

test("handing over among a crowd of one process does not go through the crowd", async () => {
  const [one, other] = await pair();
  const held = await one.acquire("r", { leaseMs: 20_000 });
  const served: Lock[] = [];
  const waits = Array.from({ length: 1000 }, () =>
    other.acquire("r", { waitMs: 20_000, leaseMs: 20_000 }).then((lock) => served.push(lock)),
  );
  const ended = Promise.allSettled(waits);
  await until("all wait", () => other.status().waiting === 1000);
  await commands();

  await held.release();
  for (let turn = 0; turn < 20; turn += 1) {
    await until("the next one has it", () => served.length > turn);
    await served[turn]!.release();
  }
  const looks = await commands("zrange");
  other.destroy();
  await ended;

  expect(looks).toBeLessThan(20 * 20);
});

test("a crowd whose process is suspect is not gone through again and again", async () => {
  const [one, other, name] = await pair();
  const key = `${name}:lock:r`;
  const suspect = "f".repeat(16);
  const tickets = Array.from({ length: 1000 }, (_, n) => ["1", `${suspect}${String(n).padStart(12, "0")}x`]);
  await raw.set(`${name}:client:${suspect}`, "-11", "PX", 60_000);
  await raw.set(`${name}:waits`, "1", "PX", 60_000);
  await raw.zadd(`${name}:queue:${key}`, ...tickets.flat());
  await raw.pexpire(`${name}:queue:${key}`, 60_000);
  await (await one.acquire("r")).release();
  await commands();

  for (let turn = 0; turn < 20; turn += 1) {
    const lock = await other.acquire("r");
    await lock.release();
  }

  expect(await commands("zrange")).toBeLessThan(20 * 20);
});

test("readers that died do not pile up beside others that read", async () => {
  const [one, other, name] = await pair();
  const key = `${name}:rw:page`;
  const staying = await one.readWrite("page").read.acquire();
  for (let n = 0; n < 30; n += 1) {
    const base = `${"d".repeat(16)}${String(n).padStart(12, "0")}`;
    await raw.zadd(`${name}:readers:${key}`, 1, base);
    await raw.hset(`${name}:readnums:${key}`, base, "00000001");
  }

  for (let n = 0; n < 20; n += 1) await (await other.readWrite("page").read.acquire()).release();

  expect(await raw.zcard(`${name}:readers:${key}`)).toBe(1);
  expect(await raw.hlen(`${name}:readnums:${key}`)).toBe(1);
  expect(await staying.release()).toBe(true);
});

test("a plain key of another type is held by somebody, and disturbs nobody else", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name, keys: "plain" });
  await raw.hset(`${name}-data`, "a", "1");

  const [refused, beside] = await Promise.all([
    rejection(() => locker.acquire(`${name}-data`, { waitMs: 0 }), "LOCKED"),
    locker.acquire(`${name}-free`, { waitMs: 0 }),
  ]);

  expect(refused.details).toMatchObject({ refused: 1 });
  expect(await beside.release()).toBe(true);
  expect(await raw.hgetall(`${name}-data`)).toEqual({ a: "1" });
});
