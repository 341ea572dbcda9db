import { afterAll, beforeAll, expect, test } from "vitest";

import { openCoterie } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { rejection } from "../support/reject.ts";

let redis: RedisGroup;
beforeAll(async () => {
  redis = await startRedis({ count: 3 });
});
afterAll(() => redis.stop());

test("a value set through the facade is read back, and its ring says where it is", async () => {
  await using coterie = await openCoterie({ name: "shop", instances: redis.urls });

  await coterie.shards.set("user:7", "ann");

  expect(await coterie.shards.get("user:7")).toBe("ann");
  expect(coterie.ring.owner("user:7")).toBe(coterie.shards.for("user:7").id);
});

test("two processes with the same instances agree on every owner, whatever the order", async () => {
  await using one = await openCoterie({ name: "shop", instances: redis.urls });
  await using other = await openCoterie({ name: "shop", instances: redis.urls.toReversed() });

  const keys = Array.from({ length: 2000 }, (_, n) => `k${n}`);
  expect(keys.filter((key) => one.ring.owner(key) !== other.ring.owner(key))).toEqual([]);
});

test("status is one JSON snapshot, without a secret", async () => {
  await using coterie = await openCoterie({ name: "shop", instances: redis.urls });

  const status = JSON.parse(JSON.stringify(coterie.status())) as ReturnType<typeof coterie.status>;

  expect(status.name).toBe("shop");
  expect(status.shards.instances.map(({ state }) => state)).toEqual(["ready", "ready", "ready"]);
  expect(Object.values(status.shards.shares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
});

test.each<[string, object, RegExp]>([
  ["no name", { instances: ["redis://h"] }, /option name must be 1 to 64 letters/],
  ["an empty name", { name: "", instances: ["redis://h"] }, /option name must be .*, got ""/],
  ["a name with a brace", { name: "a{b}", instances: ["redis://h"] }, /option name must be/],
  ["no instances", { name: "shop" }, /option instances must have at least one element/],
  ["an unknown option", { name: "shop", instances: ["redis://h"], lockz: {} }, /unknown option "lockz"/],
  [
    "a wrong option of the shards",
    { name: "a", instances: ["redis://h"], shards: { deadlineMs: -1 } },
    /deadlineMs/,
  ],
  ["null for the shards", { name: "shop", instances: ["redis://h"], shards: null }, /option shards must be/],
  ["a list for the shards", { name: "shop", instances: ["redis://h"], shards: [] }, /option shards must be/],
  ["instances twice", { name: "a", instances: ["redis://h"], shards: { instances: [] } }, /without inst/],
])("openCoterie with %s is refused", async (_, options, message) => {
  const error = await rejection(() => openCoterie(options as never), "INVALID_OPTION");

  expect(error.message).toMatch(message);
});
