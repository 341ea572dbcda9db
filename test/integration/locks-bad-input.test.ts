/**
 * What people give to locks by mistake, and what looks like a mistake and is none: each is a clear error at
 * once, before anything is sent, or a documented behaviour.
 */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import type { Lock, Locker, LockerOptions } from "../../src/locks/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenLockers } from "../support/open-lockers.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let clients: Redis[];
const opened = new OpenLockers();
const LEASE_MS_MAX = 5_000;

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

function openThree(options: Partial<LockerOptions> = {}): Promise<Locker> {
  return opened.open(redis.urls.slice(0, 3), { leaseMsMax: LEASE_MS_MAX, ...options });
}

/** What a locker has begun to ask for, by its own account and by what stands on the instances. */
async function askedFor(locker: Locker): Promise<unknown[]> {
  const families = ["lock", "rw", "permit", "queue", "ticket", "permits"];
  const patterns = families.map((family) => `coterie:${family}:*`);
  const found = await Promise.all(
    clients.flatMap((client) => patterns.map((pattern) => client.keys(pattern))),
  );
  const { asked } = locker.status().counters;
  return [...found.flat(), ...Array.from({ length: asked }, () => "asked")];
}

const MANY = Array.from({ length: 1_001 }, (_, n) => `r${n}`);

/** Every lock call of a locker, by what it is called with. */
const CALLS: readonly (readonly [string, (locker: Locker, resource: never, options?: never) => unknown])[] = [
  ["acquire", (locker, resource, options) => locker.acquire(resource, options)],
  ["tryAcquire", (locker, resource, options) => locker.tryAcquire(resource, options)],
  ["using", (locker, resource, options = {} as never) => locker.using(resource, options, () => "ran")],
];

describe.each(CALLS)("%s refuses at once, and sends nothing, when", (_, call) => {
  test.each<[string, unknown, RegExp]>([
    ["the resource is empty", "", /empty/],
    ["there is no resource", [], /at least one/],
    ["a resource is given twice", ["a", "b", "a"], /"a" is given twice/],
    ["one of several is empty", ["a", ""], /empty/],
    ["it is a number", 7, /text.*7/],
    ["it is missing", undefined, /text.*undefined/],
    ["it is null", null, /text.*null/],
    ["a list holds a list", [["a"]], /text/],
    ["half a surrogate pair stands in it", "a\uD83D", /surrogate/],
    ["it is longer than a resource may be", "x".repeat(16_385), /16384|16,384/],
    ["there are more than one call may take", MANY, /1000|1,000/],
  ])("%s", async (__, resource, text) => {
    const locker = await openThree();

    const error = await rejection(() => call(locker, resource as never), "INVALID_ARGUMENT");

    expect(error.message).toMatch(text);
    expect(error.retryable).toBe(false);
    expect(await askedFor(locker)).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ["leaseMs is zero", { leaseMs: 0 }, /leaseMs.*10.*got 0/],
    ["leaseMs is negative", { leaseMs: -1_000 }, /leaseMs.*got -1000/],
    ["leaseMs is fractional", { leaseMs: 100.5 }, /leaseMs.*got 100\.5/],
    ["leaseMs is above the group's longest", { leaseMs: LEASE_MS_MAX + 1 }, /leaseMs.*5000.*got 5001/],
    ["leaseMs is not a number", { leaseMs: "1000" }, /leaseMs.*"1000"/],
    ["leaseMs is NaN", { leaseMs: Number.NaN }, /leaseMs.*NaN/],
    ["leaseMs has no end", { leaseMs: Infinity }, /leaseMs.*Infinity/],
    ["leaseMs is null", { leaseMs: null }, /leaseMs.*null/],
    ["deadlineMs is zero", { deadlineMs: 0 }, /deadlineMs.*got 0/],
    ["renew is a word", { renew: "yes" }, /renew.*"yes"/],
    ["the signal is none", { signal: {} }, /signal/],
    ["traceparent could forge a line", { traceparent: "a\nb" }, /traceparent/],
    ["an option is unknown", { ttl: 1_000 }, /ttl.*unknown|unknown.*ttl/],
  ])("%s", async (__, options, text) => {
    const locker = await openThree();

    const error = await rejection(() => call(locker, "r" as never, options as never), "INVALID_OPTION");

    expect(error.message).toMatch(text);
    expect(await askedFor(locker)).toEqual([]);
  });

  test("its signal has aborted already: the reason is the cause", async () => {
    const locker = await openThree();
    const signal = AbortSignal.abort("no more");

    const error = await rejection(() => call(locker, "r" as never, { signal } as never), "ABORTED");

    expect(error.cause).toBe("no more");
    expect(await askedFor(locker)).toEqual([]);
  });
});

