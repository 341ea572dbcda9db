import { afterEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type Lock, type Locker, type LockerOptions, openLocker } from "../../src/locks/index.ts";
import { startRedis } from "../../src/testing/index.ts";
import { startClockedRedis } from "../support/clock-shim.ts";
import { outcomeOf, Redlocks, sleep } from "../support/redlocks.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

/** What other packages do wrong and no API of redlock's is needed to show, held against the Locker itself. */

/** Once enough instances may vote again; until then too few answer, which is an error at once. */
async function acquireLate(locker: Locker): Promise<Lock> {
  for (let n = 0; n < 100; n += 1) {
    const { value } = await outcomeOf(locker.acquire("r", { waitMs: 5000, leaseMs: 500 }));
    if (value !== undefined) return value;
    await sleep(50);
  }
  throw new Error("it was never granted again");
}

/** Both sides of a double hold, for the message of the test that finds one. */
function clash(...locks: readonly Lock[]): string {
  const words = locks.map(({ fencingToken, remainingMs, votes }) =>
    JSON.stringify({ fencingToken, remainingMs, votes: votes.map(({ vote }) => vote) }),
  );
  return words.join(" beside ");
}

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
  const late = await acquireLate(second);

  expect(heldThen).toBe(true);
  expect(oldSecond.error).toBeUndefined();
  expect(early.state).toBe("rejected");
  expect(lock.lost).toBe(true);
  expect(late.fencingToken).toBeGreaterThan(lock.fencingToken);
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
  const late = await acquireLate(second);

  expect(heldThen).toBe(true);
  expect(oldSecond.error).toBeUndefined();
  expect(early.state).toBe("rejected");
  expect(late.fencingToken).toBeGreaterThan(lock.fencingToken);
});

test("C2 and C1 under load: with a majority emptied again and again, no two hold at once", async () => {
  redis = Redlocks.on(await startRedis({ count: 5 }));
  const { clock } = systemEnv;
  const inside = new Set<Lock>();
  let grants = 0;
  let isDone = false;
  const clashes: string[] = [];
  const tooLate: number[] = [];
  const work = async (locker: Locker): Promise<void> => {
    while (!isDone) {
      const { value: lock } = await outcomeOf(locker.acquire("r", { leaseMs: 300, waitMs: 1000 }));
      if (lock === undefined) {
        await sleep(20);
        continue;
      }
      grants += 1;
      // One that is over by its own word may not have come round to leaving yet.
      for (const other of inside) if (other.remainingMs > 0) clashes.push(clash(other, lock));
      inside.add(lock);
      if (lock.remainingMs < 50) tooLate.push(lock.remainingMs);
      const leavesAt = clock.now() + 30;
      while (!lock.lost && clock.now() < leavesAt) await sleep(5);
      inside.delete(lock);
      await lock.release();
    }
  };
  const untilGranted = (count: number): Promise<void> => {
    const enough = grants + count;
    return until(`${count} more grants`, () => grants >= enough, 15_000);
  };
  const wipe = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await untilGranted(8);
      await Promise.all(redis.group.instances.slice(2).map((server) => server.restart({ wipe: true })));
    }
    await untilGranted(8);
  };

  const all = await Promise.all(Array.from({ length: 4 }, () => open({ leaseMsMax: 400 })));
  const working = all.map(work);
  await wipe().finally(() => (isDone = true));
  await Promise.all(working);

  expect(clashes).toEqual([]);
  expect(tooLate).toEqual([]);
});
