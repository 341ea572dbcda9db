import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

import { batchNSource } from "../../../src/locks/scripts/generated.ts";
import { type RedisGroup, startRedis } from "../../../src/testing/index.ts";
import {
  bytesOf,
  contents,
  errorText,
  plain,
  type PlainReply,
  requireAlike,
  simCall,
} from "../../support/sim/redis/compare.ts";
import { SimRedis } from "../../support/sim/redis/sim-redis.ts";
import { batchCalls, shortAndGeneral } from "./batch-calls.ts";
import { LUA_CASES } from "./lua-cases.ts";

const BOOT = "1 30000 digest id run member nonce 0";
/** Clients whose wake-up channel somebody listens to. */
const LISTENING = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"].map((id) => `P:wake:${id}`);

let group: RedisGroup;
let real: Redis;
let subscriber: Redis;
let messages: string[] = [];

beforeAll(async () => {
  group = await startRedis({ count: 1 });
  real = new Redis(group.urls[0]!, { protocol: 2 });
  subscriber = new Redis(group.urls[0]!);
  await subscriber.subscribe(...LISTENING);
  subscriber.on("message", (channel: string, message: string) => messages.push(`${channel} ${message}`));
});
afterAll(async () => {
  real.disconnect();
  subscriber.disconnect();
  await group.stop();
});

/** The machine's own wall clock in microseconds: the one that the real server looks at. */
const wallUs = (): number => (performance.timeOrigin + performance.now()) * 1000;

async function ask(words: readonly string[]): Promise<PlainReply> {
  const [name = "", ...args] = words;
  try {
    return (await real.call(name, ...args)) as PlainReply;
  } catch (error) {
    return errorText((error as Error).message);
  }
}

async function requireEqualContents(sim: SimRedis): Promise<void> {
  requireAlike("what is left", await contents(ask), await contents(simCall(sim)));
}

const key = fc.constantFrom("s1", "s2", "h", "z", "l", "ü*[a]");
const member = fc.constantFrom("a", "b", "ab", "ü", "", "10");
const whole = fc.constantFrom("0", "1", "-1", "2", "-2", "7", "1.5", "x", "9007199254740993");
const score = fc.constantFrom("0", "1", "-1.5", "1767225600000123", "3e2", "inf", "-inf", "x", "0.1");
const bound = fc.constantFrom("-inf", "+inf", "(1", "1", "300", "(1767225600000123", "(x", "inf");
const lifeMs = fc.constantFrom("60000", "100000", "0", "-5", "x");
/** No two alike, so that a millisecond between two servers does not decide which is longer. */
const anyLifeMs = fc.integer({ min: 2_000, max: 90_000 }).map((n) => String(n * 100));
const words = (...parts: readonly (fc.Arbitrary<string | readonly string[]> | string)[]) =>
  fc
    .tuple(...parts.map((part) => (typeof part === "string" ? fc.constant(part) : part)))
    .map((all) => all.flat());
const some = (of: fc.Arbitrary<string>, most = 4) => fc.array(of, { maxLength: most });

const setOption = fc.oneof(
  fc.constantFrom(["NX"], ["xx"], ["KEEPTTL"], ["GET"], ["PX"], ["ZZ"]),
  words(fc.constantFrom("PX", "EX"), lifeMs),
);
const scoreAndMember = words(score, member);
const rangeOption = fc.constantFrom(
  ["WITHSCORES"],
  ["BYSCORE"],
  ["REV"],
  ["LIMIT", "1", "1"],
  ["LIMIT", "1"],
  ["ZZ"],
);
const addOption = fc.constantFrom(["NX"], ["XX"], ["GT"], ["lt"], ["CH"]);
const several = (of: fc.Arbitrary<readonly string[]>, most: number) =>
  fc
    .uniqueArray(of, { maxLength: most, selector: ([word]) => word?.toUpperCase() })
    .map((all) => all.flat());

const command = fc.oneof(
  words("SET", key, member, several(setOption, 3)),
  words(fc.constantFrom("GET", "PTTL", "TYPE", "PERSIST", "ZCARD", "LLEN", "INCR"), key),
  words(fc.constantFrom("HGETALL", "HKEYS", "HLEN"), key),
  words(fc.constantFrom("DEL", "EXISTS", "UNLINK", "MGET", "TTL"), some(key, 3)),
  words("PEXPIRE", key, lifeMs, fc.constantFrom([], ["NX"], ["XX"])),
  words("PEXPIRE", key, anyLifeMs, fc.constantFrom(["GT"], ["LT"])),
  words(fc.constantFrom("HGET", "HEXISTS", "ZSCORE", "ZRANK", "GET"), key, member),
  words("HSET", key, some(member, 5)),
  words("HSETNX", key, member, member),
  words(fc.constantFrom("HMGET", "HDEL", "ZREM", "ZMSCORE"), key, some(member, 3)),
  words("INCRBY", key, whole),
  words("RPUSH", key, some(member, 3)),
  words("LRANGE", key, whole, whole),
  words("ZADD", key, several(addOption, 2), several(scoreAndMember, 3)),
  words("ZRANGE", key, fc.oneof(whole, bound), fc.oneof(whole, bound), several(rangeOption, 3)),
  words("ZRANGEBYSCORE", key, bound, bound, fc.constantFrom([], ["WITHSCORES"], ["LIMIT", "0", "2"])),
  words(fc.constantFrom("ZCOUNT", "ZREMRANGEBYSCORE"), key, bound, bound),
  words("ZREMRANGEBYRANK", key, whole, whole),
);

