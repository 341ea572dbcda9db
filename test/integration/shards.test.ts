import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { defineScript } from "../../src/redis/index.ts";
import { openShards, type Shards } from "../../src/shards/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { keysByOwner, OpenShards } from "../support/open-shards.ts";
import { rejection } from "../support/reject.ts";

let redis: RedisGroup;
let direct: Redis[];
let shards: Shards;
const opened = new OpenShards();

beforeAll(async () => {
  redis = await startRedis({ count: 3 });
  direct = redis.urls.map((url) => new Redis(url));
});
beforeEach(async () => {
  await Promise.all(direct.map((client) => client.flushall()));
  shards = await opened.open(redis.urls);
});
afterEach(() => opened.destroyAll());
afterAll(async () => {
  for (const client of direct ?? []) client.disconnect();
  await redis.stop();
});

/** The instance that holds the key, looked up on the servers themselves. */
async function holders(key: string): Promise<string[]> {
  const found = await Promise.all(direct.map((client) => client.exists(key)));
  return found.flatMap((exists, at) => (exists === 1 ? ["abc"[at]!] : []));
}

test("each key is on its owner and nowhere else", async () => {
  const keys = Array.from({ length: 300 }, (_, n) => `user:${n}`);

  await Promise.all(keys.map((key) => shards.set(key, key)));

  for (const key of keys) expect(await holders(key)).toEqual([shards.ring.owner(key)]);
  expect(new Set(keys.map((key) => shards.for(key).id)).size).toBe(3);
});

test("the order in which instances are given changes no owner", async () => {
  const other = await openShards({
    instances: redis.urls.map((url, at) => ({ id: "abc"[at]!, url })).toReversed(),
  });

  const keys = Array.from({ length: 500 }, (_, n) => `k${n}`);
  const same = keys.every((key) => other.for(key).id === shards.for(key).id);
  other.destroy();

  expect(same).toBe(true);
});

test("keys of bytes and keys of text agree on their owner", async () => {
  await shards.set(Buffer.from("ключ"), "v");

  expect(await shards.get("ключ")).toBe("v");
});

test("the commands of one key do what Redis does", async () => {
  const done = [
    await shards.set("s", "1", { ttlMs: 60_000, when: "absent" }),
    await shards.set("s", "2", { when: "absent" }),
    await shards.incrby("s", 4),
    await shards.append("s", "0"),
    await shards.strlen("s"),
    (await shards.pttl("s")) > 50_000,
    await shards.persist("s"),
    await shards.ttl("s"),
    await shards.getdel("s"),
    await shards.get("s"),
    await shards.hset("h", { a: 1, b: "x" }),
    await shards.hgetall("h"),
    await shards.hmget("h", ["a", "none"]),
    await shards.rpush("l", ["x", "y", "z"]),
    await shards.lrange("l", 0, -1),
    await shards.lpop("l"),
    await shards.sadd("m", ["p", "q", "p"]),
    await shards.sismember("m", "p"),
    await shards.zadd("z", { ann: 2, bob: 1 }),
    await shards.zrange("z", 0, -1),
    await shards.zscore("z", "ann"),
    await shards.type("z"),
  ];

  expect(done).toEqual([
    "OK",
    null,
    5,
    2,
    2,
    true,
    1,
    -1,
    "50",
    null,
    2,
    { a: "1", b: "x" },
    ["1", null],
    3,
    ["x", "y", "z"],
    "x",
    2,
    1,
    2,
    ["bob", "ann"],
    "2",
    "zset",
  ]);
});

test("a command without a method of its own goes through call, with bytes if asked", async () => {
  await shards.call("setrange", "k", [2, "x"]);

  expect(await shards.call("getrange", "k", [0, -1], { reply: "bytes" })).toEqual(Buffer.from("\0\0x"));
});

test("several keys are split by owner and put together in their order", async () => {
  const keys = Array.from({ length: 60 }, (_, n) => `k${n}`);
  await shards.mset(keys.map((key) => [key, `value of ${key}`]));

  const asked = ["none", ...keys.toReversed(), "k7", "none", "k7"];
  const values = await shards.mget(asked);

  expect(values).toEqual(asked.map((key) => (key === "none" ? null : `value of ${key}`)));
  expect(await shards.exists(asked)).toBe(62);
  expect(await shards.del([...keys, "none"])).toBe(60);
  expect(await shards.unlink("k1")).toBe(0);
});

test("mset takes a record as well", async () => {
  await shards.mset({ a: 1, b: "2", c: Buffer.from("3") });

  expect(await shards.mget(["a", "b", "c"])).toEqual(["1", "2", "3"]);
});

