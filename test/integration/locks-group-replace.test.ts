import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type LockGroup, replaceLockInstance, type ReplaceOptions } from "../../src/locks/group/index.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import { memberOf, OpenGroups, statesOf, untilStates } from "../support/lock-groups.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let servers: readonly RedisInstanceHandle[];
let admins: Redis[];
const opened = new OpenGroups();
const others: RedisGroup[] = [];

/** a, b and c are the group; d comes later. */
beforeEach(async () => {
  redis = await startRedis({ count: 4 });
  servers = redis.instances;
  admins = redis.urls.map((url) => new Redis(url));
  for (const admin of admins) admin.on("error", () => {});
});
afterEach(async () => {
  opened.destroyAll();
  for (const admin of admins) admin.disconnect();
  await Promise.all([redis, ...others.splice(0)].map((group) => group.stop()));
});

const LETTERS = "abcd";

function open(ids: string, assumeNew = true): Promise<LockGroup> {
  return opened.open(urlsOf(ids), { ids: ids.split(""), assumeNew });
}

function create(ids: string, assumeNew = true): LockGroup {
  return opened.create(urlsOf(ids), { ids: ids.split(""), assumeNew });
}

function urlsOf(ids: string): string[] {
  return ids.split("").map((id) => redis.urls[LETTERS.indexOf(id)]!);
}

function replace(ids: string, leaving: string, more: Partial<ReplaceOptions> = {}) {
  const instances = ids.split("").map((id) => ({ id, url: redis.urls[LETTERS.indexOf(id)]! }));
  const quick = { deadlineMs: 150, connectDeadlineMs: 400 };
  return replaceLockInstance({ name: "t", leaseMsMax: 500, instances, leaving, ...quick, ...more });
}

test("the newcomer votes after a lease, with the counters of those that stay", async () => {
  const before = await open("abc");
  await admins[1]!.hset("t:counters", "7", "700");

  const result = await replace("abd", "c");
  const startedAt = systemEnv.clock.now();
  const after = await open("abd");
  const statesAtFirst = statesOf(after);
  await untilStates(after, "member member member");

  expect(result).toEqual({ newcomer: "d", done: ["a", "b", "d"], missing: [] });
  expect(statesAtFirst).toBe("member member abstaining");
  expect(systemEnv.clock.now() - startedAt).toBeGreaterThan(450);
  expect(await admins[3]!.hget("t:counters", "7")).toBe("700");
  expect(JSON.parse((await admins[0]!.get("t:group"))!)).toEqual({ ids: ["a", "b", "d"], leaseMsMax: 500 });
  for (const member of before.members) member.doubt();
  await untilStates(before, "refused refused member");
  expect(memberOf(before, "a").refusal()?.code).toBe("CONFIG_MISMATCH");
});

test("members that stay go on voting for the new group at once, whether it was opened before or after", async () => {
  await open("abc");
  const early = create("abd");
  await rejection(() => early.open(), "CONFIG_MISMATCH");

  await replace("abd", "c");
  await untilStates(early, "member member abstaining");
  await untilStates(early, "member member member");

  expect(memberOf(early, "d").boot).toBe(await admins[3]!.get("t:boot"));
});

test("the one that leaves is taken from the old group as well, if it is named", async () => {
  const before = await open("abc");

  await replace("abd", "c", { leavingAt: redis.urls[2]! });
  for (const member of before.members) member.doubt();
  await untilStates(before, "refused refused refused");

  expect(memberOf(before, "c").refusal()?.code).toBe("CONFIG_MISMATCH");
});

test("a group of two is replaced only with the help of the one that leaves", async () => {
  await open("ab");

  await rejection(() => replace("ad", "b"), "NO_QUORUM");
  const unchanged = await open("ab");
  const result = await replace("ad", "b", { leavingAt: { url: redis.urls[1]! } });
  const after = await open("ad");
  await untilStates(after, "member member");

  expect(statesOf(unchanged)).toBeDefined();
  expect(result.newcomer).toBe("d");
});

test("a newcomer whose wait began too early begins it anew", async () => {
  await open("abc");
  // A process of the new group finds it empty while one instance is handed over already.
  const impatient = create("abd", false);
  await rejection(() => impatient.open(), "CONFIG_MISMATCH");
  await until("it waits", () => memberOf(impatient, "d").waitLeftMs > 0);
  const early = await admins[3]!.get("t:boot");
  await until("its wait is over", () => memberOf(impatient, "d").waitLeftMs === 0);

  await replace("abd", "c");
  const startedAt = systemEnv.clock.now();
  const late = await admins[3]!.get("t:boot");
  await untilStates(impatient, "member member member");

  expect(late).toContain("abstaining");
  expect(late).not.toBe(early);
  expect(systemEnv.clock.now() - startedAt).toBeGreaterThan(450);
});

