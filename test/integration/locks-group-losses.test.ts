import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { parseBoot } from "../../src/locks/group/boot.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import {
  heardOn,
  memberOf,
  OpenGroups,
  statesOf,
  untilStates,
} from "../support/lock-groups.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let servers: readonly RedisInstanceHandle[];
let admins: Redis[];
const opened = new OpenGroups();

beforeEach(async () => {
  redis = await startRedis({ count: 3 });
  servers = redis.instances;
  admins = redis.urls.map((url) => new Redis(url));
  for (const admin of admins) admin.on("error", () => {});
});
afterEach(async () => {
  opened.destroyAll();
  for (const admin of admins) admin.disconnect();
  await redis.stop();
});

async function recordOf(at: number) {
  return parseBoot((await admins[at]!.get("t:boot"))!)!;
}

test("all instances that were emptied at once vote at once where new ones may, in every process", async () => {
  const settings = { leaseMsMax: 10_000 };
  const groups = await Promise.all([1, 2, 3].map(() => opened.open(redis.urls, settings)));
  for (const group of groups) await untilStates(group, "member member member");
  const before = groups[0]!.members.map(({ boot }) => boot);

  await Promise.all(admins.map((admin) => admin.flushall()));
  for (const group of groups) for (const member of group.members) member.doubt();
  const isNew = (): boolean =>
    groups.every(({ members }) => members.every(({ boot }, at) => boot !== undefined && boot !== before[at]));
  await until("all vote under new records", isNew, 4000);

  expect(statesOf(groups[0]!)).toBe("member member member");
});

describe("an instance that was emptied", () => {
  test("abstains until old leases are over, and has the counters of the others when it votes again", async () => {
    const group = await opened.open(redis.urls);
    const highest = String(2 ** 53 - 1);
    await admins[0]!.hset("t:counters", "7", "700", "8", "801", "1023", highest);
    await admins[1]!.hset("t:counters", "7", "701", "8", "800");

    const restartedAt = systemEnv.clock.now();
    const waits = await heardOn("coterie:lock:abstaining", async () => {
      await servers[2]!.restart({ wipe: true });
      await untilStates(group, "member member abstaining");
      await untilStates(group, "member member member");
    });

    const reason = "it has no boot record, and others know it: it was emptied";
    expect(waits).toEqual([{ group: "t", instances: ["c"], waitMs: 507, reason, option: undefined }]);
    expect(systemEnv.clock.now() - restartedAt).toBeGreaterThan(507);
    expect(await admins[2]!.hgetall("t:counters")).toEqual({ 7: "701", 8: "801", 1023: highest });
    expect((await recordOf(2)).runId).toBe(memberOf(group, "c").status().runId);
    expect(Object.keys(await admins[2]!.hgetall("t:known"))).toEqual(expect.arrayContaining(["a", "b"]));
  });

  test("is noticed without a reconnect, as after FLUSHALL", async () => {
    const group = await opened.open(redis.urls);
    const { runId } = memberOf(group, "b").status();

    await admins[1]!.flushall();
    const why = (): string => memberOf(group, "b").refusal()?.message ?? "";
    await until("it is noticed", () => why().includes("others know it: it was emptied"));
    await untilStates(group, "member member member");

    expect(memberOf(group, "b").status().runId).toBe(runId);
    expect(memberOf(group, "b").instance.connections).toBe(1);
  });

  test("is known as such by a process that starts afterwards", async () => {
    const first = await opened.open(redis.urls);
    await until("c knows", () => statesOf(first) === "member member member");
    while ((await admins[1]!.hexists("t:known", "c")) === 0) await systemEnv.clock.sleep(5);
    first.destroy();
    await servers[2]!.restart({ wipe: true });

    const second = await opened.open(redis.urls);

    expect(statesOf(second)).toBe("member member abstaining");
    await untilStates(second, "member member member");
  });

  test("waits for the others' counters while they cannot be reached, and says for whose", async () => {
    const group = await opened.open(redis.urls);
    await servers[0]!.kill();
    await servers[2]!.restart({ wipe: true });
    await untilStates(group, "unreachable member abstaining");
    const why = (): string => memberOf(group, "c").refusal()?.message ?? "";

    await until("its wait is over", () => why().includes("needs the counters"));
    await systemEnv.clock.sleep(200);

    expect(statesOf(group)).toBe("unreachable member abstaining");
    expect(why()).toContain('needs the counters of 2 members, and waits for "a"');
  });

  test("goes on without those that the operator declares gone", async () => {
    const group = await opened.open(redis.urls);
    await admins[1]!.hset("t:counters", "7", "700");
    await servers[0]!.kill();
    await servers[2]!.restart({ wipe: true });
    await untilStates(group, "unreachable member abstaining");

    const lost = await heardOn("coterie:lock:data-loss", async () => {
      group.seedWithout(["a"]);
      await untilStates(group, "unreachable member member");
    });

    expect(lost).toEqual([{ group: "t", instances: ["c"] }]);
    const leastUs = (systemEnv.clock.wallNow() + 1_190_000) * 1000;
    for (const at of [1, 2]) {
      expect(Number(await admins[at]!.hget("t:counters", "7"))).toBeGreaterThan(leastUs);
    }
    await rejection(() => group.seedWithout(["z"]), "INVALID_ARGUMENT");
  });

  test("that comes back with others that were emptied too is helped by whoever is left", async () => {
    const group = await opened.open(redis.urls);
    const far = (systemEnv.clock.wallNow() + 86_400_000) * 1000;
    await admins[0]!.hset("t:counters", "7", String(far));

    const lost = await heardOn("coterie:lock:data-loss", async () => {
      await Promise.all([servers[1]!.restart({ wipe: true }), servers[2]!.restart({ wipe: true })]);
      await untilStates(group, "member abstaining abstaining");
      await untilStates(group, "member member member");
    });

    // One that comes much later than the other is seeded by it, and by the one that lost nothing.
    expect(["b", "c", "b,c"]).toContain(lost.flatMap(({ instances }) => instances).toSorted().join());
    for (const admin of admins) {
      expect(await admin.hget("t:counters", "7")).toBe(String(far));
      expect(Number(await admin.hget("t:counters", "8"))).toBeGreaterThan(far - 86_400_000_000);
    }
  });

  test("is let in again by a process that only comes later", async () => {
    const first = await opened.open(redis.urls);
    await servers[2]!.restart({ wipe: true });
    await untilStates(first, "member member abstaining");
    first.destroy();

    const second = await opened.open(redis.urls);

    expect(statesOf(second)).toBe("member member abstaining");
    await untilStates(second, "member member member");
  });

  test("is seeded by none that was emptied meanwhile", async () => {
    const group = await opened.open(redis.urls);
    await admins[0]!.hset("t:counters", "7", "700");
    await servers[2]!.restart({ wipe: true });
    await untilStates(group, "member member abstaining");

    await admins[0]!.flushall();
    await untilStates(group, "member member member");

    // One that knew and one that did not are too few: both start where no token has been.
    expect(Number(await admins[2]!.hget("t:counters", "7"))).toBeGreaterThan(1e15);
  });
});

