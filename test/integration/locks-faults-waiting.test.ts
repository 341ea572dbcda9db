/**
 * Waiting for locks while holders, other waiters, subscriptions and instances go away: whoever lives and
 * waits is served, soon after the last obstacle is gone, and nobody sleeps for ever.
 */
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { CoterieError } from "../../src/errors.ts";
import type { Lock, Locker, LockerOptions } from "../../src/locks/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { Watchdog } from "../../src/testing/redis/watchdog.ts";
import type { LockWork } from "../support/lock-events.ts";
import { LockProcess } from "../support/lock-process.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { DIRECTIONS, TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const LEASE_MS = 500;
const LEASE_MS_MAX = 600;
const LONG_MS = 20_000;
/** What a hand-over may take on a busy machine, when nothing but messages is needed. */
const SOON_MS = 1_000;
const OPTIONS = { name: "run", leaseMsMax: LEASE_MS_MAX, deadlineMs: 250 };
const WAITS = { leaseMs: LEASE_MS, waitMs: LONG_MS };

let redis: RedisGroup;
let settings: Partial<LockerOptions>;
let watchdog: Watchdog;
const opened = new OpenLockers();
const processes: LockProcess[] = [];

beforeEach(() => {
  watchdog = new Watchdog({});
});
afterEach(async () => {
  await opened.closeAll();
  await Promise.all(processes.splice(0).map((process) => process.kill()));
  await redis.stop();
  await watchdog.close();
});

interface Stage {
  readonly holder: Locker;
  readonly waiter: Locker;
}

async function stage(instances: number, options: Partial<LockerOptions> = {}): Promise<Stage> {
  redis = await startRedis({ count: instances, provider: "process" });
  settings = { ...OPTIONS, ...options };
  const [holder, waiter] = await Promise.all([0, 1].map(() => opened.open(redis.urls, settings)));
  return { holder: holder as Locker, waiter: waiter as Locker };
}

/** A process that asks once for each of its locks and keeps what it gets. */
async function start(...work: readonly Partial<LockWork>[]): Promise<LockProcess> {
  const instances = redis.urls.map((url, at) => ({ id: "abcdefgh"[at]!, url }));
  const once = { kind: "lock", resource: "r", holdMs: 10 * LONG_MS, roundsMax: 1, ...WAITS } as const;
  const locker = { ...settings, instances, healthMs: 100 };
  const plan = { locker, work: work.map((part) => ({ ...once, ...part })) };
  const process = new LockProcess(`process ${processes.length}`, plan, watchdog);
  processes.push(process);
  await process.ready();
  return process;
}

function holds(process: LockProcess, count = 1): Promise<void> {
  const acquired = (): number => process.events.filter(({ event }) => event === "acquired").length;
  return until(`it holds ${count}`, () => acquired() >= count);
}

/** Until so many tickets stand in the longest queue of the resource. */
async function waitersOf(locker: Locker, count: number, resource = "r"): Promise<void> {
  const giveUpAt = systemEnv.clock.now() + 5_000;
  for (;;) {
    const { waiters } = await locker.inspect(resource);
    if (waiters >= count) return;
    if (systemEnv.clock.now() > giveUpAt) throw new Error(`${waiters} wait, not ${count}`);
    await systemEnv.clock.sleep(5);
  }
}

function isWaiting(locker: Locker, count = 1): Promise<void> {
  return until(`${count} wait`, () => locker.status().waiting >= count);
}

async function elapsedMs(act: () => Promise<unknown>): Promise<number> {
  const startedAt = systemEnv.clock.now();
  await act();
  return systemEnv.clock.now() - startedAt;
}

/** While too few instances answer or may vote, an acquire says so soon; then it is asked again. */
async function acquireAtLast(locker: Locker): Promise<Lock> {
  for (;;) {
    try {
      return await locker.acquire("r", WAITS);
    } catch (error) {
      if (!CoterieError.is(error, "NO_QUORUM") && !CoterieError.is(error, "ABSTAINING")) throw error;
      await systemEnv.clock.sleep(10);
    }
  }
}

