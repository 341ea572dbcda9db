import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import * as room from "../../src/redlock/index.ts";
import { ExecutionError, type ExecutionStats, Lock, ResourceLockedError } from "../../src/redlock/index.ts";
import { outcomeOf, Redlocks, sleep } from "../support/redlocks.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: Redlocks;

beforeEach(async () => {
  redis = await Redlocks.start(3);
});
afterEach(() => redis.stop());

async function valuesOf(resource: string): Promise<(string | null)[]> {
  return Promise.all(redis.clients().map((client) => client.get(resource)));
}

/** A quorum confirms a release; the others may take a moment longer. */
async function expectGone(resource: string): Promise<void> {
  await expect.poll(() => valuesOf(resource)).toEqual([null, null, null]);
}

test("the room has redlock's names, and its default export", () => {
  expect(Object.keys(room)).toEqual(
    expect.arrayContaining(["default", "Redlock", "Lock", "ExecutionError", "ResourceLockedError"]),
  );
  expect(room.default).toBe(room.Redlock);
});

describe("a lock", () => {
  test("stands under its resource's own name, with its value and its duration, until it is released", async () => {
    const redlock = redis.ours();

    const lock = await redlock.acquire(["account:7"], 5000);
    const values = await valuesOf("account:7");
    const leftMs = await redis.client(0).pttl("account:7");
    const result = await lock.release();

    expect(lock).toBeInstanceOf(Lock);
    expect(lock.resources).toEqual(["account:7"]);
    expect(lock.redlock).toBe(redlock);
    expect(values.filter((value) => value?.startsWith(lock.value))).toHaveLength(3);
    expect(values[0]).toMatch(/^[0-9a-f]{36}$/);
    expect(leftMs).toBeGreaterThan(4000);
    expect(leftMs).toBeLessThanOrEqual(5000);
    expect(lock.expiration).toBe(0);
    expect(result.attempts).toHaveLength(1);
    await expectGone("account:7");
  });

  test("tells when it is over, on the wall clock", async () => {
    const before = Date.now();
    const lock = await redis.ours().acquire(["r"], 5000);

    expect(lock.expiration).toBeGreaterThan(before + 4500);
    expect(lock.expiration).toBeLessThanOrEqual(Date.now() + 5000);
    expect(lock.fencingToken).toBeGreaterThan(0);
    expect(lock.signal.aborted).toBe(false);
  });

  test("a larger driftFactor takes more off its time", async () => {
    const lock = await redis.ours().acquire(["r"], 5000, { driftFactor: 0.2 });

    expect(lock.expiration - Date.now()).toBeLessThanOrEqual(4050);
    expect(lock.expiration - Date.now()).toBeGreaterThan(3500);
  });

  test("is on all of its resources or on none", async () => {
    await Promise.all([0, 1, 2].map((at) => redis.occupy(at, "b")));

    const error = await rejection(() => redis.ours().acquire(["a", "b"], 5000, { retryCount: 0 }), "LOCKED");

    expect(error).toBeInstanceOf(ExecutionError);
    await expectGone("a");
  });

  test("that is extended lasts from now, whichever of its objects is asked", async () => {
    const redlock = redis.ours();
    const first = await redlock.acquire(["r"], 1000);

    await sleep(300);
    const second = await first.extend(2000);
    const leftMs = second.expiration - Date.now();
    const third = await first.extend(1500);
    await redlock.extend(second, 1500);

    expect(leftMs).toBeGreaterThan(1800);
    expect(leftMs).toBeLessThanOrEqual(2000);
    expect(third.value).toBe(first.value);
    expect(Math.abs(first.expiration - third.expiration)).toBeLessThan(5);
    expect((await third.attempts[0])?.votesFor.size).toBe(3);
    await first.release();
    expect(third.expiration).toBe(0);
    await expectGone("r");
  });

  test("that is over cannot be extended, which is said at once", async () => {
    const lock = await redis.ours().acquire(["r"], 100);
    await sleep(120);

    const outcome = await outcomeOf(lock.extend(1000));

    expect(outcome.error).toMatchObject({
      name: "ExecutionError",
      message: "Cannot extend an already-expired lock.",
      code: "LOCK_LOST",
      attempts: [],
    });
    expect(outcome.tookMs).toBeLessThan(50);
  });

  test("that is extended to less than it had ends earlier, for others too", async () => {
    const redlock = redis.ours();
    const lock = await redlock.acquire(["r"], 20_000);

    await lock.extend(200);
    const next = await outcomeOf(redlock.acquire(["r"], 1000, { retryCount: 20, retryDelay: 100 }));

    expect(next.state).toBe("resolved");
    expect(next.tookMs).toBeGreaterThan(100);
    expect(next.tookMs).toBeLessThan(600);
  });

  test("may last longer than the longest lease: it is renewed, and ends by itself", async () => {
    const redlock = redis.ours({ locker: { leaseMsMax: 500 } });
    const startedAt = systemEnv.clock.now();
    const lock = await redlock.acquire(["long"], 1500);

    const leftMs = lock.expiration - Date.now();
    const leases: number[] = [];
    while (systemEnv.clock.now() < startedAt + 1200) {
      leases.push(await redis.client(0).pttl("long"));
      await sleep(50);
    }
    const next = await outcomeOf(redlock.acquire(["long"], 100, { retryCount: 20, retryDelay: 100 }));
    const overMs = systemEnv.clock.now() - startedAt;

    expect(leftMs).toBeGreaterThan(1300);
    expect(leftMs).toBeLessThanOrEqual(1500);
    expect(Math.min(...leases)).toBeGreaterThan(0);
    expect(Math.max(...leases)).toBeLessThanOrEqual(500);
    expect(next.state).toBe("resolved");
    expect(overMs).toBeGreaterThan(1400);
    expect(overMs).toBeLessThan(2000);
    expect(lock.expiration).toBe(0);
  });

  test("may be released twice, and by await using", async () => {
    const redlock = redis.ours();
    const lock = await redlock.acquire(["r"], 5000);

    await lock.release();
    await lock.release();
    {
      await using disposed = await redlock.acquire("r", 5000);
      expect(disposed.expiration).toBeGreaterThan(0);
    }

    await expectGone("r");
  });

  test("that somebody made by hand is refused", async () => {
    const redlock = redis.ours();
    const made = new Lock(redlock, ["r"], "0".repeat(32), [], 7);

    expect(made.expiration).toBe(7);
    await rejection(() => made.release(), "INVALID_ARGUMENT");
    await rejection(() => made.extend(1000), "INVALID_ARGUMENT");
  });
});

