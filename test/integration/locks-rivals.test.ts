import { afterEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type Locker, type LockerOptions, openLocker } from "../../src/locks/index.ts";
import { startRedis } from "../../src/testing/index.ts";
import { startClockedRedis } from "../support/clock-shim.ts";
import { outcomeOf, Redlocks, sleep } from "../support/redlocks.ts";
import { rejection } from "../support/reject.ts";

/** What other packages do wrong and no API of redlock's is needed to show, held against the Locker itself. */

/** Well below the time of a test: for so long an instance that lost its locks abstains. */
const LEASE_MS_MAX = 1200;

let redis: Redlocks;
const lockers: Locker[] = [];

afterEach(async () => {
  for (const locker of lockers.splice(0)) locker.destroy();
  await redis.stop();
});

async function open(options: Partial<LockerOptions> = {}): Promise<Locker> {
  const locker = await openLocker({
    instances: redis.group.urls,
    leaseMsMax: LEASE_MS_MAX,
    assumeNew: true,
    deadlineMs: 150,
    connectDeadlineMs: 400,
    healthMs: 100,
    ...options,
  });
  lockers.push(locker);
  return locker;
}

test("B2, B3: a frozen minority costs one deadline, and a split among the rest is an answer", async () => {
  redis = Redlocks.on(await startRedis({ count: 3 }));
  const [first, second] = [await open(), await open()];
  const held = await first.acquire("held");
  await redis.server(2).pause();

  const free = await outcomeOf(second.acquire("free", { waitMs: 0 }));
  const refused = await rejection(() => second.acquire("held", { waitMs: 0 }), "LOCKED");
  const released = await outcomeOf(held.release());
  await redis.server(2).resume();

  expect(free.state).toBe("resolved");
  expect(free.tookMs).toBeLessThan(150);
  expect(refused.details).toMatchObject({ refused: 2, needed: 2 });
  expect(released).toMatchObject({ state: "resolved", value: true });
  expect(released.tookMs).toBeLessThan(300);
});

test("C2: what a restart without data forgot is not granted again while it may be held", async () => {
  redis = Redlocks.on(await startRedis({ count: 5 }));
  const [old1, old2] = [redis.old5({ retryCount: 0 }), redis.old5({ retryCount: 0 })];
  const [first, second] = [await open(), await open()];
  const oldLock = await old1.acquire(["old"], 30_000);
  const lock = await first.acquire("r", { leaseMs: LEASE_MS_MAX, renew: false });

  const [, , ...wiped] = redis.group.instances;
  await Promise.all(wiped.map((server) => server.restart({ wipe: true })));
  const oldSecond = await outcomeOf(old2.acquire(["old"], 1000, { retryCount: 20, retryDelay: 50 }));
  const early = await outcomeOf(second.acquire("r", { waitMs: 0 }));
  const heldThen = !lock.lost && oldLock.expiration > Date.now();
  const late = await outcomeOf(second.acquire("r", { waitMs: 10_000, leaseMs: 500 }));

  expect(heldThen).toBe(true);
  expect(oldSecond.error).toBeUndefined();
  expect(early.state).toBe("rejected");
  expect(late.error).toBeUndefined();
  expect(lock.lost).toBe(true);
  expect(late.value?.fencingToken).toBeGreaterThan(lock.fencingToken);
});

test("C3: what a leaping clock expired is not granted again while it may be held", async () => {
  const clocked = await startClockedRedis(5);
  redis = Redlocks.on(clocked.group);
  const [old1, old2] = [redis.old5({ retryCount: 0 }), redis.old5({ retryCount: 0 })];
  const [first, second] = [await open(), await open()];
  // Each has talked to every instance before the leap, and so can notice it.
  await (await second.acquire("warm")).release();
  const oldLock = await old1.acquire(["old"], 1500);
  const lock = await first.acquire("r", { leaseMs: LEASE_MS_MAX, renew: false });

  // Until it stands on all of them, those included that were slower than the quorum.
  await sleep(50);
  for (const at of [2, 3, 4]) clocked.leap(at, 2000);
  const oldSecond = await outcomeOf(old2.acquire(["old"], 1500, { retryCount: 5, retryDelay: 30 }));
  const early = await outcomeOf(second.acquire("r", { waitMs: 0 }));
  const heldThen = !lock.lost && oldLock.expiration > Date.now();
  const late = await outcomeOf(second.acquire("r", { waitMs: 10_000, leaseMs: 500 }));

  expect(heldThen).toBe(true);
  expect(oldSecond.error).toBeUndefined();
  expect(early.state).toBe("rejected");
  expect(late.error).toBeUndefined();
  expect(late.value?.fencingToken).toBeGreaterThan(lock.fencingToken);
});

test("C2 and C1 under load: with a majority emptied again and again, no two hold at once", async () => {
  redis = Redlocks.on(await startRedis({ count: 5 }));
  const { clock } = systemEnv;
  const stopAt = clock.now() + 7000;
  let inside = 0;
  let grants = 0;
  const clashes: string[] = [];
  const tooLate: number[] = [];
  const work = async (locker: Locker): Promise<void> => {
    while (clock.now() < stopAt) {
      const outcome = await outcomeOf(locker.acquire("r", { leaseMs: 300, waitMs: 1000 }));
      const lock = outcome.value;
      if (lock === undefined) {
        await sleep(20);
        continue;
      }
      inside += 1;
      grants += 1;
      if (inside > 1) clashes.push(`grant ${grants} beside another`);
      if (lock.remainingMs < 75) tooLate.push(lock.remainingMs);
      const until = clock.now() + 30;
      while (!lock.lost && clock.now() < until) await sleep(5);
      inside -= 1;
      await lock.release();
    }
  };
  const wipe = async (): Promise<void> => {
    while (clock.now() < stopAt - 1000) {
      await sleep(2000);
      await Promise.all(redis.group.instances.slice(2).map((server) => server.restart({ wipe: true })));
    }
  };

  const options = { leaseMsMax: 400 };
  const all = await Promise.all(Array.from({ length: 4 }, () => open(options)));
  await Promise.all([wipe(), ...all.map(work)]);

  expect(clashes).toEqual([]);
  expect(tooLate).toEqual([]);
  expect(grants).toBeGreaterThan(30);
});