async function eachClient(act: (client: Redis) => Promise<unknown>): Promise<void> {
  for (const url of redis.urls) {
    const client = new Redis(url, { protocol: 2 });
    await act(client);
    client.disconnect();
  }
}

describe.each([1, 3, 5])("in a group of %i", (instances) => {
  test("a killed process before us in the queue costs nothing", async () => {
    const { holder, waiter } = await stage(instances);
    const lock = await holder.acquire("r", WAITS);
    const dead = await start({ workers: 5 });
    await waitersOf(holder, 5);
    const ours = waiter.acquire("r", WAITS);
    await waitersOf(holder, 6);

    await dead.kill();
    await systemEnv.clock.sleep(50);
    const tookMs = await elapsedMs(async () => {
      await lock.release();
      await ours;
    });

    expect(tookMs).toBeLessThan(SOON_MS);
  });

  test("a stopped process before us in the queue is passed over, and served when it goes on", async () => {
    const { holder, waiter } = await stage(instances);
    const lock = await holder.acquire("r", WAITS);
    const stopped = await start({ workers: 5, holdMs: 5 });
    await waitersOf(holder, 5);
    const ours = waiter.acquire("r", WAITS);
    await waitersOf(holder, 6);

    stopped.signal("SIGSTOP");
    const tookMs = await elapsedMs(async () => {
      await lock.release();
      await ours;
    });
    stopped.signal("SIGCONT");
    await (await ours).release();
    await holds(stopped, 5);

    expect(tookMs).toBeLessThan(SOON_MS);
  });

  test.each<[string, (process: LockProcess) => unknown]>([
    ["killed", (process) => process.kill()],
    ["stopped", (process) => process.signal("SIGSTOP")],
  ])("a holder that is %s is waited for until its lease ends, and not longer", async (_, end) => {
    const { waiter } = await stage(instances);
    const holder = await start({});
    await holds(holder);
    const ours = waiter.acquire("r", WAITS);
    await isWaiting(waiter);

    const tookMs = await elapsedMs(async () => {
      await end(holder);
      await ours;
    });

    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
  });

  // With so long a lease nobody looks by itself before the test is over.
  const longLease = { leaseMs: LONG_MS, waitMs: LONG_MS };

  test("a subscription that is cut, again and again, is made anew: the release is heard of", async () => {
    const { holder, waiter } = await stage(instances, { leaseMsMax: LONG_MS });
    const lock = await holder.acquire("r", longLease);
    const ours = waiter.acquire("r", longLease);
    await isWaiting(waiter);

    for (let round = 0; round < 3; round += 1) {
      await eachClient((client) => client.call("CLIENT", "KILL", "TYPE", "pubsub"));
      await systemEnv.clock.sleep(20);
    }
    const tookMs = await elapsedMs(async () => {
      await lock.release();
      await ours;
    });

    expect(tookMs).toBeLessThan(SOON_MS);
  });

  test("a release while no subscription lives is found out without a message", async () => {
    const { holder, waiter } = await stage(instances, { leaseMsMax: LONG_MS });
    const lock = await holder.acquire("r", longLease);
    const ours = waiter.acquire("r", longLease);
    await isWaiting(waiter);

    const tookMs = await elapsedMs(async () => {
      await eachClient((client) => client.call("CLIENT", "KILL", "TYPE", "pubsub"));
      await lock.release();
      await ours;
    });

    expect(tookMs).toBeLessThan(2 * SOON_MS);
  });

  test("instances that restart empty under a waiter are asked again when they may vote", async () => {
    const { holder, waiter } = await stage(instances, { assumeNew: false });
    const lock = await acquireAtLast(holder);
    const ours = acquireAtLast(waiter);
    await isWaiting(waiter);

    await Promise.all(redis.instances.map((instance) => instance.restart({ wipe: true })));
    await lock.release();
    const tookMs = await elapsedMs(() => ours);

    expect(tookMs).toBeLessThan(LEASE_MS_MAX + 3 * SOON_MS);
    expect((await ours).fencingToken).toBeGreaterThan(lock.fencingToken);
  });

  test("of twenty that wait and are aborted at any moment, all that are left are served", async () => {
    const { holder, waiter } = await stage(instances);
    const lock = await holder.acquire("r", WAITS);
    const controllers = Array.from({ length: 20 }, () => new AbortController());
    const served: number[] = [];
    const waiting = controllers.map(async ({ signal }, at) => {
      await waiter.using("r", { ...WAITS, signal }, () => systemEnv.clock.sleep(2));
      served.push(at);
    });
    const settled = Promise.allSettled(waiting);
    await isWaiting(waiter, 20);

    const release = lock.release();
    for (const [at, controller] of controllers.entries()) {
      if (at % 2 === 1) continue;
      await systemEnv.clock.sleep(at % 3);
      controller.abort();
    }
    const tookMs = await elapsedMs(() => Promise.all([settled, release]));

    expect(served.filter((at) => at % 2 === 1)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    expect(tookMs).toBeLessThan(3 * SOON_MS);
  });
});

describe("in a group of 3", () => {
  test("whoever waits for several is served when the dead holder of one of them has run out", async () => {
    const { holder, waiter } = await stage(3);
    const dead = await start({ resource: "y" });
    await holds(dead);
    const lock = await holder.acquire("x", WAITS);
    const ours = waiter.acquire(["x", "y", "z"], WAITS);
    await isWaiting(waiter);

    await dead.kill();
    await lock.release();
    const tookMs = await elapsedMs(() => ours);

    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
  });

  test("a dead process that waits for several holds up nobody who waits for one of them", async () => {
    const { holder, waiter } = await stage(3);
    const lock = await holder.acquire(["x", "y"], WAITS);
    const dead = await start({ resource: ["x", "y"] });
    await waitersOf(holder, 1, "x");
    const ours = [waiter.acquire("x", WAITS), waiter.acquire("y", WAITS)];
    await waitersOf(holder, 2, "y");

    await dead.kill();
    await systemEnv.clock.sleep(50);
    const tookMs = await elapsedMs(async () => {
      await lock.release();
      await Promise.all(ours);
    });

    expect(tookMs).toBeLessThan(SOON_MS);
  });

  test("permits of a dead process are free again when they have run out", async () => {
    const { waiter } = await stage(3);
    const dead = await start({ kind: "permit", resource: "s", permits: 3, workers: 3 });
    await holds(dead, 3);
    const semaphore = waiter.semaphore("s", { permits: 3 });
    const ours = [0, 1, 2].map(() => semaphore.acquire(WAITS));
    await isWaiting(waiter, 3);

    const tookMs = await elapsedMs(async () => {
      await dead.kill();
      await Promise.all(ours);
    });

    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
    expect(new Set((await Promise.all(ours)).map(({ permit }) => permit))).toEqual(new Set([0, 1, 2]));
  });

  test("a dead writer that holds keeps readers out no longer than its lease", async () => {
    const { waiter } = await stage(3);
    const dead = await start({ kind: "writer", resource: "p" });
    await holds(dead);
    const ours = [0, 1, 2].map(() => waiter.readWrite("p").read.acquire(WAITS));
    await isWaiting(waiter, 3);

    const tookMs = await elapsedMs(async () => {
      await dead.kill();
      await Promise.all(ours);
    });

    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
  });

  test("a dead writer that waits keeps nobody out", async () => {
    const { holder, waiter } = await stage(3);
    const reading = await holder.readWrite("p").read.acquire(WAITS);
    const dead = await start({ kind: "writer", resource: "p" });
    await until("it has asked", () => dead.events.some(({ event }) => event === "asked"));
    await systemEnv.clock.sleep(100);
    const ours = [0, 1, 2].map(() => waiter.readWrite("p").read.acquire(WAITS));
    await isWaiting(waiter, 3);

    const tookMs = await elapsedMs(async () => {
      await dead.kill();
      await Promise.all(ours);
    });

    expect(reading.lost).toBe(false);
    expect(tookMs).toBeLessThan(SOON_MS);
  });

  test("a dead reader keeps a writer out no longer than its lease", async () => {
    const { waiter } = await stage(3);
    const dead = await start({ kind: "reader", resource: "p" });
    await holds(dead);
    const ours = waiter.readWrite("p").write.acquire(WAITS);
    await isWaiting(waiter);

    const tookMs = await elapsedMs(async () => {
      await dead.kill();
      await ours;
    });

    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
  });

  test("whoever is cut off while the lock is released finds it free when the wires are back", async () => {
    const { holder } = await stage(3);
    const wires = await Promise.all(redis.instances.map((instance) => TcpProxy.open(instance)));
    const waiter = await opened.open(wires.map(({ url }) => url), OPTIONS);
    const lock = await holder.acquire("r", WAITS);
    let got: Lock | undefined;
    const ours = acquireAtLast(waiter).then((one) => (got = one));
    await isWaiting(waiter);

    for (const wire of wires) wire.hold("toClient");
    await lock.release();
    await systemEnv.clock.sleep(100);
    expect(got).toBeUndefined();
    for (const wire of wires) wire.pass();
    const tookMs = await elapsedMs(() => ours);
    await opened.closeAll();
    await Promise.all(wires.map((wire) => wire.stop()));

    expect(tookMs).toBeLessThan(2 * SOON_MS);
  });
});

test("whoever is far away is kept its place until its answer can come, among others who are near", async () => {
  redis = await startRedis({ count: 3, provider: "process" });
  settings = { ...OPTIONS, leaseMsMax: 2_000 };
  const near = await opened.open(redis.urls, settings);
  const wires = await Promise.all(redis.instances.map((instance) => TcpProxy.open(instance)));
  try {
    const far = await opened.open(wires.map(({ url }) => url), settings);
    for (const wire of wires) for (const way of DIRECTIONS) wire.delay(way, 30);
    const { read, write } = { read: far.readWrite("page").read, write: near.readWrite("page").write };
    // It learns how far away it is.
    for (let n = 0; n < 10; n += 1) await far.using(`other ${n}`, WAITS, () => undefined);
    const isDone = new AbortController();
    const writers = Array.from({ length: 3 }, async () => {
      while (!isDone.signal.aborted) {
        await write.using({ ...WAITS, leaseMs: 1_000 }, () => systemEnv.clock.sleep(5));
      }
    });

    const reads = Array.from({ length: 3 }, async (_, n) => {
      await systemEnv.clock.sleep(500 * n);
      await read.using({ leaseMs: 1_000, waitMs: 3_000 }, () => systemEnv.clock.sleep(1));
    });
    const outcomes = await Promise.allSettled(reads);
    isDone.abort();
    await Promise.all(writers);

    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
  } finally {
    await opened.closeAll();
    await Promise.all(wires.map((wire) => wire.stop()));
  }
}, 60_000);

test("what is released while its only waiter is suspect is told to it, and not found seconds later", async () => {
  redis = await startRedis({ count: 3, provider: "process" });
  settings = { name: "run" };
  const waits = { waitMs: LONG_MS, leaseMs: LONG_MS };
  const [holder, other] = await Promise.all([0, 1].map(() => opened.open(redis.urls, settings)));
  const wires = await Promise.all(redis.instances.map((instance) => TcpProxy.open(instance)));
  try {
    const slow = await opened.open(wires.map(({ url }) => url), settings);
    const [first, second] = [await holder!.acquire("k1", waits), await holder!.acquire("k2", waits)];
    const both = ["k1", "k2"].map((resource) => slow.acquire(resource, waits));
    await isWaiting(slow, 2);
    const next = other!.acquire("k1", waits);
    await isWaiting(other!);
    // It hears nothing for a while, so it lets k1 go by, and k2 is released meanwhile.
    for (const wire of wires) wire.delay("toClient", 80);

    await first.release();
    const passedBy = await next;
    await second.release();
    for (const wire of wires) wire.pass("toClient");
    const tookMs = await elapsedMs(() => both[1]!);

    expect(tookMs).toBeLessThan(SOON_MS);
    await passedBy.release();
    await (await both[0]!).release();
  } finally {
    await opened.closeAll();
    await Promise.all(wires.map((wire) => wire.stop()));
  }
});
