/** Fenced writes on real Redis, through each kind of client, in every order, and with anything as a key. */
import { createRequire } from "node:module";

import fc from "fast-check";
import { Cluster, Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { arcOf, fencedSet, type FencedClient, type Key } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { freePorts } from "../support/free-ports.ts";
import { OpenShards } from "../support/open-shards.ts";
import { rejection } from "../support/reject.ts";

const { Redis: Redis5 } = createRequire(import.meta.url)("ioredis5") as { readonly Redis: typeof Redis };

let redis: RedisGroup;
let direct: Redis[];
const opened = new OpenShards();
const clients: Redis[] = [];

beforeAll(async () => {
  redis = await startRedis({ count: 3 });
  direct = redis.urls.map((url) => new Redis(url));
});
beforeEach(async () => {
  await Promise.all(direct.map((one) => one.flushall()));
});
afterEach(() => {
  opened.destroyAll();
  for (const one of clients.splice(0)) one.disconnect();
});
afterAll(async () => {
  for (const one of direct ?? []) one.disconnect();
  await redis.stop();
});

function client(make: typeof Redis = Redis, options: { readonly keyPrefix?: string } = {}): Redis {
  const made = new make(redis.urls[0]!, { ...options, maxRetriesPerRequest: 0, retryStrategy: () => null });
  clients.push(made);
  return made;
}

const KINDS: readonly (readonly [string, () => FencedClient | Promise<FencedClient>])[] = [
  ["shards", () => opened.open(redis.urls)],
  ["an instance", async () => (await opened.open(redis.urls.slice(0, 1))).for("any")],
  ["ioredis 6", () => client()],
  ["ioredis 5", () => client(Redis5)],
  ["ioredis with a prefix", () => client(Redis, { keyPrefix: "app:" })],
];

describe.each(KINDS)("through %s", (_kind, open) => {
  test("L3: a write with an older token is refused and changes nothing, an equal or newer one is made", async () => {
    const target = await open();

    expect(await fencedSet(target, "invoice:7", "first", 5)).toBe(true);
    expect(await fencedSet(target, "invoice:7", "again", 5)).toBe(true);
    expect(await fencedSet(target, "invoice:7", "newer", 9)).toBe(true);
    expect(await fencedSet(target, "invoice:7", "late", 8)).toBe(false);

    expect(await valuesLike("*invoice:7")).toEqual(["newer"]);
  });

  test("a server that has forgotten its scripts is sent the source", async () => {
    const target = await open();
    await fencedSet(target, "key", "one", 1);
    await Promise.all(direct.map((one) => one.script("FLUSH")));

    expect(await fencedSet(target, "key", "two", 2)).toBe(true);
  });

  test("what the server refuses is told as its refusal", async () => {
    const target = await open();
    await fencedSet(target, "key", "value", 1);
    for (const one of direct) {
      for (const fence of await one.keys("*coterie:fence*")) await one.set(fence, "no number");
    }

    const error = await rejection(() => fencedSet(target, "key", "other", 2), "REPLY_ERROR");

    expect(error.message).toContain("the fencing token beside the value is not a number");
    expect(await valuesLike("*key")).toEqual(["value"]);
  });
});

/** The texts at all keys of this pattern, those of tokens left out. */
async function valuesLike(pattern: string): Promise<(string | null)[]> {
  const found = await Promise.all(
    direct.map(async (one) => {
      const keys = (await one.keys(pattern)).filter((key) => !key.includes("coterie:fence"));
      return Promise.all(keys.map((key) => one.get(key)));
    }),
  );
  return found.flat();
}

test("in whatever order writes arrive, the value of the largest token stands at the end", async () => {
  const target = client();
  const anyToken = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const writes = fc.array(anyToken, { minLength: 1, maxLength: 12 });

  await fc.assert(
    fc.asyncProperty(writes, async (tokens) => {
      await direct[0]!.flushall();

      const made = await Promise.all(tokens.map((token) => fencedSet(target, "key", String(token), token)));

      const largest = tokens.map((token, at) => token >= Math.max(...tokens.slice(0, at + 1)));
      expect(made).toEqual(largest);
      expect(await direct[0]!.get("key")).toBe(String(Math.max(...tokens)));
    }),
    { numRuns: 60 },
  );
});

test("two tokens that differ in the last of 53 bits are told apart", async () => {
  const target = client();
  await fencedSet(target, "key", "newest", Number.MAX_SAFE_INTEGER);

  expect(await fencedSet(target, "key", "late", Number.MAX_SAFE_INTEGER - 1)).toBe(false);
  expect(await fencedSet(target, "key", "same", Number.MAX_SAFE_INTEGER)).toBe(true);
});

test("bytes, text and numbers are written as they are, over a value of any type", async () => {
  const target = client();
  const bytes = Buffer.from([0, 255, 10, 13]);
  await direct[0]!.lpush("list", "item");
  await direct[0]!.set("expiring", "x", "PX", 60_000);

  for (const [key, value] of [["list", bytes], ["expiring", 7], ["text", ""]] as const) {
    expect(await fencedSet(target, key, value, 1)).toBe(true);
  }

  expect(await direct[0]!.getBuffer("list")).toEqual(bytes);
  expect([await direct[0]!.get("expiring"), await direct[0]!.pttl("expiring")]).toEqual(["7", -1]);
  expect(await direct[0]!.get("text")).toBe("");
});

test("in Redis Cluster a key and its fence are in one slot, whatever the key's tag", async () => {
  const [busPort = 0] = await freePorts(1);
  const announced = { "cluster-announce-ip": "127.0.0.1" };
  const config = { "cluster-enabled": true, "cluster-port": busPort, ...announced };
  await using group = await startRedis({ count: 1, config });
  const { host, port, url } = group.instances[0]!;
  const member = new Redis(url);
  clients.push(member);
  await member.call("CLUSTER", ["ADDSLOTSRANGE", 0, 16_383]);
  const cluster = new Cluster([{ host, port }], { retryDelayOnClusterDown: 20 });

  const keys = ["plain", "{tag}", "a{tag}b", "a{b"];
  const made = await Promise.all(keys.map((key) => fencedSet(cluster, key, key, 5)));
  const late = await Promise.all(keys.map((key) => fencedSet(cluster, key, "late", 4)));
  cluster.disconnect();

  expect(made).toEqual(keys.map(() => true));
  expect(late).toEqual(keys.map(() => false));
});

describe("a key and its fence", () => {
  const texts: readonly string[] = ["plain", "{tag}", "a{tag}b", "tag", "{{", "a{b", "ключ", "{plain}"];

  test("have one owner, and every key has a fence of its own", async () => {
    const shards = await opened.open(redis.urls);
    for (const key of texts) expect(await fencedSet(shards, key, key, 5)).toBe(true);
    const stored = (await Promise.all(direct.map((one) => one.keys("*")))).flat();
    const fences = stored.filter((key) => key.startsWith("coterie:fence"));

    expect(fences).toHaveLength(texts.length);
    for (const key of texts) {
      const own = [`coterie:fence:${key}`, `coterie:fence-of:{${key}}`].filter((one) => fences.includes(one));
      expect(own.map(arcOf)).toEqual([arcOf(key)]);
    }
  });

  test("text and its bytes are one key with one fence", async () => {
    const target = client();
    const bytes: Key = Buffer.from("ключ{я}");

    await fencedSet(target, "ключ{я}", "text", 5);

    expect(await fencedSet(target, bytes, "bytes", 4)).toBe(false);
    expect(await direct[0]!.dbsize()).toBe(2);
  });

  test.each(["}", "a}b", "{}", "x{}{y}z{}"])("cannot be together for %s, which is refused", async (key) => {
    const error = await rejection(() => fencedSet(client(), key, "value", 1), "INVALID_ARGUMENT");

    expect(error.message).toContain("a key with a brace needs a whole {hash tag}");
    expect(await direct[0]!.dbsize()).toBe(0);
  });
});

describe("bad input is refused before anything is sent", () => {
  const bad: readonly (readonly [string, readonly unknown[], string])[] = [
    ["no client", [undefined, "key", "value", 1], "got undefined"],
    ["a client of another kind", [{ get: () => "x" }, "key", "value", 1], "an instance or an ioredis client"],
    ["an empty key", [{}, "", "value", 1], "key must be text or bytes, and not empty"],
    ["a number as key", [{}, 7, "value", 1], "key must be text or bytes"],
    ["an object as value", [{}, "key", {}, 1], "value must be text, bytes or a finite number, got object"],
    ["NaN as value", [{}, "key", Number.NaN, 1], "value must be text"],
    ["a token of 0", [{}, "key", "value", 0], "from 1 to 2^53 - 1, got 0"],
    ["a fraction as token", [{}, "key", "value", 1.5], "got 1.5"],
    ["a token beyond 2^53", [{}, "key", "value", 2 ** 53], "got 9007199254740992"],
    ["text as token", [{}, "key", "value", "7"], 'got "7"'],
  ];

  test.each(bad)("%s", async (_name, args, message) => {
    const call = fencedSet as (...all: readonly unknown[]) => Promise<boolean>;

    const error = await rejection(() => call(...args), "INVALID_ARGUMENT");

    expect(error.message).toContain(message);
  });
});

test("a write without an answer says that it may have been made", async () => {
  const shards = await opened.open(redis.urls);
  const target = client();
  await target.ping();
  const asked = ["a", "b", "c"].map((id) => redis.instances["abc".indexOf(id)]!);
  await Promise.all(asked.map((one) => one.pause()));

  const viaShards = rejection(() => fencedSet(shards, "key", "value", 1), "MAYBE_APPLIED");
  const viaClient = rejection(() => fencedSet(target, "key", "value", 1), "MAYBE_APPLIED");
  await viaShards;
  target.disconnect();
  await viaClient;

  await Promise.all(asked.map((one) => one.resume()));
});
