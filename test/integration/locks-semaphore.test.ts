/** Semaphores where instances are slow or may not vote yet, and where callers differ in what they say. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";

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

test("a semaphore does not wait for the slowest instance", async () => {
  const options = { name: lockers.newName(), deadlineMs: 3000, healthMs: 10_000, connectDeadlineMs: 10_000 };
  const locker = await lockers.open(redis.urls, options);
  const semaphore = locker.semaphore("pool", { permits: 2 });

  await raws[2]!.client("PAUSE", 2000, "ALL");
  const startedAt = clock.now();
  const one = await semaphore.acquire();
  const other = await semaphore.acquire();
  const none = await semaphore.tryAcquire();
  const tookMs = clock.now() - startedAt;
  await raws[2]!.client("UNPAUSE");

  expect(new Set([one.permit, other.permit])).toEqual(new Set([0, 1]));
  expect(none).toBeUndefined();
  expect(tookMs).toBeLessThan(1800);
});

test("a caller that means another number of permits does not keep the number alive", async () => {
  const name = lockers.newName();
  const locker = await lockers.open(redis.urls, { name });
  await (await locker.semaphore("pool", { permits: 2 }).acquire()).release();
  for (const raw of raws) await raw.pexpire(`${name}:permits:pool`, 60_000);

  await rejection(() => locker.semaphore("pool", { permits: 3 }).acquire(), "CONFIG_MISMATCH");

  for (const raw of raws) expect(await raw.pttl(`${name}:permits:pool`)).toBeLessThanOrEqual(60_000);
});

test("a caller that waits long enough outlasts the wait of instances that are new", async () => {
  const options = { name: lockers.newName(), leaseMsMax: 500, assumeNew: false };
  const locker = await lockers.open(redis.urls, options);

  const permit = await locker.semaphore("pool", { permits: 2 }).acquire({ waitMs: 10_000, leaseMs: 400 });

  expect(permit.remainingMs).toBeGreaterThan(0);
});

test("options are checked before anything is asked for", async () => {
  const locker = await lockers.open(redis.urls, { name: lockers.newName() });
  const semaphore = locker.semaphore("pool", { permits: 2 });

  const error = await rejection(() => semaphore.acquire({ waitMs: -5 }), "INVALID_OPTION");
  await rejection(() => semaphore.acquire(null as never), "INVALID_OPTION");

  expect(error.message).toContain("waitMs");
  expect(locker.status().counters.asked).toBe(0);
});
