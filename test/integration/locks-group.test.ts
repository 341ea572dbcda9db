import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv, type Timer, type Timers } from "../../src/env/index.ts";
import { encodeBoot, parseBoot } from "../../src/locks/group/boot.ts";
import { LockGroup } from "../../src/locks/group/index.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import { freePorts } from "../support/free-ports.ts";
import {
  GROUP_SETTINGS,
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

describe("a new group", () => {
  test("votes as soon as it is opened", async () => {
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

  test("is the same for processes that open it at the same moment", async () => {
    const groups = await Promise.all(Array.from({ length: 6 }, () => opened.open(redis.urls)));
    const records = await Promise.all([0, 1, 2].map((at) => admins[at]!.get("t:boot")));

    for (const group of groups) {
      await untilStates(group, "member member member", 1000);
      expect(group.members.map(({ boot }) => boot)).toEqual(records);
    }
  });

  test("is agreed on whichever process is first, time and again", async () => {
    for (let round = 0; round < 8; round += 1) {
      const name = `round${round}`;
      const groups = await Promise.all(
        Array.from({ length: 4 }, async (_, nth) => {
          await systemEnv.clock.sleep(nth * round);
          return opened.open(redis.urls, { name });
        }),
      );
      for (const group of groups) await untilStates(group, "member member member", 250);
      opened.destroyAll();
    }

    expect(await admins[0]!.exists("round0:boot", "round7:boot")).toBe(2);
  });

  test("describes itself on each instance, and each notes who the others are", async () => {
    const group = await opened.open(redis.urls);
    const known = (): Promise<string[]> => admins[2]!.hkeys("t:known");
    const runIds = group.status().members.map(({ runId }) => runId);
    while ((await known()).length < 2) await systemEnv.clock.sleep(5);

    expect(JSON.parse((await admins[0]!.get("t:group"))!)).toEqual({ ids: ["a", "b", "c"], leaseMsMax: 500 });
    expect((await admins[2]!.hget("t:known", "a"))?.split(" ")[0]).toBe(runIds[0]);
    expect(await admins[2]!.pttl("t:boot")).toBe(-1);
    expect(await admins[2]!.pttl("t:known")).toBe(-1);
  });

  test("votes with a quorum of its instances, and takes in the last one when it comes", async () => {
    await servers[2]!.kill();
    const group = await opened.open(redis.urls);

    expect(statesOf(group)).toBe("member member connecting");
    expect(memberOf(group, "c").refusal()?.code).toBe("UNREACHABLE");
    await servers[2]!.restart();
    await untilStates(group, "member member member");
  });

  test("does not vote while only a minority can be asked", async () => {
    await Promise.all([servers[1]!.kill(), servers[2]!.kill()]);
    const group = await opened.open(redis.urls);

    expect(statesOf(group)).toBe("abstaining connecting connecting");
    expect(memberOf(group, "a").refusal()?.message).toContain("too few other instances can say whether");
    await servers[1]!.restart();
    await untilStates(group, "member member connecting");
  });

  test("of one instance votes at once", async () => {
    const group = await opened.open(redis.urls.slice(0, 1));

    expect([group.quorum, statesOf(group)]).toEqual([1, "member"]);
  });

  test("of none that can be reached is not opened", async () => {
    await Promise.all(servers.map((server) => server.kill()));
    const group = opened.create(redis.urls);

    const error = await rejection(() => group.open(), "UNREACHABLE");

    expect(error.message).toContain("no instance of the lock group can be reached");
  });
});

describe("a new group in production", () => {
  test("waits as long as a lease, says so once with the option's name, and then votes", async () => {
    const states: string[] = [];
    const waits = await heardOn("coterie:lock:abstaining", async () => {
      const group = await opened.open(redis.urls, { assumeNew: false });
      states.push(statesOf(group));
      const error = memberOf(group, "a").refusal()!;
      const { waitMs, retryAfterMs } = error.details as { waitMs: number; retryAfterMs: number };
      expect(error.code).toBe("ABSTAINING");
      expect(error.retryable).toBe(true);
      expect([waitMs > 100 && waitMs <= 507, retryAfterMs]).toEqual([true, waitMs]);
      await untilStates(group, "member member member");
    });

    expect(states).toEqual(["abstaining abstaining abstaining"]);
    expect(waits).toEqual([
      {
        group: "t",
        instances: ["a", "b", "c"],
        waitMs: 507,
        reason: "no instance of the group may vote yet: it is new, or all of them lost their data",
        option: "assumeNew",
      },
    ]);
  });

  test.each([1, 2])("of %i instances waits just so", async (count) => {
    const group = await opened.open(redis.urls.slice(0, count), { assumeNew: false });
    const before = new Set(statesOf(group).split(" "));

    await untilStates(group, Array.from({ length: count }, () => "member").join(" "));

    expect(before).toEqual(new Set(["abstaining"]));
  });

  test("is agreed on by processes that open it at the same moment", async () => {
    const groups = await Promise.all(
      Array.from({ length: 4 }, () => opened.open(redis.urls, { assumeNew: false })),
    );

    for (const group of groups) await untilStates(group, "member member member");
    const records = await Promise.all([0, 1, 2].map((at) => admins[at]!.get("t:boot")));
    for (const group of groups) expect(group.members.map(({ boot }) => boot)).toEqual(records);
  });

  test("starts its fencing tokens ahead of what any clock allowed", async () => {
    const lost = await heardOn("coterie:lock:data-loss", async () => {
      const group = await opened.open(redis.urls, { assumeNew: false });
      await untilStates(group, "member member member");
    });
    const aheadUs = (systemEnv.clock.wallNow() + 1_199_000) * 1000;

    expect(lost.flatMap(({ instances }) => instances).toSorted()).toEqual(["a", "b", "c"]);
    for (const admin of admins) {
      const counters = Object.values(await admin.hgetall("t:counters")).map(Number);
      expect(counters).toHaveLength(1024);
      expect(Math.min(...counters)).toBeGreaterThan(aheadUs);
      expect(await admin.pttl("t:counters")).toBe(-1);
    }
  });
});

describe("a connection that is made again", () => {
  test("to the same run of the server costs no wait, and nothing is sent before it was looked at", async () => {
    const group = await opened.open(redis.urls);
    const member = memberOf(group, "a");
    const { boot } = member;
    const seen: (string | undefined)[] = [];
    member.instance.onChange(() => {
      if (member.instance.connections === 2) seen.push(member.boot);
    });

    await admins[0]!.call("client", "kill", "type", "normal", "skipme", "yes");
    await until("it is connected anew", () => member.instance.connections === 2);
    await untilStates(group, "member member member");

    expect(seen[0]).toBeUndefined();
    expect(member.boot).toBe(boot);
  });

  test("is noticed even before anybody is told of it", async () => {
    const [real] = (await opened.open(redis.urls.slice(0, 1), { name: "real" })).members;
    let made = 0;
    // The instance itself, but for the number of its connection.
    const instance = new Proxy(real!.instance, {
      get(target, name) {
        if (name === "connections") return target.connections + made;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const group = new LockGroup([instance], GROUP_SETTINGS, systemEnv);
    await group.open();
    const [member] = group.members;

    const boots = [member!.boot];
    made = 1;
    boots.push(member!.boot);
    const why = member!.refusal();
    group.destroy();

    expect(boots).toEqual([expect.stringContaining(" member "), undefined]);
    expect(why?.code).toBe("UNREACHABLE");
  });

  test("to a paused server is tried again until it wakes up", async () => {
    const group = await opened.open(redis.urls);
    await servers[0]!.pause();
    await untilStates(group, "unreachable member member");
    await systemEnv.clock.sleep(400);
    await servers[0]!.resume();
    await untilStates(group, "member member member");

    expect(memberOf(group, "a").refusal()).toBeUndefined();
  });
});

test("a record that another process changed is looked at when a script says so", async () => {
  const group = await opened.open(redis.urls, { leaseMsMax: 60_000 });
  const member = memberOf(group, "a");
  const record = await recordOf(0);
  const changes: boolean[] = [];
  member.onChange(() => changes.push(member.boot !== undefined));

  const changed = encodeBoot({ ...record, nonce: "0123456789abcdef" });
  await admins[0]!.set("t:boot", changed);
  member.doubt();
  const bootInDoubt = member.boot;
  await until("it was looked at", () => member.boot !== undefined);

  expect(bootInDoubt).toBeUndefined();
  expect(member.boot).toBe(changed);
  expect(changes).toEqual([false, true]);
});

test("a group that is closed leaves nothing running, and sends nothing", async () => {
  const group = await opened.open(redis.urls);
  const [member] = group.members;

  await group.close();
  member!.doubt();
  await systemEnv.clock.sleep(250);

  expect(group.members.map(({ boot }) => boot)).toEqual([undefined, undefined, undefined]);
  expect(member!.refusal()?.code).toBe("CLOSED");
  for (const admin of admins) {
    const clients = String(await admin.client("LIST"));
    expect(clients.trim().split("\n")).toHaveLength(1);
  }
});

test("a group that is destroyed has no timer left, whatever its members were doing", async () => {
  const pending = new Set<object>();
  const count = (timer: Timer, key: object): Timer => ({
    cancel: () => {
      pending.delete(key);
      timer.cancel();
    },
  });
  const timers: Timers = {
    after: (ms, callback, options) => {
      const key = {};
      pending.add(key);
      const fire = (): void => {
        pending.delete(key);
        callback();
      };
      return count(systemEnv.timers.after(ms, fire, options), key);
    },
    every: (ms, callback, options) => {
      const key = {};
      pending.add(key);
      return count(systemEnv.timers.every(ms, callback, options), key);
    },
  };
  const group = await opened.open(redis.urls, { env: { ...systemEnv, timers } });
  await servers[0]!.kill();
  await servers[1]!.pause();
  await servers[2]!.restart({ wipe: true });
  await until("they are away, silent and waiting", () => statesOf(group).endsWith("abstaining"));
  const before = pending.size;

  group.destroy();
  await systemEnv.clock.sleep(20);

  expect(before).toBeGreaterThan(5);
  expect(pending.size).toBe(0);
});

test("opening can be aborted", async () => {
  await servers[0]!.pause();
  const group = opened.create(redis.urls);

  const error = await rejection(() => group.open(AbortSignal.timeout(50)), "ABORTED");

  expect(error.retryable).toBe(true);
});

test("a group whose members never were its own is refused", async () => {
  const [port = 0] = await freePorts(1);
  const url = `redis://127.0.0.1:${port}`;
  const bad: [string, () => unknown][] = [
    ["none", () => opened.create([])],
    ["an id twice", () => opened.create([url, url], { ids: ["a", "a"] })],
    ["half a character", () => opened.create([url], { ids: ["a\ud800"] })],
    ["a stranger as durable", () => opened.create([url], { durable: ["z"] })],
  ];

  for (const [, create] of bad) await rejection(create, "INVALID_OPTION");

  expect(bad).toHaveLength(4);
});