describe("votes", () => {
  test("of a lock name the clients that were given", async () => {
    const clients = redis.clients();
    const lock = await redis.ours({}, clients).acquire(["r"], 5000);

    const stats = (await lock.attempts[0]) as ExecutionStats;

    expect(lock.attempts).toHaveLength(1);
    expect(stats).toMatchObject({ membershipSize: 3, quorumSize: 2 });
    expect(stats.votesFor).toEqual(new Set(clients));
    expect(stats.votesAgainst.size).toBe(0);
  });

  test("against are told by the error and by error events", async () => {
    const clients = redis.clients();
    await redis.ours().acquire(["r"], 5000);
    const other = redis.ours({}, clients);

    const error = await rejection(() => other.acquire(["r"], 1000, { retryCount: 0 }), "LOCKED");
    const stats = await (error as ExecutionError).attempts[0];
    await until("the events are out", () => redis.errors.length >= 2);

    expect(error.message).toBe("The operation was unable to achieve a quorum during its retry window.");
    expect(error.name).toBe("ExecutionError");
    expect(error.details["retryAfterMs"]).toBeGreaterThan(0);
    expect([...(stats?.votesAgainst.keys() ?? [])]).toEqual(clients);
    const refusals = [...(stats?.votesAgainst.values() ?? [])].filter(
      (against) => against instanceof ResourceLockedError,
    );
    // The third one may be slower than the two that decide.
    expect(refusals.length).toBeGreaterThanOrEqual(2);
    expect(refusals[0]?.message).toBe("The operation was applied to: 0 of the 1 requested resources.");
    expect(redis.errors.every((one) => one instanceof ResourceLockedError)).toBe(true);
  });

  test("of an instance that is away are against, and an event says why, also when the lock is ours", async () => {
    const clients = redis.clients();
    const redlock = redis.ours({}, clients);
    const clientErrors: Error[] = [];
    redlock.on("clientError", (error: Error) => clientErrors.push(error));
    await (await redlock.acquire(["r"], 5000)).release();
    await redis.server(2).kill();
    await sleep(50);

    const lock = await redlock.acquire(["r"], 5000);
    const stats = (await lock.attempts[0]) as ExecutionStats;

    expect(stats.votesFor.size).toBe(2);
    expect(stats.votesAgainst.get(clients[2] as never)).toMatchObject({ code: "UNREACHABLE" });
    await until("an event is out", () => redis.errors.length > 0);
    expect(clientErrors).toEqual(redis.errors);
  });

  test("of too few instances fail after all retries, each of them told", async () => {
    const redlock = redis.ours();
    await (await redlock.acquire(["r"], 1000)).release();
    await Promise.all([redis.server(1).kill(), redis.server(2).kill()]);

    const settings = { retryCount: 3, retryDelay: 50, retryJitter: 0 };
    const outcome = await outcomeOf(redlock.acquire(["r"], 1000, settings));

    expect(outcome.error).toBeInstanceOf(ExecutionError);
    expect(outcome.error?.code).toBe("NO_QUORUM");
    expect(outcome.tookMs).toBeLessThan(1000);
    const { attempts } = outcome.error as ExecutionError;
    expect(attempts.length).toBeGreaterThanOrEqual(1);
    const all = await Promise.all(attempts);
    for (const { votesAgainst } of all) expect(votesAgainst.size).toBeGreaterThanOrEqual(2);
  });
});

