/** Locks on real Redis, all healthy: what each call does. Faults are in the other suites. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import type { CoterieError } from "../../src/errors.ts";
import type { Lock, Locker } from "../../src/locks/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;
const lockers = new OpenLockers();
let redis: RedisGroup;
beforeAll(async () => {
  redis = await startRedis({ count: 5 });
});
afterAll(() => redis.stop());
afterEach(() => lockers.closeAll());

async function pair(count: number): Promise<[Locker, Locker]> {
  const urls = redis.urls.slice(0, count);
  // A turn is kept for long enough that a busy machine changes no order.
  const options = { name: lockers.newName(), reserveMs: 500 };
  return [await lockers.open(urls, options), await lockers.open(urls, options)];
}

describe.each([1, 2, 3, 5])("with %d instances", (count) => {
  test("one holder excludes the others until it releases", async () => {
    const [one, other] = await pair(count);

    const lock = await one.acquire("invoice:7", { leaseMs: 5000 });
    const meanwhile = await other.tryAcquire("invoice:7");
    const released = await lock.release();
    const afterwards = await other.tryAcquire("invoice:7");

    expect(meanwhile).toBeUndefined();
    expect(released).toBe(true);
    expect(afterwards?.remainingMs).toBeGreaterThan(0);
    expect(lock.remainingMs).toBe(0);
    expect([lock.released, lock.lost]).toEqual([true, false]);
  });

  test("tokens grow strictly, whoever draws them", async () => {
    const both = await pair(count);
    const tokens: number[] = [];

    for (let n = 0; n < 50; n += 1) {
      const lock = await both[n % 2]!.acquire("r");
      tokens.push(lock.fencingToken);
      await lock.release();
    }

    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(50);
  });

  test("a waiter has the lock as soon as it is released, without polling", async () => {
    const [one, other] = await pair(count);
    const lock = await one.acquire("r", { leaseMs: 20_000 });
    const waiting = other.acquire("r", { waitMs: 5000 });
    await until("it waits", () => other.status().waiting === 1);

    const releasedAt = clock.now();
    await lock.release();
    const next = await waiting;
    const tookMs = clock.now() - releasedAt;

    expect(tookMs).toBeLessThan(500);
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(one.status().counters.released).toBe(1);
  });

  test("waiters are served in the order in which they came", async () => {
    const both = await pair(count);
    const first = await both[0].acquire("r");
    const served: number[] = [];
    const waits: Promise<void>[] = [];
    for (let n = 0; n < 12; n += 1) {
      const locker = both[n % 2]!;
      const wait = locker.using("r", { waitMs: 10_000 }, () => void served.push(n));
      waits.push(wait);
      await until("it waits", () => both[0].status().waiting + both[1].status().waiting === n + 1);
      await clock.sleep(2);
    }

    await first.release();
    await Promise.all(waits);

    expect(served).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  test("several resources are had all or none", async () => {
    const [one, other] = await pair(count);
    const b = await one.acquire("b");

    const none = await other.tryAcquire(["a", "b", "c"]);
    const a = await one.tryAcquire("a");
    await Promise.all([a?.release(), b.release()]);
    const all = await other.acquire(["a", "b", "c"]);
    const meanwhile = await Promise.all(["a", "b", "c"].map((resource) => one.tryAcquire(resource)));

    expect(none).toBeUndefined();
    expect(a).toBeDefined();
    expect(all.resources).toEqual(["a", "b", "c"]);
    expect(meanwhile).toEqual([undefined, undefined, undefined]);
  });

  test("callers of overlapping resources in any order never block each other for good", async () => {
    const both = await pair(count);
    const sets = [["a", "b"], ["b", "a"], ["b", "c"], ["c", "a"], ["a"], ["c", "b", "a"]];

    const all = sets.flatMap((resources, n) => both.map((locker) => use(locker, resources, n)));
    const served = await Promise.all(all);

    expect(served).toHaveLength(12);
  });

  test("a lock outlives its first lease for as long as it is renewed", async () => {
    const [one, other] = await pair(count);

    const lock = await one.acquire("r", { leaseMs: 800 });
    await clock.sleep(1300);
    const meanwhile = await other.tryAcquire("r");

    expect(meanwhile).toBeUndefined();
    expect(lock.lost).toBe(false);
    expect(one.status().counters.renewed).toBeGreaterThan(1);
  });

  test("a lock that is not renewed ends with its lease, and says so before", async () => {
    const [one, other] = await pair(count);

    const lock = await one.acquire("r", { leaseMs: 200, renew: false });
    const startedAt = clock.now();
    const lost = once(lock.signal);
    const next = await other.acquire("r", { waitMs: 2000 });
    const reason = (await lost) as CoterieError;

    expect(clock.now() - startedAt).toBeLessThan(600);
    expect(reason.code).toBe("LOCK_LOST");
    expect(lock.lost).toBe(true);
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
  });
});

async function use(locker: Locker, resources: readonly string[], n: number): Promise<number> {
  const lock = await locker.acquire(resources, { waitMs: 10_000 });
  await clock.sleep(n % 3);
  await lock.release();
  return n;
}

function once(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

describe("using", () => {
  test("gives the body's result and releases", async () => {
    const [one, other] = await pair(3);

    const result = await one.using("r", { leaseMs: 1000 }, (lock) => lock.fencingToken);

    expect(result).toBeGreaterThan(0);
    expect(await other.tryAcquire("r")).toBeDefined();
  });

  test("rejects with the body's own error, also when the lock was lost", async () => {
    const [one, other] = await pair(3);
    const failure = new Error("the body's own");

    const failed = one.using("r", { leaseMs: 300 }, async (lock) => {
      const lost = once(lock.signal);
      await other.forceRelease("r");
      await lost;
      throw failure;
    });

    await expect(failed).rejects.toBe(failure);
  });

  test("rejects with LOCK_LOST when the body did not notice that the lock was lost", async () => {
    const [one, other] = await pair(3);

    const error = await rejection(
      () =>
        one.using("r", { leaseMs: 300 }, async (lock) => {
          const lost = once(lock.signal);
          await other.forceRelease("r");
          await lost;
          return "done";
        }),
      "LOCK_LOST",
    );

    expect(error.message).toContain('lock "r" is not held any more');
  });

  test("takes no body that is no function", async () => {
    const [one] = await pair(1);

    await rejection(() => one.using("r", {} as never), "INVALID_ARGUMENT");
  });
});

describe("a lock", () => {
  test("is renewed by hand, for longer if asked", async () => {
    const [one] = await pair(3);
    const lock = await one.acquire("r", { leaseMs: 300, renew: false });

    await lock.renew({ leaseMs: 5000 });

    expect(lock.remainingMs).toBeGreaterThan(4000);
    expect(lock.leaseMs).toBe(5000);
  });

  test("cannot be renewed once it is released or over", async () => {
    const [one] = await pair(3);
    const released = await one.acquire("r", { leaseMs: 300 });
    const over = await one.acquire("s", { leaseMs: 50, renew: false });
    await released.release();
    await until("its lease is over", () => over.lost);

    await rejection(() => released.renew(), "LOCK_LOST");
    await rejection(() => over.renew(), "LOCK_LOST");
    expect(await over.release()).toBe(false);
  });

  test("that was taken away is lost with the next renewal", async () => {
    const [one, other] = await pair(3);
    const lock = await one.acquire("r", { leaseMs: 600 });
    const lost = once(lock.signal);
    const startedAt = clock.now();

    const wasHeld = await other.forceRelease("r");
    await lost;

    expect(wasHeld).toBe(true);
    expect(clock.now() - startedAt).toBeLessThan(500);
    expect(await other.forceRelease("r")).toBe(false);
  });

  test("is released by await using", async () => {
    const [one, other] = await pair(3);
    {
      await using lock: Lock = await one.acquire("r");
      expect(lock.released).toBe(false);
    }

    expect(await other.tryAcquire("r")).toBeDefined();
  });
});

describe("a wait", () => {
  test("ends with LOCKED when it has lasted long enough", async () => {
    const [one, other] = await pair(3);
    await one.acquire("r");
    const startedAt = clock.now();

    const error = await rejection(() => other.acquire("r", { waitMs: 150 }), "LOCKED");

    const tookMs = clock.now() - startedAt;
    expect(tookMs).toBeGreaterThanOrEqual(149);
    expect(tookMs).toBeLessThan(600);
    expect(error.retryable).toBe(true);
    expect(error.details).toMatchObject({ granted: 0, refused: 3, unreachable: 0, needed: 2 });
  });

  test("ends with ABORTED at once when it is aborted, and leaves no ticket", async () => {
    const [one, other] = await pair(3);
    const lock = await one.acquire("r");
    const controller = new AbortController();
    const waiting = other.acquire("r", { signal: controller.signal });
    await until("it waits", () => other.status().waiting === 1);

    controller.abort(new Error("enough"));
    const error = await rejection(() => waiting, "ABORTED");

    expect(error.cause).toMatchObject({ message: "enough" });
    await until("its ticket is gone", () => other.status().waiting === 0);
    expect((await one.inspect("r")).waiters).toBe(0);
    await lock.release();
    expect(await one.tryAcquire("r")).toBeDefined();
  });

  test("is not begun with a signal that has aborted", async () => {
    const [one] = await pair(3);

    await rejection(() => one.acquire("r", { signal: AbortSignal.abort() }), "ABORTED");
    expect(one.status().counters.asked).toBe(0);
  });
});

describe("a semaphore", () => {
  test("lets in as many as it has permits, and the next when one leaves", async () => {
    const [one, other] = await pair(3);
    const [mine, theirs] = [one.semaphore("pool", { permits: 2 }), other.semaphore("pool", { permits: 2 })];
    const [first, second] = [await mine.acquire(), await theirs.acquire()];
    const none = await mine.tryAcquire();
    const waiting = mine.acquire({ waitMs: 5000 });
    await until("it waits", () => one.status().waiting > 0);

    await second.release();
    const third = await waiting;

    expect(none).toBeUndefined();
    expect(new Set([first.permit, second.permit])).toEqual(new Set([0, 1]));
    expect(third.permit).toBe(second.permit);
    await until("the other tickets are gone", () => one.status().waiting === 0);
  });

  test("never lets in more than its permits", async () => {
    const both = await pair(3);
    let [inside, most] = [0, 0];

    const visits = Array.from({ length: 24 }, async (_, n) => {
      const semaphore = both[n % 2]!.semaphore("pool", { permits: 3 });
      await semaphore.using({ waitMs: 20_000 }, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await clock.sleep(3);
        inside -= 1;
      });
    });
    await Promise.all(visits);

    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(1);
  });

  test("is refused with another number of permits", async () => {
    const [one, other] = await pair(3);
    await one.semaphore("pool", { permits: 2 }).acquire();

    const error = await rejection(() => other.semaphore("pool", { permits: 3 }).acquire(), "CONFIG_MISMATCH");

    expect(error.details).toMatchObject({ permits: 3, elsewhere: 2 });
  });
});

describe("a read-write lock", () => {
  test("is shared by readers and not by a writer", async () => {
    const [one, other] = await pair(3);
    const [mine, theirs] = [one.readWrite("doc"), other.readWrite("doc")];

    const [a, b] = [await mine.read.acquire(), await theirs.read.acquire()];
    const early = await mine.write.tryAcquire();
    await Promise.all([a.release(), b.release()]);
    const writer = await mine.write.acquire();
    const reader = await theirs.read.tryAcquire();
    const second = await theirs.write.tryAcquire();

    expect([early, reader, second]).toEqual([undefined, undefined, undefined]);
    expect(writer.fencingToken).toBeGreaterThan(Math.max(a.fencingToken, b.fencingToken));
  });

  test("lets no new reader before a writer that waits, and all waiting readers in after it", async () => {
    const [one, other] = await pair(3);
    const [mine, theirs] = [one.readWrite("doc"), other.readWrite("doc")];
    const reader = await mine.read.acquire();
    const order: string[] = [];
    const writing = theirs.write.using(async () => {
      order.push("writer");
      await clock.sleep(5);
    });
    await until("the writer waits", () => other.status().waiting === 1);

    const newcomer = await mine.read.tryAcquire();
    const readers = [mine, theirs].map((side) => side.read.acquire().then(() => order.push("reader")));
    await until("two readers wait", () => one.status().waiting + other.status().waiting === 3);
    await reader.release();
    await Promise.all([writing, ...readers]);

    expect(newcomer).toBeUndefined();
    expect(order).toEqual(["writer", "reader", "reader"]);
  });
});

describe("looking at locks", () => {
  test("tells who holds one, since when, and how many wait", async () => {
    const [one, other] = await pair(3);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const lock = await one.acquire("r", { leaseMs: 5000, traceparent });
    const controller = new AbortController();
    const waiting = rejection(() => other.acquire("r", { signal: controller.signal }), "ABORTED");
    await until("it waits", () => other.status().waiting === 1);

    const info = await other.inspect("r");
    controller.abort();
    await waiting;

    expect(info).toMatchObject({
      resource: "r",
      held: true,
      holderToken: lock.holderToken,
      pid: process.pid,
      traceparent,
      waiters: 1,
    });
    expect(info.fencingTokenMax).toBeGreaterThanOrEqual(lock.fencingToken);
    expect(Math.abs(clock.wallNow() - info.acquiredAt!)).toBeLessThan(5000);
    expect(info.remainingMs).toBeGreaterThan(4000);
  });

  test("lists what is held, by pattern", async () => {
    const [one, other] = await pair(3);
    await Promise.all(["a:1", "a:2", "b:1"].map((resource) => one.acquire(resource)));
    const gone = await one.acquire("a:3");
    await gone.release();

    const found: string[] = [];
    for await (const { resource } of other.list({ match: "a:*" })) found.push(resource);

    expect(found.toSorted()).toEqual(["a:1", "a:2"]);
  });

  test("shows a free resource as free", async () => {
    const [one] = await pair(3);

    expect(await one.inspect("nothing")).toMatchObject({ held: false, remainingMs: 0, pid: undefined });
  });
});

test("closing releases what is held, ends waits, and refuses the rest", async () => {
  const [one, other] = await pair(3);
  const held = await one.acquire("r");
  await other.acquire("s");
  const waiting = rejection(() => one.acquire("s"), "CLOSED");
  await until("it waits", () => one.status().waiting === 1);

  await one.close();
  await waiting;

  expect(held.released).toBe(true);
  expect(await other.tryAcquire("r")).toBeDefined();
  await rejection(() => one.acquire("t"), "CLOSED");
});

test("a plain key that is one of the group's own is refused", async () => {
  const name = lockers.newName();
  const plain = await lockers.open(redis.urls.slice(0, 3), { name, keys: "plain" });

  await rejection(() => plain.acquire(`${name}:boot`), "INVALID_ARGUMENT");
  await rejection(() => plain.tryAcquire(["a", `${name}:counters`]), "INVALID_ARGUMENT");
  expect(await plain.tryAcquire(name)).toBeDefined();
});

test("one round trip is the usual case, and second trips are counted", async () => {
  const [one] = await pair(3);

  for (let n = 0; n < 200; n += 1) await (await one.acquire(`r${n}`)).release();

  const { counters } = one.status();
  expect(counters.acquired).toBe(200);
  expect(counters.secondTrips).toBeLessThan(10);
});
