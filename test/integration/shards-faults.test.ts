import { afterEach, beforeEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { CoterieError } from "../../src/errors.ts";
import { openShards, type Shards } from "../../src/shards/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { keysByOwner, OpenShards } from "../support/open-shards.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
const opened = new OpenShards();

beforeEach(async () => {
  redis = await startRedis({ count: 3 });
});
afterEach(async () => {
  opened.destroyAll();
  await redis.stop();
});

function oneKeyEach(shards: Shards): [string, string, string] {
  return [...keysByOwner(shards, 1).values()].map(([key]) => key!) as [string, string, string];
}

test("S4: a dead shard fails its own keys at once and changes nothing for the others", async () => {
  const shards = await opened.open(redis.urls);
  const [dead, ...alive] = oneKeyEach(shards);
  await redis.instances[0]!.kill();
  await until("the loss was noticed", () => shards.for(dead).state !== "ready");
  const { clock } = systemEnv;

  const startedAt = clock.now();
  const error = await rejection(() => shards.set(dead, "x"), "UNREACHABLE");
  const failedMs = clock.now() - startedAt;
  const others = await Promise.all(alive.map((key) => shards.set(key, "x")));

  expect(error.details).toMatchObject({ instance: "a", state: "reconnecting" });
  expect(failedMs).toBeLessThan(100);
  expect(others).toEqual(["OK", "OK"]);
});

test("S3: in a store a dead shard's keys are written nowhere else", async () => {
  const shards = await opened.open(redis.urls, { purpose: "store" });
  const [dead] = oneKeyEach(shards);
  await redis.instances[0]!.kill();

  for (let n = 0; n < 20; n += 1) await shards.set(dead, "x").catch(() => "failed");
  await redis.instances[0]!.restart({ wipe: true });
  await until("it is back", () => shards.for(dead).available);

  const found: string[] = [];
  for await (const key of shards.scan()) found.push(key);
  expect(found).toEqual([]);
  expect(await shards.set(dead, "again")).toBe("OK");
});

test("in a cache a dead shard's keys go to the next owner until it is back", async () => {
  const shards = await opened.open(redis.urls, { purpose: "cache" });
  const [away] = oneKeyEach(shards);
  const next = shards.ring.owners(away, 2)[1];
  await redis.instances[0]!.kill();
  await until("the loss was noticed", () => !shards.for(away).available);

  await shards.set(away, "on the next");
  const meanwhile = await shards.get(away);
  const other = shards.status().instances.find(({ id }) => id === next);
  await redis.instances[0]!.restart({ wipe: true });
  await until("it is back", () => shards.for(away).available);

  expect(meanwhile).toBe("on the next");
  expect(other?.state).toBe("ready");
  expect(await shards.get(away)).toBeNull();
  expect(shards.status().rerouted).toBe(2);
});

test("in a cache whose every owner is away the error is the owner's own", async () => {
  const shards = await opened.open(redis.urls, { purpose: "cache" });
  const [key] = oneKeyEach(shards);
  await Promise.all(redis.instances.map((instance) => instance.kill()));
  await until("the loss was noticed", () =>
    shards.status().instances.every(({ state }) => state !== "ready"),
  );

  const error = await rejection(() => shards.get(key), "UNREACHABLE");

  expect(error.details["instance"]).toBe("a");
});

test("several keys over a dead shard: the error names the keys that were done and those that were not", async () => {
  const shards = await opened.open(redis.urls);
  const keys = oneKeyEach(shards);
  await shards.mset(keys.map((key) => [key, "x"]));
  await redis.instances[1]!.kill();
  await until("the loss was noticed", () => shards.for(keys[1]).state !== "ready");

  const error = await rejection(() => shards.del(keys), "PARTIAL");

  expect(error.details).toEqual({
    command: "DEL",
    done: [keys[0], keys[2]],
    notDone: [keys[1]],
    unknown: [],
  });
  expect(await shards.exists([keys[0], keys[2]])).toBe(0);
});

test("a pipeline over a paused shard: its commands say that they may have run, the others are done", async () => {
  const shards = await opened.open(redis.urls);
  const keys = oneKeyEach(shards);
  await redis.instances[2]!.pause();
  const pipeline = shards.pipeline();
  for (const key of keys) pipeline.set(key, "x").get(key);

  const results = await pipeline.exec();
  await redis.instances[2]!.resume();

  const outcomes = results.map((result) =>
    result.status === "fulfilled" ? result.value : result.reason.code,
  );
  expect(outcomes).toEqual(["OK", "x", "OK", "x", "MAYBE_APPLIED", "NO_ANSWER"]);
});

test("a paused shard does not slow the others while its circuit is open", async () => {
  const shards = await opened.open(redis.urls);
  const keys = oneKeyEach(shards);
  await redis.instances[0]!.pause();
  await rejection(() => shards.get(keys[0]), "NO_ANSWER");

  let refused = 0;
  let answered = 0;
  const load = async (): Promise<void> => {
    for (let n = 0; n < 200; n += 1) {
      await shards.set(keys[1], "x");
      await shards.get(keys[2]);
      answered += 2;
      await shards.get(keys[0]).catch((error: unknown) => {
        if (!CoterieError.is(error, "CIRCUIT_OPEN") && !CoterieError.is(error, "UNREACHABLE")) throw error;
        refused += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: 10 }, load));
  await redis.instances[0]!.resume();
  await until("it is used again", () => shards.for(keys[0]).available);

  expect([refused, answered]).toEqual([2000, 4000]);
});

test("shards open with one instance down, and use it when it comes", async () => {
  await redis.instances[1]!.kill();

  const shards = await opened.open(redis.urls);
  const [first, late] = oneKeyEach(shards);
  const early = await shards.set(first, "x");
  await redis.instances[1]!.restart();
  await until("it is there", () => shards.for(late).available);

  expect(early).toBe("OK");
  expect(await shards.set(late, "x")).toBe("OK");
});

test("shards do not open when no instance can be reached, and leave nothing behind", async () => {
  await Promise.all(redis.instances.map((instance) => instance.kill()));

  const error = await rejection(() => opened.open(redis.urls), "UNREACHABLE");

  expect(error.message).toMatch(/no instance can be reached \("a": .*ECONNREFUSED.*"b": .*"c": /);
});

test("a scan over a restart begins that shard again, and misses no key that was there throughout", async () => {
  const durable = await startRedis({ count: 1, config: { appendonly: "yes", appendfsync: "always" } });
  try {
    const shards = await opened.open(durable.urls, { deadlineMs: 5000 });
    const keys = Array.from({ length: 20_000 }, (_, n) => `k${n}`);
    await shards.mset(keys.map((key) => [key, "x"]));
    const seen = new Set<string>();

    for await (const key of shards.scan()) {
      seen.add(key);
      if (seen.size !== 5000) continue;
      await durable.instances[0]!.restart();
      await until("it is back", () => shards.for("k").connections === 2 && shards.for("k").available);
    }

    expect(seen.size).toBe(20_000);
  } finally {
    await durable.stop();
  }
});

test("opening can be aborted", async () => {
  await redis.instances[0]!.pause();
  const aborting = new AbortController();

  const opening = rejection(
    () => openShards({ instances: redis.urls, connectDeadlineMs: 20_000, signal: aborting.signal }),
    "ABORTED",
  );
  await systemEnv.clock.sleep(50);
  aborting.abort();

  await opening;
});
