/** A real Redis, asked by CLUSTER KEYSLOT, puts every key in the arc in which the ring puts it. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

import { ARC_COUNT, arcOf, HashRing } from "../../src/ring/index.ts";
import { type RedisGroup, seededRandom, startRedis } from "../../src/testing/index.ts";
import { freePorts } from "../support/free-ports.ts";

let redis: RedisGroup;
let client: Redis;

beforeAll(async () => {
  const [busPort = 0] = await freePorts(1);
  redis = await startRedis({ count: 1, config: { "cluster-enabled": true, "cluster-port": busPort } });
  client = new Redis(redis.urls[0]!);
});

afterAll(async () => {
  client?.disconnect();
  await redis?.stop();
});

async function slotsOf(keys: readonly (string | Buffer)[]): Promise<unknown[]> {
  const pipeline = client.pipeline();
  for (const key of keys) pipeline.call("CLUSTER", ["KEYSLOT", key]);
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, slot]) => error ?? slot);
}

test("names, tags of every shape, and text in every alphabet", async () => {
  const tags = ["", "{}", "{}{a}", "a{}", "{a", "a}", "}{a}", "{{a}}", "{a}{b}", "x{y}z", "{é}1", "é{日本}😀"];
  const keys = [...tags, "\ud800", "\0"];
  for (let i = 0; i < 3_000; i++) keys.push(`user:${i}`, `{user:${i}}:cart`, `заказ:${i}`, `订单{${i}}😀`);

  expect(await slotsOf(keys)).toEqual(keys.map((key) => arcOf(key)));
});

test("the cluster's own table becomes a ring, as docs/ring.md shows", async () => {
  await client.call("CLUSTER", ["ADDSLOTSRANGE", 0, 99, 8_000, 16_383]);
  const slots = (await client.call("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
  const nameOf = ([, , [host, port]]: (typeof slots)[number]) => `${host}:${port}`;
  const ownerOf = (arc: number) => {
    const range = slots.find(([first, last]) => first <= arc && arc <= last);
    return range === undefined ? "nobody" : nameOf(range);
  };

  const ring = HashRing.fromArcs([...new Set(slots.map((range) => nameOf(range))), "nobody"], ownerOf);

  const master = nameOf(slots[0]!);
  expect(master).toMatch(new RegExp(`:${redis.instances[0]?.port}$`));
  expect([0, 99, 100, 7_999, 8_000, ARC_COUNT - 1].map((arc) => ring.ownerOfArc(arc))).toEqual(
    [master, master, "nobody", "nobody", master, master],
  );
});

test("bytes of every value and length", async () => {
  const random = seededRandom(1);
  const alphabet = [0x7b, 0x7d, 0x00, 0x61, 0xff, 0xc3];
  const keys = Array.from({ length: 3_000 }, (_, i) => {
    const any = () => (i % 2 === 0 ? random.below(256) : (alphabet[random.below(alphabet.length)] ?? 0));
    return Buffer.from(Array.from({ length: i % 40 }, any));
  });

  expect(await slotsOf(keys)).toEqual(keys.map((key) => arcOf(key)));
});