test("a pipeline over all shards gives each command its own result, in order", async () => {
  await shards.set("text", "x");
  const pipeline = shards.pipeline();
  for (let n = 0; n < 50; n += 1) pipeline.set(`p${n}`, n);
  pipeline.lpush("text", ["fails"]).call("setrange", "p1", [0, "9"]).get("p1");

  const results = await pipeline.exec();

  expect(results).toHaveLength(53);
  expect(results.slice(0, 50).every((result) => result.status === "fulfilled" && result.value === "OK")).toBe(
    true,
  );
  expect(results[50]).toMatchObject({ status: "rejected", reason: { code: "REPLY_ERROR" } });
  expect(results[52]).toEqual({ status: "fulfilled", value: "9" });
  await rejection(() => pipeline.exec(), "INVALID_ARGUMENT");
});

test("an empty pipeline has no results", async () => {
  expect(await shards.pipeline().exec()).toEqual([]);
});

test("a pipeline sends one socket write per shard", async () => {
  const written: string[] = [];
  for (const { id } of shards.ring.members) {
    const key = keysByOwner(shards, 1).get(id)![0]!;
    const stream = Reflect.get(shards.for(key).client, "stream") as {
      _write: (...args: unknown[]) => unknown;
    };
    const write = stream._write.bind(stream);
    stream._write = (...args) => {
      written.push(id);
      return write(...args);
    };
  }
  const pipeline = shards.pipeline();
  for (let n = 0; n < 300; n += 1) pipeline.set(`w${n}`, n);

  await pipeline.exec();

  expect(written.toSorted()).toEqual(["a", "b", "c"]);
});

test("scan gives every key of every shard", async () => {
  const keys = Array.from({ length: 1500 }, (_, n) => `item:${n}`);
  await shards.mset(keys.map((key) => [key, "x"]));
  await shards.sadd("other", ["x"]);

  const all = new Set<string>();
  for await (const key of shards.scan({ match: "item:*", count: 100 })) all.add(key);
  const sets: string[] = [];
  for await (const key of shards.scan({ type: "set" })) sets.push(key);

  expect(all).toEqual(new Set(keys));
  expect(sets).toEqual(["other"]);
});

test("an option that a scan does not have is refused", async () => {
  const error = await rejection(() => shards.scan({ reply: "bytes" } as never).next(), "INVALID_OPTION");

  expect(error.message).toContain('scan: unknown option "reply"');
});

test("a scan ends with the loop that reads it, and with its signal", async () => {
  await shards.mset(Array.from({ length: 900 }, (_, n) => [`k${n}`, "x"] as const));
  const aborting = new AbortController();

  let seen = 0;
  for await (const _ of shards.scan()) if (++seen === 3) break;
  const aborted = await rejection(async () => {
    for await (const _ of shards.scan({ signal: aborting.signal, count: 10 })) aborting.abort();
  }, "ABORTED");

  expect(seen).toBe(3);
  expect(aborted.retryable).toBe(true);
});

test.each<[string, (foreign: string) => (string | number)[]]>([
  ["mset", (foreign) => ["1", foreign, "2"]],
  ["DEL", (foreign) => [foreign]],
  ["rename", (foreign) => [foreign]],
  ["mget", (foreign) => [foreign]],
  ["zunionstore", (foreign) => [1, foreign]],
])("%s through call over keys of two owners is refused, and changes nothing", async (name, rest) => {
  const [own, foreign] = [...keysByOwner(shards, 1).values()].map(([key]) => key!) as [string, string];
  await shards.set(own, "x");

  const error = await rejection(() => shards.call(name, own, rest(foreign)), "CROSS_SHARD");

  expect(error.message).toContain("2 owners (a, b)");
  expect(await shards.mget([own, foreign])).toEqual(["x", null]);
});

test("several keys of one owner go through call", async () => {
  await shards.call("mset", "{t}:a", ["1", "{t}:b", "2"]);
  await shards.call("rename", "{t}:a", ["{t}:c"]);

  expect(await shards.call("mget", "{t}:b", ["{t}:c"])).toEqual(["2", "1"]);
});

test.each(["flushall", "OBJECT", "eval", "xread", ""])(
  "%j cannot be routed by its first argument, and is refused",
  async (name) => {
    const error = await rejection(() => shards.call(name, "k", ["x"]), "INVALID_ARGUMENT");

    expect(error.message).toContain("shards.for(key).call");
  },
);