describe("waiting", () => {
  test("ends with the release, not with the next poll", async () => {
    const lock = await redis.ours().acquire(["r"], 10_000);

    const waiting = outcomeOf(redis.ours().acquire(["r"], 1000, { retryDelay: 1000, retryJitter: 0 }));
    await sleep(200);
    await lock.release();
    const outcome = await waiting;

    expect(outcome.state).toBe("resolved");
    expect(outcome.tookMs).toBeGreaterThan(190);
    expect(outcome.tookMs).toBeLessThan(350);
  });

  test("lasts as long as the retries would", async () => {
    await redis.ours().acquire(["r"], 10_000);

    const settings = { retryCount: 4, retryDelay: 80, retryJitter: 40 };
    const outcome = await outcomeOf(redis.ours().acquire(["r"], 1000, settings));

    expect(outcome.error?.code).toBe("LOCKED");
    expect(outcome.tookMs).toBeGreaterThan(300);
    expect(outcome.tookMs).toBeLessThan(700);
  });

  test("has no end with retryCount -1", async () => {
    await redis.ours().acquire(["r"], 700);

    const settings = { retryCount: -1, retryDelay: 1, retryJitter: 0 };
    const outcome = await outcomeOf(redis.ours().acquire(["r"], 1000, settings));

    expect(outcome.state).toBe("resolved");
    expect(outcome.tookMs).toBeGreaterThan(400);
  });

  test("covers the wait of a group that nobody knows yet", async () => {
    const redlock = redis.ours({ locker: { assumeNew: false, leaseMsMax: 500 } });

    const early = await rejection(() => redlock.acquire(["r"], 400, { retryCount: 0 }), "ABSTAINING");
    const outcome = await outcomeOf(redlock.acquire(["r"], 400));

    expect(early).toBeInstanceOf(ExecutionError);
    expect(early.details["retryAfterMs"]).toBeGreaterThan(0);
    expect(outcome.state).toBe("resolved");
  });
});

