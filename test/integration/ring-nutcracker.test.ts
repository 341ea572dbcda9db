/**
 * Leaving twemproxy without moving a key: a real nutcracker stores 5,000 keys in seven real Redis, once
 * for each way to configure it, and the layout "ketama" names the very server on which each key is found.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HashRing, type KetamaOptions, type Member } from "../../src/ring/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import {
  forward,
  type Forwarder,
  type Nutcracker,
  type Pool,
  startNutcracker,
  storeAll,
} from "../support/nutcracker.ts";

const COUNT = 7;
/** Weights for which float32 as nutcracker uses it, as libketama does, and doubles give different points. */
const WEIGHTS = [22, 27, 2, 15, 18, 8, 20];

interface Setup {
  readonly title: string;
  readonly hash: NonNullable<KetamaOptions["hash"]>;
  readonly hashTag?: string;
  /** The line in nutcracker's configuration and the ring's member, for server i. */
  readonly server: (i: number) => { readonly line: string; readonly member: Member };
}

let redis: RedisGroup;
let clients: Redis[];
let forwarders: Forwarder[];
let nutcracker: Nutcracker;

const at = (i: number) => `127.0.0.1:${redis.instances[i]?.port}`;
/** Every third server is on memcached's port, which nutcracker leaves out of names. */
const portOf = (i: number) => (i % 3 === 0 ? 11_211 : 7_000 + i);

const forwardedAt = (i: number) => `127.77.0.${i + 1}:${portOf(i)}`;
const weightOf = (i: number) => WEIGHTS[i] ?? 1;

const plain = (i: number) => ({ line: `${at(i)}:1`, member: { id: at(i) } });
const weighted = (i: number) => ({
  line: `${at(i)}:${weightOf(i)}`,
  member: { id: at(i), weight: weightOf(i) },
});
const named = (i: number) => ({
  line: `${at(i)}:${weightOf(i)} cache-${i}`,
  member: { id: `cache-${i}`, weight: weightOf(i) },
});
const ported = (i: number) => ({ line: `${forwardedAt(i)}:1`, member: { id: forwardedAt(i) } });

const setups: readonly Setup[] = [
  { title: "nutcracker's defaults", hash: "fnv1a_64", server: plain },
  { title: "md5, as libmemcached has it", hash: "md5", server: plain },
  { title: "weights", hash: "fnv1a_64", server: weighted },
  { title: "names, weights and md5", hash: "md5", server: named },
  { title: "a hash tag", hash: "fnv1a_64", hashTag: "{}", server: plain },
  { title: "another hash tag, and weights", hash: "md5", hashTag: "$$", server: weighted },
  { title: "the default port", hash: "fnv1a_64", server: ported },
  { title: "fnv1_64", hash: "fnv1_64", server: plain },
  { title: "fnv1a_32", hash: "fnv1a_32", server: plain },
  { title: "fnv1_32", hash: "fnv1_32", server: weighted },
];

beforeAll(async () => {
  redis = await startRedis({ count: COUNT, provider: "process" });
  clients = redis.instances.map(({ host, port }) => new Redis({ host, port }));
  forwarders = await Promise.all(
    redis.instances.map(({ port }, i) => forward(`127.77.0.${i + 1}`, portOf(i), port)),
  );
  nutcracker = await startNutcracker(setups.map((setup) => poolOf(setup)));
});

afterAll(async () => {
  await nutcracker?.stop();
  await Promise.all((forwarders ?? []).map((forwarder) => forwarder.stop()));
  for (const client of clients ?? []) client.disconnect();
  await redis?.stop();
});

function poolOf({ hash, hashTag, server }: Setup): Pool {
  const servers = Array.from({ length: COUNT }, (_, i) => server(i).line);
  return { hash, servers, ...(hashTag === undefined ? {} : { hashTag }) };
}

/** 5,000 keys as bytes: ordinary ones, tags of every shape, every alphabet, bytes that are no text. */
function keys(): Buffer[] {
  const tags = ["{a}1", "{a}2", "x{b}y{c}", "{}z", "a{", "}b{c}", "$a$1", "$a$2", "$$x"];
  const empty = Array.from({ length: 50 }, (_, i) => [`{}${i}`, `$$${i}`]).flat();
  const special = [...tags, ...empty, "é", "日本語", "😀", " "];
  const shapesOf = (i: number) => [`user:${i}`, `{order:${i % 50}}:${i}`, `$s${i}$`, `ключ:${i}`];
  const texts = Array.from({ length: 1_000 }, (_, i) => shapesOf(i)).flat();
  const bytes = Array.from({ length: 5_000 - special.length - texts.length }, (_, i) =>
    Buffer.from([0xff - (i & 0xff), i >> 8, 0x80 | (i & 0x7f), i & 0xff, 0xc3, i % 251]),
  );
  return [...[...special, ...texts].map((text) => Buffer.from(text)), ...bytes];
}

test.each(setups.map((setup, i) => [setup.title, i] as const))(
  "with %s the ring names the server that has each of 5,000 keys",
  async (_, index) => {
    const { hash, hashTag = "", server } = setups[index]!;
    const sent = keys();
    await Promise.all(clients.map((client) => client.flushall()));

    await storeAll(nutcracker.ports[index]!, sent);

    const found = new Map<string, string>();
    for (const [i, client] of clients.entries()) {
      for (const key of await client.keysBuffer("*")) found.set(key.toString("hex"), server(i).member.id);
    }
    const members = Array.from({ length: COUNT }, (__, i) => server(i).member);
    const ring = new HashRing(members, { layout: "ketama", compat: "nutcracker", hash, hashTag });
    const expected = new Map(sent.map((key) => [key.toString("hex"), ring.owner(key)]));
    expect(expected.size).toBe(5_000);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    expect(new Set(found.values()).size).toBe(COUNT);
  },
);

test("the empty key, which nutcracker does not hash, is found too", async () => {
  const ring = new HashRing(
    Array.from({ length: COUNT }, (_, i) => plain(i).member),
    { layout: "ketama", compat: "nutcracker" },
  );
  await Promise.all(clients.map((client) => client.flushall()));

  await storeAll(nutcracker.ports[0]!, [Buffer.alloc(0)]);

  const sizes = await Promise.all(clients.map((client) => client.dbsize()));
  expect(plain(sizes.indexOf(1)).member.id).toBe(ring.owner(""));
});
