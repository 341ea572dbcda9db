import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { type Env, systemEnv } from "../../src/env/index.ts";
import type { LockGroup } from "../../src/locks/group/index.ts";
import { type ClockedRedis, startClockedRedis } from "../support/clock-shim.ts";
import { memberOf, OpenGroups, statesOf, untilStates } from "../support/lock-groups.ts";
import { until } from "../support/until.ts";

/** Long enough for a leap to be seen and asked about within it on a busy machine. */
const LEASE_MS_MAX = 900;

let redis: ClockedRedis;
const opened = new OpenGroups();
let groups = 0;

beforeAll(async () => {
  redis = await startClockedRedis(3);
});
beforeEach(() => {
  groups += 1;
});
afterEach(() => opened.destroyAll());
afterAll(() => redis.stop());

function open(env: Env = systemEnv): Promise<LockGroup> {
  return opened.open(redis.group.urls, { leaseMsMax: LEASE_MS_MAX, name: `t${groups}`, env });
}

function leapsOf(group: LockGroup): number[] {
  return group.status().members.map(({ leaps }) => leaps);
}

/** A machine that sleeps: its monotonic clock stands still, and if it is virtual the boot clock too. */
class SleepyEnv implements Env {
  readonly timers = systemEnv.timers;
  readonly random = systemEnv.random;
  readonly clock: Env["clock"];
  #sleptMs = 0;

  constructor(isVirtual: boolean) {
    this.clock = {
      ...systemEnv.clock,
      now: () => systemEnv.clock.now() - this.#sleptMs,
      bootNow: () => systemEnv.clock.bootNow() - (isVirtual ? this.#sleptMs : 0),
    };
  }

  /** Our own thread is all that the machine has: it stands still, and nobody counts that time. */
  sleep(ms: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    this.#sleptMs += ms;
  }
}

const LEAPS = [3_600_000, -3_600_000, 50, -50];

test.each(LEAPS)("a clock that leaps by %i ms costs a lease, and no counters", async (byMs) => {
  const group = await open();
  const startedAt = systemEnv.clock.now();
  const counters = `t${groups}:counters`;
  await memberOf(group, "a").instance.call("hset", [counters, "7", "700"]);
  await memberOf(group, "b").instance.call("hset", [counters, "7", "600"]);

  redis.leap(1, byMs);
  await untilStates(group, "member abstaining member");
  const error = memberOf(group, "b").refusal()!;
  const seenAfterMs = systemEnv.clock.now() - startedAt;
  await untilStates(group, "member member member");
  const backAfterMs = systemEnv.clock.now() - startedAt;

  expect(error.message).toContain("its clock");
  expect(seenAfterMs).toBeLessThan(LEASE_MS_MAX);
  expect(backAfterMs).toBeGreaterThan(LEASE_MS_MAX);
  expect(leapsOf(group)).toEqual([0, 1, 0]);
  expect(await memberOf(group, "b").instance.call("hget", [counters, "7"])).toBe("600");
  redis.leap(1, -byMs);
});

test("a leap that several processes see is one wait", async () => {
  const all = await Promise.all([open(), open(), open()]);

  redis.leap(1, 5000);
  for (const group of all) await untilStates(group, "member abstaining member");
  for (const group of all) await untilStates(group, "member member member");
  await systemEnv.clock.sleep(LEASE_MS_MAX / 2);

  expect(new Set(all.map((group) => statesOf(group)))).toEqual(new Set(["member member member"]));
  redis.leap(1, -5000);
});

test("the reply that proves a leap is not to be counted", async () => {
  const group = await open();
  const member = memberOf(group, "b");
  const now = systemEnv.clock.now();
  const serverUs = member.serverTimeGuess(now);

  const honest = member.heard(serverUs, now - 1, now);
  const leapt = member.heard(serverUs + 60_000_000, now, now + 1);
  const after = member.heard(serverUs + 60_001_000, now + 1, now + 2);

  expect([honest, leapt, after]).toEqual([true, false, false]);
  expect(member.boot).toBeUndefined();
  expect(member.refusal()?.code).toBe("ABSTAINING");
  await untilStates(group, "member abstaining member");
});

test("two instances whose clocks leap differently are both accused", async () => {
  const group = await open();

  redis.leap(0, 30_000);
  redis.leap(1, -60_000);
  await untilStates(group, "abstaining abstaining member");
  await untilStates(group, "member member member");

  expect(leapsOf(group)).toEqual([1, 1, 0]);
  redis.leap(0, -30_000);
  redis.leap(1, 60_000);
});

test.each([
  ["its boot clock says so", false],
  ["all instances seem to have leapt alike", true],
])("a process that slept accuses nobody: %s", async (_, isVirtual) => {
  const env = new SleepyEnv(isVirtual);
  const group = await open(env);
  await untilStates(group, "member member member");
  const boots = group.members.map(({ boot }) => boot);

  env.sleep(400);
  await until("it was noticed", () => leapsOf(group).some((leaps) => leaps > 0));
  await untilStates(group, "member member member");
  await systemEnv.clock.sleep(LEASE_MS_MAX / 2);

  expect(statesOf(group)).toBe("member member member");
  expect(group.members.map(({ boot }) => boot)).toEqual(boots);
  const now = env.clock.now();
  for (const member of group.members) {
    expect(Math.abs(member.serverTimeGuess(now) / 1000 - systemEnv.clock.wallNow())).toBeLessThan(200);
  }
});

test("with one instance alone, what slept is told by the boot clock", async () => {
  const [url = ""] = redis.group.urls;
  const env = new SleepyEnv(false);
  const group = await opened.open([url], { leaseMsMax: LEASE_MS_MAX, name: `t${groups}`, env });
  const boot = group.members[0]!.boot;

  env.sleep(400);
  await until("it was noticed", () => leapsOf(group)[0]! > 0);
  await untilStates(group, "member");
  await systemEnv.clock.sleep(LEASE_MS_MAX / 2);
  const bootAfter = group.members[0]!.boot;
  redis.leap(0, 5000);
  await untilStates(group, "abstaining");
  redis.leap(0, -5000);

  expect(bootAfter).toBe(boot);
});

test("a clock that leaps after a process slept is still found out", async () => {
  const env = new SleepyEnv(false);
  const group = await open(env);
  env.sleep(400);
  await until("it was noticed", () => leapsOf(group).some((leaps) => leaps > 0));
  await untilStates(group, "member member member");

  redis.leap(2, 5000);

  await untilStates(group, "member member abstaining");
  redis.leap(2, -5000);
});

test("an event loop that is blocked for long accuses nobody", async () => {
  const group = await open();

  for (let n = 0; n < 5; n += 1) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
    await systemEnv.clock.sleep(10);
  }

  expect(leapsOf(group)).toEqual([0, 0, 0]);
});