describe("an instance that comes back with its data", () => {
  test("abstains all the same", async () => {
    const group = await opened.open(redis.urls);
    await admins[1]!.config("SET", "save", "3600 1");
    await admins[1]!.hset("t:counters", "7", "700");
    await admins[1]!.save();
    await admins[0]!.hset("t:counters", "7", "750");
    const before = await recordOf(1);

    const changes = await heardOn("coterie:lock:member", async () => {
      await servers[1]!.restart();
      await untilStates(group, "member abstaining member");
      await untilStates(group, "member member member");
    });
    const after = await recordOf(1);

    expect(changes.at(-1)).toMatchObject({ instance: "b", from: "abstaining", to: "member" });
    const reasons = changes.flatMap(({ to, reason }) => (to === "abstaining" ? [reason] : []));
    expect(reasons).toEqual([expect.stringContaining("it restarted")]);
    expect([before.state, after.state]).toEqual(["member", "member"]);
    expect([before.runId === after.runId, before.nonce === after.nonce]).toEqual([false, false]);
    expect(await admins[1]!.hget("t:counters", "7")).toBe("750");
  });

  test("begins its wait anew when it restarts during it", async () => {
    const group = await opened.open(redis.urls, { leaseMsMax: 1000 });
    const member = memberOf(group, "b");
    await servers[1]!.restart({ wipe: true });
    const nonce = (): string | undefined =>
      member.record?.state === "abstaining" ? member.record.nonce : undefined;
    await until("it waits", () => nonce() !== undefined);
    const first = member.record!;
    const admin = new Redis(redis.urls[1]!);
    await admin.config("SET", "save", "3600 1");
    await admin.save();
    admin.disconnect();

    const restartedAt = systemEnv.clock.now();
    await servers[1]!.restart();
    await until("it waits again", () => nonce() !== undefined && nonce() !== first.nonce);
    const second = member.record!;
    await untilStates(group, "member member member");

    expect(first.runId).not.toBe(second.runId);
    expect(systemEnv.clock.now() - restartedAt).toBeGreaterThan(1012);
  });
});
