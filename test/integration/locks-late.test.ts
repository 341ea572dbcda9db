/**
 * What comes late, on real Redis: an acquire that an instance answers after its lock was released, and an
 * instance that comes back after the lock there has ended.
 */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
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