describe("using", () => {
  test("gives the routine's value, in each of its forms", async () => {
    const redlock = redis.ours();

    const first = await redlock.using(["r"], 1000, async () => "without settings");
    const second = await redlock.using(["r"], 1000, { retryCount: 1 }, async (signal) => signal.aborted);
    const third = await redlock.using("r", 1000, async (_signal, lock) => lock.fencingToken);

    expect([first, second]).toEqual(["without settings", false]);
    expect(third).toBeGreaterThan(0);
    await expectGone("r");
  });

  test("renews for as long as the routine runs, earlier than the threshold asks", async () => {
    const redlock = redis.ours({ automaticExtensionThreshold: 100 });
    const leases: number[] = [];

    const outcome = await outcomeOf(
      redlock.using(["r"], 600, async (signal) => {
        for (let n = 0; n < 15; n += 1) {
          await sleep(100);
          leases.push(await redis.client(0).pttl("r"));
        }
        return signal.aborted;
      }),
    );

    expect(outcome.value).toBe(false);
    expect(Math.min(...leases)).toBeGreaterThan(250);
    await expectGone("r");
  });

  test("renews earlier still where the threshold asks for it", async () => {
    const redlock = redis.ours({ automaticExtensionThreshold: 850 });
    const leases: number[] = [];

    await redlock.using(["r"], 1000, async () => {
      for (let n = 0; n < 12; n += 1) {
        await sleep(50);
        leases.push(await redis.client(0).pttl("r"));
      }
    });

    expect(Math.min(...leases)).toBeGreaterThan(750);
  });

  test("refuses what it cannot do, before it acquires anything", async () => {
    const redlock = redis.ours();
    const routine = async (): Promise<void> => undefined;

    const short = await rejection(() => redlock.using(["r"], 599, routine), "INVALID_ARGUMENT");
    const none = await rejection(() => redlock.using(["r"], 1000, {}), "INVALID_ARGUMENT");
    await rejection(() => redlock.using([], 1000, routine), "INVALID_ARGUMENT");
    await rejection(() => redlock.using(["r"], 1000.5, routine), "INVALID_ARGUMENT");

    expect(short.message).toContain("at least 100ms greater than the `automaticExtensionThreshold`");
    expect(none.message).toContain("a routine is needed");
  });

  test("gives the value although the release cannot be confirmed, and tells of it", async () => {
    const redlock = redis.ours();

    const outcome = await outcomeOf(
      redlock.using(["r"], 5000, async () => {
        await Promise.all([redis.server(0).pause(), redis.server(1).pause()]);
        return "done";
      }),
    );
    await Promise.all([redis.server(0).resume(), redis.server(1).resume()]);

    expect(outcome.value).toBe("done");
    expect(outcome.tookMs).toBeLessThan(1500);
    await until("the event is out", () => redis.errors.some((error) => error instanceof ExecutionError));
  });
});

describe("redlock 4's names", () => {
  test("lock and unlock, with one resource or several", async () => {
    const redlock = redis.ours();

    const lock = await redlock.lock("a", 5000);
    const refused = await outcomeOf(redlock.lockWithOptions(["a", "b"], 1000, { retryCount: 0 }));
    await lock.unlock();
    const both = await redlock.lockWithOptions(["a", "b"], 1000, { retryCount: 0 });
    await redlock.unlock(both);

    expect(refused.error).toBeInstanceOf(ExecutionError);
    await expectGone("a");
  });

  test("but no callbacks, which is said at once", async () => {
    const redlock = redis.ours();
    const callback = (() => undefined) as never;

    for (const call of [
      () => redlock.lock("a", 1000, callback),
      () => redlock.lockWithOptions("a", 1000, {}, callback),
      () => redlock.unlock({} as Lock, callback),
    ]) {
      expect(call).toThrow("callbacks are not taken");
    }
    await rejection(() => redlock.acquire(["a"], 1000, callback), "INVALID_OPTION");
  });
});

test("bad arguments are refused before anything is sent", async () => {
  const redlock = redis.ours();

  for (const duration of [0, -1, 9, 1.5, Number.NaN, Infinity, "1000" as never]) {
    const error = await rejection(() => redlock.acquire(["r"], duration), "INVALID_ARGUMENT");
    expect(error.message).toContain("Duration must be an integer value in milliseconds");
  }
  for (const resources of [[""], [7], null, ["r", "r"], ["coterie-redlock:boot"]] as never[]) {
    await rejection(() => redlock.acquire(resources, 1000), "INVALID_ARGUMENT");
  }
  await rejection(() => redlock.acquire(["r"], 1000, { retryCount: -3 }), "INVALID_OPTION");

  await expectGone("r");
});
