import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenGroups, statesOf } from "../support/lock-groups.ts";

let redis: RedisGroup;
const opened = new OpenGroups();
const admins: Redis[] = [];

beforeEach(async () => {
  redis = await startRedis({ count: 3 });
  for (const url of redis.urls) {
    const admin = new Redis(url);
    admin.on("error", () => {});
    admins.push(admin);
  }
});
afterEach(async () => {
  opened.destroyAll();
  for (const admin of admins.splice(0)) admin.disconnect();
  await redis.stop();
});

test("a new group votes as soon as it is opened", async () => {
  const group = await opened.open(redis.urls);

  expect(statesOf(group)).toBe("member member member");
  expect([group.quorum, group.members.map(({ id, at }) => `${id}${at}`)]).toEqual([2, ["a0", "b1", "c2"]]);
  for (const [at, member] of group.members.entries()) {
    expect(member.refusal()).toBeUndefined();
    expect(member.boot).toBe(await admins[at]!.get("t:boot"));
    const now = systemEnv.clock.now();
    const wallUs = systemEnv.clock.wallNow() * 1000;
    expect(member.serverTime(now)).toBeLessThanOrEqual(member.serverTimeGuess(now));
    expect(Math.abs(member.serverTimeGuess(now) - wallUs)).toBeLessThan(100_000);
  }
});