describe("what only acquire takes is checked too", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["a negative wait", { waitMs: -1 }, /waitMs.*got -1/],
    ["a wait without end", { waitMs: Infinity }, /waitMs.*Infinity/],
    ["a wait that no timer can keep", { waitMs: 2 ** 31 }, /waitMs/],
    ["fairness as a number", { fair: 1 }, /fair.*1/],
  ])("%s", async (_, options, text) => {
    const locker = await openThree();

    const error = await rejection(() => locker.acquire("r", options), "INVALID_OPTION");

    expect(error.message).toMatch(text);
  });

  test("an explicit undefined means the default", async () => {
    const locker = await openThree();
    const options = { leaseMs: undefined, waitMs: undefined, signal: undefined, fair: undefined };

    const lock = await locker.acquire("r", options);

    expect(lock.leaseMs).toBe(LEASE_MS_MAX);
  });
});

describe("any text is a resource", () => {
  const TEXTS: readonly string[] = [
    " ", "  ", "\0", "a\0b", "\n", "a\nb", "\r\n", "+OK\r\n", "\t", "a b", "a", "A", "á", "a\u0301", "😀",
    "\u{10FFFF}", "\uFEFF", "\u202E", "{tag}a", "{tag}b", "{", "}", "{}", "*", "?", "[a-z]", "\\", "\\*", "'",
    '"', "%", "%s", "$1", "lock:a", "queue:a", "run:lock:a", "0:a", "1:a", "!a", "-", "0", "__proto__",
    "constructor", "toString", "null", "undefined", "[object Object]",
    "x".repeat(16_384), "é".repeat(16_384),
  ];

  test("and each is a lock of its own: held, refused to others, seen, released", async () => {
    const locker = await openThree();
    const other = await openThree();

    const locks = await Promise.all(TEXTS.map((text) => locker.acquire(text, { waitMs: 0 })));
    const taken = await Promise.all(TEXTS.map((text) => other.tryAcquire(text)));
    const listed: string[] = [];
    for await (const { resource } of other.list()) listed.push(resource);
    const infos = await Promise.all(TEXTS.map((text) => other.inspect(text)));
    const released = await Promise.all(locks.map((lock) => lock.release()));
    const again = await Promise.all(TEXTS.map((text) => other.tryAcquire(text)));

    expect(taken.filter((lock) => lock !== undefined)).toEqual([]);
    expect(listed.toSorted()).toEqual([...TEXTS].toSorted());
    expect(infos.map(({ holderToken }) => holderToken)).toEqual(locks.map(({ holderToken }) => holderToken));
    expect(locks.map(({ resources }) => resources)).toEqual(TEXTS.map((text) => [text]));
    expect(released.every(Boolean)).toBe(true);
    for (const [at, lock] of again.entries()) {
      expect(lock?.fencingToken).toBeGreaterThan(locks[at]!.fencingToken);
    }
  });

  test("and all of them may be one lock", async () => {
    const locker = await openThree();
    const other = await openThree();

    const lock = await locker.acquire(TEXTS);
    const taken = await Promise.all(TEXTS.map((text) => other.tryAcquire(text)));
    const released = await lock.release();
    const again = await other.tryAcquire([...TEXTS].toReversed());

    expect(lock.resources).toEqual(TEXTS);
    expect(taken.filter((one) => one !== undefined)).toEqual([]);
    expect(released).toBe(true);
    expect(again?.fencingToken).toBeGreaterThan(lock.fencingToken);
  });

  test("and wakes whoever waits for it", async () => {
    const locker = await openThree();
    const other = await openThree();
    const locks = await Promise.all(TEXTS.map((text) => locker.acquire(text)));
    const waiting = TEXTS.map((text) => other.acquire(text, { waitMs: 5_000 }));
    await until("they wait", () => other.status().waiting === TEXTS.length);

    const releasedAt = systemEnv.clock.now();
    await Promise.all(locks.map((lock) => lock.release()));
    await Promise.all(waiting);

    expect(systemEnv.clock.now() - releasedAt).toBeLessThan(2_000);
  });

  test("a lock, a semaphore and a read-write lock of one name do not touch each other", async () => {
    const locker = await openThree();
    const { read, write } = locker.readWrite("a");

    const locks: Lock[] = [
      await locker.acquire("a", { waitMs: 0 }),
      await locker.acquire("0:a", { waitMs: 0 }),
      await locker.semaphore("a", { permits: 1 }).acquire({ waitMs: 0 }),
      await locker.semaphore("0:a", { permits: 1 }).acquire({ waitMs: 0 }),
      await write.acquire({ waitMs: 0 }),
    ];

    expect(locks.every(({ lost }) => !lost)).toBe(true);
    expect(await read.tryAcquire()).toBeUndefined();
  });
});