test("a replacement that stopped half way lets nobody in, and is finished by asking again", async () => {
  await open("abc");
  await admins[1]!.hset("t:counters", "7", "700");
  // As if the process that replaces had ended when only "a" was handed over.
  await servers[1]!.pause();
  const stopped = await rejection(() => replace("abd", "c"), "NO_QUORUM");
  await servers[1]!.resume();
  const unchanged = await admins[0]!.get("t:boot");
  await replace("abd", "c");
  await admins[0]!.hset("t:known", "d", "joining 0123456789abcdef");
  await admins[3]!.flushall();

  const group = await open("abd");
  const why = (): string => memberOf(group, "d").refusal()?.message ?? "";
  await until("its wait is over", () => why().includes("counters"));
  await systemEnv.clock.sleep(100);
  const statesBefore = statesOf(group);
  const again = await replace("abd", "c");
  await untilStates(group, "member member member");

  expect(stopped.retryable).toBe(true);
  expect(unchanged).toContain(" member ");
  expect(statesBefore).toBe("member member abstaining");
  expect(again.newcomer).toBe("d");
  expect(await replace("abd", "c")).toEqual({ newcomer: undefined, done: ["a", "b", "d"], missing: [] });
  expect(statesOf(group)).toBe("member member member");
});

test("one that was away is handed over by asking again", async () => {
  const two = await startRedis({ count: 2 });
  others.push(two);
  const before = await opened.open([...urlsOf("abc"), ...two.urls], { ids: "abcxy".split("") });
  const instances = [
    ...["a", "b", "c", "d"].map((id) => ({ id, url: redis.urls[LETTERS.indexOf(id)]! })),
    { id: "y", url: two.urls[1]! },
  ];
  const states = statesOf(before);
  await admins[1]!.config("SET", "save", "3600 1");
  await admins[1]!.save();
  await servers[1]!.kill();

  const first = await replace("", "x", { instances });
  await servers[1]!.restart();
  const second = await replace("", "x", { instances });
  const after = await opened.open([...redis.urls, two.urls[1]!], { ids: "abcdy".split("") });
  await untilStates(after, "member member member member member");

  expect(states).toBe("member member member member member");
  expect(first).toEqual({ newcomer: "d", done: ["a", "c", "d", "y"], missing: ["b"] });
  expect(second).toEqual({ newcomer: "d", done: ["a", "b", "c", "d", "y"], missing: [] });
});

test.each<[string, string, string]>([
  ["two at once", "acd", "x"],
  ["more instances than before", "abcd", "x"],
  ["fewer instances than before", "ab", "c"],
])("%s are refused, and nothing is changed", async (_, ids, leaving) => {
  const group = await open("abc");
  const boots = group.members.map(({ boot }) => boot);

  const error = await rejection(() => replace(ids, leaving), "CONFIG_MISMATCH");

  expect(error.message).toContain("registered as instance");
  expect(await Promise.all(admins.slice(0, 3).map((admin) => admin.get("t:boot")))).toEqual(boots);
});

test("a newcomer that is a member elsewhere, cannot be reached or is unfit changes nothing", async () => {
  const group = await open("abc");
  await opened.open([redis.urls[3]!], { ids: ["d"] });
  const boots = group.members.map(({ boot }) => boot);

  await rejection(() => replace("abd", "c"), "CONFIG_MISMATCH");
  await admins[3]!.flushall();
  await admins[3]!.config("SET", "maxmemory-policy", "allkeys-lru");
  await rejection(() => replace("abd", "c"), "INSTANCE_REFUSED");
  await servers[3]!.kill();
  await rejection(() => replace("abd", "c"), "UNREACHABLE");

  expect(await Promise.all(admins.slice(0, 3).map((admin) => admin.get("t:boot")))).toEqual(boots);
});

test("bad options are told", async () => {
  await rejection(() => replace("abc", "c"), "INVALID_ARGUMENT");
  await rejection(() => replace("aab", "c"), "INVALID_OPTION");
  await rejection(() => replaceLockInstance({ instances: [] } as never), "INVALID_OPTION");
  const error = await rejection(() => replaceLockInstance({ instances: [], leaving: "a" }), "INVALID_OPTION");

  expect(error.message).toContain("a list of at least one");
});
