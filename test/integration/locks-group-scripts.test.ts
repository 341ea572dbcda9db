import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { groupKeys, Link } from "../../src/locks/group/link.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenInstances } from "../support/instances.ts";
import { rejection } from "../support/reject.ts";

let redis: RedisGroup;
let admin: Redis;
let link: Link;
const opened = new OpenInstances();

beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.urls[0]!);
});
beforeEach(async () => {
  await admin.flushall();
  link = new Link(await opened.open(redis.urls[0]!), groupKeys("t"), 500, systemEnv.clock);
});
afterEach(() => opened.closeAll());
afterAll(async () => {
  admin.disconnect();
  await redis.stop();
});

const NOTHING = { counters: new Map<string, number>(), known: new Map<string, string>() };

describe("the boot record is changed", () => {
  test("by the first of two that saw none", async () => {
    const first = await link.swap(null, "one");
    const second = await link.swap(null, "two");

    expect([first.done, first.record, second.done, second.record]).toEqual([true, "one", false, "one"]);
    expect(await admin.get("t:boot")).toBe("one");
    expect(Math.abs(first.serverUs / 1000 - systemEnv.clock.wallNow())).toBeLessThan(1000);
    expect(second.sentMs).toBeLessThanOrEqual(second.receivedMs);
  });

  test("only from what was seen", async () => {
    await admin.set("t:boot", "one");

    const wrong = await link.swap("other", "two");
    const right = await link.swap("one", "two");
    await admin.del("t:boot");
    const gone = await link.swap("two", "three");

    expect([wrong.done, right.done, gone.done, gone.record]).toEqual([false, true, false, null]);
    expect(await admin.exists("t:boot")).toBe(0);
  });
});

describe("counters are read", () => {
  test("with all that is known, under the record that was seen", async () => {
    await admin.set("t:boot", "one");
    await admin.hset("t:counters", "0", "1", "1023", String(2 ** 53 - 1));
    await admin.hset("t:known", "a", "r n");

    const source = await link.source("one");

    expect([...source!.counters]).toEqual([["0", 1], ["1023", 2 ** 53 - 1]]);
    expect([...source!.known]).toEqual([["a", "r n"]]);
  });

  test("under no other record, nor without one", async () => {
    await admin.hset("t:counters", "0", "1");
    const without = await link.source("one");
    await admin.set("t:boot", "two");

    expect([without, await link.source("one")]).toEqual([undefined, undefined]);
  });

  test("never from what is no counter", async () => {
    await admin.set("t:boot", "one");
    await admin.hset("t:counters", "0", "1e300");

    const error = await rejection(() => link.source("one"), "INVARIANT");

    expect(error.details).toEqual({ field: "0", value: "1e300" });
  });
});

describe("counters are raised", () => {
  const counters = new Map([
    ["1", 2 ** 53 - 2],
    ["2", 7],
    ["3", 7],
  ]);
  const raising = { counters, known: new Map([["a", "r n"]]) };

  test("and never lowered, and the member is made in the same step", async () => {
    await admin.set("t:boot", "waiting");
    await admin.hset("t:counters", "2", "8", "3", "6", "4", "9");

    const swap = await link.readmit("waiting", { ...raising, next: "member" });

    expect([swap.done, swap.record, await admin.get("t:boot")]).toEqual([true, "member", "member"]);
    expect(await admin.hgetall("t:counters")).toEqual({ 1: String(2 ** 53 - 2), 2: "8", 3: "7", 4: "9" });
    expect(await admin.hgetall("t:known")).toEqual({ a: "r n" });
  });

  test("without making a member, if so told", async () => {
    await admin.set("t:boot", "waiting");

    const swap = await link.readmit("waiting", raising);

    expect([swap.done, swap.record, await admin.get("t:boot")]).toEqual([true, "waiting", "waiting"]);
    expect(await admin.hlen("t:counters")).toBe(3);
  });

  test.each([
    ["another record stands there", "other"],
    ["none stands there", undefined],
  ])("not when %s", async (_, record) => {
    if (record !== undefined) await admin.set("t:boot", record);

    const swap = await link.readmit("waiting", { ...raising, next: "member", aheadUs: 1_000_000 });

    expect([swap.done, swap.record]).toEqual([false, record ?? null]);
    expect(await admin.exists("t:counters", "t:known")).toBe(0);
  });

  test("all of them, ahead of the server's clock", async () => {
    await admin.set("t:boot", "waiting");
    await admin.hset("t:counters", "5", String(2 ** 53 - 3));
    const wallUs = systemEnv.clock.wallNow() * 1000;

    await link.readmit("waiting", { ...NOTHING, aheadUs: 1_200_000_000 });
    const raised = await admin.hgetall("t:counters");

    expect(Object.keys(raised).map(Number).toSorted((a, b) => a - b)).toEqual([...Array(1024).keys()]);
    expect(raised["5"]).toBe(String(2 ** 53 - 3));
    const aheadMs = (Number(raised["6"]) - wallUs) / 1000;
    expect(aheadMs).toBeGreaterThan(1_199_000);
    expect(aheadMs).toBeLessThan(1_201_000);
    expect(Number.isSafeInteger(Number(raised["6"]))).toBe(true);
  });
});

test("an instance is handed over only from the record that was seen, and knows of the newcomer at once", async () => {
  await admin.set("t:boot", "one");
  await admin.hset("t:known", "old", "r n", "b", "r n");
  const change = { next: "two", newcomer: "new", mark: "joining n", leaving: "old", group: "{}" };

  const wrong = await link.regroup("other", change);
  const knownBefore = await admin.hgetall("t:known");
  const right = await link.regroup("one", change);

  expect([wrong.done, right.done, right.record]).toEqual([false, true, "two"]);
  expect(knownBefore).toEqual({ old: "r n", b: "r n" });
  expect(await admin.hgetall("t:known")).toEqual({ b: "r n", new: "joining n" });
  expect(await admin.mget("t:boot", "t:group")).toEqual(["two", "{}"]);
});

test("nothing is noted on an instance that is not what was seen: it may have been emptied, and the others too", async () => {
  await admin.set("t:boot", "one");
  const known = new Map([
    ["a", "r n"],
    ["b", "r m"],
  ]);

  const noted = [await link.note("one", known), await link.note("two", new Map([["c", "r n"]]))];
  await admin.del("t:boot");
  noted.push(await link.note("one", new Map([["d", "r n"]])));

  expect(noted).toEqual([true, false, false]);
  expect(await admin.hgetall("t:known")).toEqual({ a: "r n", b: "r m" });
});

test("who is known stays known: what was noted first is told to everybody", async () => {
  const mine = await link.noteUnlessKnown("x", "r1 n1");
  const again = await link.noteUnlessKnown("x", "r1 n1");
  const theirs = await link.noteUnlessKnown("x", "r2 n2");

  expect([mine, again, theirs]).toEqual(["r1 n1", "r1 n1", "r1 n1"]);
});

test("a link refuses to send on any connection but its own", async () => {
  const instance = await opened.open(redis.urls[0]!);
  const old = new Link(instance, groupKeys("t"), 500, systemEnv.clock);
  await admin.call("client", "kill", "type", "normal", "skipme", "yes");
  while (instance.connections < 2) await systemEnv.clock.sleep(5);

  for (const send of [() => old.look(), () => old.facts(), () => old.swap(null, "one"), () => old.time()]) {
    await rejection(send, "UNREACHABLE");
  }

  expect([old.isCurrent, await admin.exists("t:boot")]).toEqual([false, 0]);
});