describe("a hundred resources", () => {
  const NAMES = Array.from({ length: 100 }, (_, n) => `order:${n}`);

  test("are held all or none, under one token, and released together", async () => {
    const locker = await openThree();
    const other = await openThree();
    const before = await Promise.all(NAMES.map((name) => locker.inspect(name)));

    const lock = await locker.acquire(NAMES);
    const one = await other.tryAcquire(NAMES[99]!);
    const some = await other.tryAcquire(["free", NAMES[50]!]);
    const free = await other.tryAcquire("free");
    await lock.release();
    const others = await Promise.all(NAMES.map((name) => other.tryAcquire(name)));

    expect(Math.max(...before.map(({ fencingTokenMax }) => fencingTokenMax))).toBeLessThan(lock.fencingToken);
    expect([one, some]).toEqual([undefined, undefined]);
    expect(free).toBeDefined();
    expect(Math.min(...others.map((each) => each!.fencingToken))).toBeGreaterThan(lock.fencingToken);
  });

  test("in any order never deadlock", async () => {
    const locker = await openThree();
    const other = await openThree();
    let inside = 0;
    let most = 0;
    const work = async (by: Locker, names: readonly string[]): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        await by.using(names, { waitMs: 10_000 }, () => {
          inside += 1;
          most = Math.max(most, inside);
          inside -= 1;
        });
      }
    };

    await Promise.all([
      work(locker, NAMES),
      work(other, NAMES.toReversed()),
      work(other, NAMES.slice(50)),
      work(locker, NAMES.slice(25, 75).toReversed()),
    ]);

    expect(most).toBe(1);
  });
});

describe("a semaphore and a read-write lock", () => {
  test.each<[string, unknown]>([
    ["none", 0],
    ["half a one", 1.5],
    ["less than none", -1],
    ["too many", 257],
    ["a text", "3"],
    ["nothing", undefined],
  ])("a semaphore of %s permits is refused at once", async (_, permits) => {
    const locker = await openThree();

    const options = { permits: permits as number };
    const error = await rejection(() => locker.semaphore("s", options), "INVALID_OPTION");

    expect(error.message).toMatch(/permits/);
  });

  test("two processes that mean another number of permits find out", async () => {
    const locker = await openThree();
    const other = await openThree();
    await locker.semaphore("s", { permits: 2 }).acquire();

    const error = await rejection(() => other.semaphore("s", { permits: 3 }).acquire(), "CONFIG_MISMATCH");

    expect(error.message).toMatch(/2.*3/);
  });

  test("names are resources and checked like them", async () => {
    const locker = await openThree();

    await rejection(() => locker.semaphore("", { permits: 1 }), "INVALID_ARGUMENT");
    await rejection(() => locker.readWrite(""), "INVALID_ARGUMENT");
    await rejection(() => locker.readWrite(["a"] as never), "INVALID_ARGUMENT");
    await rejection(() => locker.inspect(""), "INVALID_ARGUMENT");
    const error = await rejection(() => locker.forceRelease("\uDC00"), "INVALID_ARGUMENT");

    expect(error.message).toMatch(/surrogate/);
  });
});

describe("at the wrong time", () => {
  test("every call of a closed locker is refused with CLOSED", async () => {
    const locker = await openThree();
    const semaphore = locker.semaphore("s", { permits: 1 });
    const { read } = locker.readWrite("rw");
    await locker.close();

    await rejection(() => locker.acquire("r"), "CLOSED");
    await rejection(() => locker.tryAcquire("r"), "CLOSED");
    await rejection(() => locker.using("r", () => "ran"), "CLOSED");
    await rejection(() => semaphore.acquire(), "CLOSED");
    await rejection(() => read.acquire(), "CLOSED");
    await rejection(() => locker.inspect("r"), "CLOSED");
    const error = await rejection(() => locker.forceRelease("r"), "CLOSED");

    expect(error.retryable).toBe(false);
  });

  test("a lock is released once, renewed never after that, and checked like the rest", async () => {
    const locker = await openThree();
    const lock = await locker.acquire("r");
    await rejection(() => lock.renew({ leaseMs: LEASE_MS_MAX + 1 }), "INVALID_OPTION");
    await rejection(() => lock.renew({ leaseMs: 0.5 }), "INVALID_OPTION");
    await rejection(() => lock.renew({ signal: AbortSignal.abort() }), "ABORTED");

    const first = await lock.release();
    const second = await lock.release();
    const error = await rejection(() => lock.renew(), "LOCK_LOST");

    expect([first, second]).toEqual([true, true]);
    expect(error.message).toMatch(/released/);
    expect(lock.remainingMs).toBe(0);
  });

  test("a wait that is aborted ends at once and leaves nothing behind", async () => {
    const locker = await openThree();
    const other = await openThree();
    const lock = await locker.acquire("r");
    const controller = new AbortController();
    const waiting = other.acquire("r", { waitMs: 5_000, signal: controller.signal });
    await until("it waits", () => other.status().waiting === 1);

    const abortedAt = systemEnv.clock.now();
    controller.abort("enough");
    const error = await rejection(() => waiting, "ABORTED");

    expect(systemEnv.clock.now() - abortedAt).toBeLessThan(500);
    expect(error.cause).toBe("enough");
    await until("no ticket is left", () => other.status().waiting === 0);
    await lock.release();
    const queues = await Promise.all(clients.map((client) => client.keys("*queue*")));
    expect(queues.flat()).toEqual([]);
  });
});