test("each command answers as a real Redis does, and leaves the same data", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), async (commands) => {
      await real.flushall();
      const sim = new SimRedis({ runId: "sim", wallUs });
      const call = simCall(sim);
      const expected = await Promise.all(commands.map(ask));

      const got = commands.map(call);

      commands.forEach((each, at) => requireAlike(each, expected[at] as PlainReply, got[at] as PlainReply));
      await requireEqualContents(sim);
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("what only a server knows has the form that a handshake reads", async () => {
  const sim = new SimRedis({ runId: "0123", wallUs });
  const call = simCall(sim);
  const lineOf = (text: PlainReply, name: string) =>
    new RegExp(`^${name}:(.*)\r$`, "m").exec(String(text))?.[1];

  for (const name of ["redis_mode", "role", "maxmemory_policy", "cluster_enabled", "loading"]) {
    expect([name, lineOf(call(["INFO"]), name)]).toEqual([name, lineOf(await ask(["INFO"]), name)]);
  }
  const policy = ["CONFIG", "GET", "maxmemory-policy"];
  expect(call(policy)).toEqual(await ask(policy));
  expect(call(["ROLE"])).toHaveLength(3);
  expect(lineOf(call(["INFO", "server"]), "run_id")).toBe("0123");
  expect(() => call(["XADD", "s", "*", "a", "b"])).toThrow("no command XADD");
});

test("keys end by the server's wall clock, and PTTL counts down to it", () => {
  let nowUs = 1_767_225_600_000_000;
  const sim = new SimRedis({ runId: "sim", wallUs: () => nowUs });
  const call = simCall(sim);
  call(["SET", "k", "v", "PX", "10"]);

  nowUs += 9_500;
  expect([call(["PTTL", "k"]), call(["GET", "k"])]).toEqual([1, "v"]);
  nowUs += 600;
  expect([call(["PTTL", "k"]), call(["EXISTS", "k"])]).toEqual([0, 1]);
  nowUs += 1_000;
  expect([call(["PTTL", "k"]), call(["GET", "k"])]).toEqual([-2, null]);
});

test("scripts of every construct that ours use run as in a real Redis", async () => {
  const sim = new SimRedis({ runId: "sim", wallUs });
  for (const source of LUA_CASES) {
    await real.flushall();
    sim.db.clear();
    const expected = await ask(["EVAL", source, "1", "key", "arg", "ü"]);

    const got = plain(sim.run({ name: "case", source }, ["key"], ["arg", "\u00C3\u00BC"]));

    expect([source, got]).toEqual([source, expected]);
  }
});

test("the lock scripts answer as in a real Redis, and leave the same data and messages", async () => {
  const source = batchNSource;
  const sha = (await real.script("LOAD", source)) as string;
  await fc.assert(
    fc.asyncProperty(batchCalls(), async (calls) => {
      await real.flushall();
      messages = [];
      const heard: string[] = [];
      const sim = new SimRedis({
        runId: "sim",
        wallUs,
        subscribers: (channel) => (LISTENING.includes(channel) ? 1 : 0),
        publish: (channel, message) => {
          if (!LISTENING.includes(channel)) return 0;
          heard.push(`${channel} ${Buffer.from(message, "latin1").toString()}`);
          return 1;
        },
      });
      await real.set("P:boot", BOOT);
      sim.execute(["SET", "P:boot", BOOT]);

      for (const { keys, args } of calls) {
        const stamped = [BOOT, "P", String(Math.floor(wallUs())), ...args];
        const expected = await ask(["EVALSHA", sha, String(keys.length), ...keys, ...stamped]);
        const got = plain(sim.run({ name: "batch-n", source }, keys.map(bytesOf), stamped.map(bytesOf)));
        requireAlike(args, expected, got);
      }

      await requireEqualContents(sim);
      await subscriber.ping();
      expect(heard).toEqual(messages);
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("an op in its shorter form does what the general one does, and so do several together", () => {
  fc.assert(
    fc.property(shortAndGeneral(), (calls) => {
      let nowUs = 1_767_225_600_000_000;
      const servers = [0, 1].map(() => {
        const heard: string[] = [];
        const publish = (channel: string, message: string): number =>
          heard.push(`${channel} ${message}`) > 0 ? 1 : 0;
        const subscribers = (): number => 1;
        const sim = new SimRedis({ runId: "sim", wallUs: () => nowUs, subscribers, publish });
        sim.execute(["SET", "P:boot", BOOT]);
        return { sim, heard };
      });
      for (const { keys, forms } of calls) {
        nowUs += 10_000;
        const answers = servers.map(({ sim }, at) => {
          const stamped = [BOOT, "P", String(nowUs), ...forms[at as 0 | 1]];
          return plain(sim.run({ name: "batch-n", source: batchNSource }, keys, stamped));
        });
        expect(answers[0]).toEqual(answers[1]);
      }
      const [left, right] = servers.map(({ sim }) => {
        const all = [...sim.db.copy()];
        const entries = all.map(([name, { value, expiresAt }]) => {
          // How long clients and queues live is noted anew by ops in the general form alone.
          return { name, value, expiresAt: name.startsWith("P:lock:") ? expiresAt : undefined };
        });
        return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      });
      expect(left).toEqual(right);
      expect(servers[0]!.heard).toEqual(servers[1]!.heard);
    }),
    { numRuns: 300 },
  );
}, 60_000);