const move = defineScript({
  name: "move",
  keyCount: 2,
  source:
    "redis.call('set', KEYS[2], redis.call('getdel', KEYS[1]) .. ARGV[1]) return redis.call('get', KEYS[2])",
});

test("a script runs where its keys are", async () => {
  await shards.set("{order:7}:from", "x");

  expect(await shards.eval(move, ["{order:7}:from", "{order:7}:to"], ["!"])).toBe("x!");
  expect(await holders("{order:7}:to")).toEqual([shards.ring.owner("order:7")]);
});

test("a script over keys of two owners is refused, and changes nothing", async () => {
  const owners = [...keysByOwner(shards, 1).values()].map(([key]) => key!);
  await shards.set(owners[0]!, "x");

  const error = await rejection(() => shards.eval(move, owners.slice(0, 2), ["!"]), "CROSS_SHARD");

  expect(error.message).toContain('script "move": its 2 keys have 2 owners (a, b), one is needed');
  expect(await shards.get(owners[0]!)).toBe("x");
});

test.each<[string, () => Promise<unknown>]>([
  ["get(undefined)", () => shards.get(undefined as never)],
  ["set(7, x)", () => shards.set(7 as never, "x")],
  ["set(k, {})", () => shards.set("k", {} as never)],
  ["hset({}, ...)", () => shards.hset({} as never, { a: 1 })],
  ["call(get, null)", () => shards.call("get", null as never)],
  ["mget(text)", () => shards.mget("k" as never)],
  ["mget([])", () => shards.mget([])],
  ["mget([null])", () => shards.mget([null as never])],
  ["mset(null)", () => shards.mset(null as never)],
  ["mset({})", () => shards.mset({})],
  ["del([])", () => shards.del([])],
  ["eval without keys", () => shards.eval(move, [])],
])("%s rejects with INVALID_ARGUMENT", async (_, call) => {
  await rejection(call, "INVALID_ARGUMENT");
});

test.each<[string, unknown, RegExp]>([
  ["no options", undefined, /option instances must have at least one element, got none/],
  ["an empty list", { instances: [] }, /at least one element/],
  [
    "a repeated id",
    {
      instances: [
        { id: "a", url: "redis://h" },
        { id: "a", url: "redis://i" },
      ],
    },
    /id "a" is given twice/,
  ],
  ["a repeated address", { instances: ["redis://h", "redis://h:6379"] }, /id "h:6379" is given twice/],
  ["an unknown option", { instances: ["redis://h"], deadline: 5 }, /unknown option "deadline"/],
  [
    "a deadline of 0",
    { instances: ["redis://h"], deadlineMs: 0 },
    /deadlineMs must be an integer from 1 to \d+, got 0/,
  ],
  [
    "another purpose",
    { instances: ["redis://h"], purpose: "both" },
    /purpose must be one of "store", "cache", got "both"/,
  ],
])("openShards with %s is refused", async (_, options, message) => {
  const error = await rejection(() => openShards(options as never), "INVALID_OPTION");

  expect(error.message).toMatch(message);
});

test("weights set the shares", async () => {
  const weighted = await openShards({
    instances: redis.urls.map((url, at) => ({ id: "abc"[at]!, url, weight: at + 1 })),
  });
  const { shares } = weighted.status();
  weighted.destroy();

  for (const [at, id] of ["a", "b", "c"].entries()) {
    expect(Math.abs(shares[id]! / ((at + 1) / 6) - 1)).toBeLessThan(0.051);
  }
});

test("after close every call fails with CLOSED, and what was in flight was answered", async () => {
  const inFlight = Promise.all(Array.from({ length: 30 }, (_, n) => shards.set(`k${n}`, "x")));

  await shards.close();

  expect(new Set(await inFlight)).toEqual(new Set(["OK"]));
  await rejection(() => shards.get("k"), "CLOSED");
  await rejection(() => shards.mget(["k"]), "CLOSED");
  await rejection(async () => {
    for await (const _ of shards.scan()) break;
  }, "CLOSED");
  await shards.close();
});

test("no connection is left on the servers after close", async () => {
  const connections = async (client: Redis): Promise<number> =>
    String(await client.client("LIST")).trim().split("\n").length;
  const count = (): Promise<number[]> => Promise.all(direct.map(connections));
  const before = await count();

  await shards.close();
  const wanted = before.map((connected) => connected - 1);
  let after = await count();
  for (let tries = 0; tries < 200 && String(after) !== String(wanted); tries += 1) after = await count();

  expect(after).toEqual(wanted);
});
