import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";

import { type InstanceInput, readTarget } from "../../../src/redis/connect.ts";
import { openCoterie } from "../../../src/coterie.ts";
import { openShards } from "../../../src/shards/index.ts";
import { plainMessage } from "../../../src/redis/failures.ts";
import { rejection } from "../../support/reject.ts";

const clients: Redis[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

function read(input: InstanceInput) {
  const target = readTarget("instances[0]", input, 500);
  clients.push(target.client);
  return target;
}

function idle(options: object): Redis {
  const client = new Redis({ lazyConnect: true, ...options });
  clients.push(client);
  return client;
}

const SECRET = "pa55-w0rd";

test.each<[string, unknown, RegExp]>([
  ["nothing", undefined, /must be a URL, an ioredis client or an options object, got undefined/],
  ["a number", 6379, /got number/],
  ["a host without a scheme", "localhost:6379", /option url must be a redis:\/\/ or rediss:\/\/ URL/],
  ["another scheme", "http://127.0.0.1", /option url must be/],
  ["no host", "redis://", /option url must be/],
  ["a port out of range", "redis://h:99999", /option url must be/],
  ["a path that is no database", "redis://h/one", /database number/],
  ["a URL with a query", "redis://h?autoResendUnfulfilledCommands=true", /without a query or fragment/],
  ["a URL with a fragment", "redis://h#x", /without a query or fragment/],
  ["options that ioredis refuses", { options: { sentinels: [] } }, /ioredis refuses these options: /],
  ["no source", { id: "a" }, /exactly one of url, options and client is needed, got 0/],
  [
    "two sources",
    { url: "redis://h", options: {} },
    /exactly one of url, options and client is needed, got 2/,
  ],
  ["an unknown option", { url: "redis://h", wieght: 2 }, /unknown option "wieght" \(known: id, url/],
  ["weight 0", { url: "redis://h", weight: 0 }, /option weight must be a finite number above 0, got 0/],
  ["a negative weight", { url: "redis://h", weight: -1 }, /got -1/],
  ["an infinite weight", { url: "redis://h", weight: Infinity }, /got Infinity/],
  ["an empty id", { url: "redis://h", id: "" }, /option id must be a non-empty string, got ""/],
  ["a key prefix", { options: { keyPrefix: "p:" } }, /keyPrefix is not supported/],
])("%s is refused as an instance", async (_, input, message) => {
  const error = await rejection(() => read(input as InstanceInput), "INVALID_OPTION");

  expect(error.message).toMatch(/^instances\[0\]: /);
  expect(error.message).toMatch(message);
});

test.each([
  `redis://user:${SECRET}@:bad`,
  `http://user:${SECRET}@host`,
  `redis://user:${SECRET}/@host:99999`,
  `user:${SECRET}@host:6379`,
  `redis://:${SECRET}@host/x`,
  `redis://host/x?password=${SECRET}`,
  { url: new URL(`redis://:${SECRET}@host`) },
  { options: `redis://:${SECRET}@host` },
  { client: { options: { password: SECRET } } },
])("the error for %j does not show the password", async (input) => {
  const error = await rejection(() => read(input as InstanceInput), "INVALID_OPTION");

  expect(JSON.stringify(error) + error.stack).not.toContain(SECRET);
});

test("a password in an error's text from below is not passed on", () => {
  expect(plainMessage(new Error(`cannot reach redis://u:${SECRET}@host:1`))).toBe(
    "cannot reach redis://***@host:1",
  );
});

test("the id is the address unless one is given", () => {
  const ids = [
    read("redis://user:pass@10.0.0.1"),
    read("redis://10.0.0.1:7000/2"),
    read({ url: "redis://10.0.0.1", id: "b" }),
    read({ options: { path: "/run/redis.sock" } }),
  ].map(({ id }) => id);

  expect(ids).toEqual(["10.0.0.1:6379", "10.0.0.1:7000/2", "b", "/run/redis.sock"]);
});

test("a given client lends its options and is left alone", () => {
  const given = idle({
    host: "10.0.0.9",
    port: 7001,
    username: "app",
    password: SECRET,
    tls: { servername: "s" },
  });

  const { client, id } = read(given);

  expect(client).not.toBe(given);
  expect(id).toBe("10.0.0.9:7001");
  expect(client.options).toMatchObject({ username: "app", password: SECRET, tls: { servername: "s" } });
  expect(given.options.enableOfflineQueue).toBe(true);
});

test.each([
  () => openShards({ instances: `redis://:${SECRET}@h` } as never),
  () => openShards(`redis://:${SECRET}@h` as never),
  () => openShards([`redis://:${SECRET}@h`] as never),
  () => openCoterie({ name: "x", instances: `redis://:${SECRET}@h` } as never),
])("a password in the wrong place is not shown either: %s", async (open) => {
  const error = await rejection(open, "INVALID_OPTION");

  expect(JSON.stringify(error) + error.stack).not.toContain(SECRET);
});

test.each<[string, () => InstanceInput]>([
  ["a URL", () => "redis://10.0.0.1"],
  [
    "options that ask for unsafe ones",
    () => ({ options: { enableOfflineQueue: true, reconnectOnError: () => 2 } }),
  ],
  ["a client with ioredis' defaults", () => idle({})],
])("the safe settings hold for %s", (_, input) => {
  const { client } = read(input());

  expect(client.options).toMatchObject({
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    reconnectOnError: null,
    stringNumbers: false,
    enableAutoPipelining: false,
    connectTimeout: 500,
  });
});

test("a client with a key prefix is refused", async () => {
  const error = await rejection(() => read(idle({ keyPrefix: "shop:" })), "INVALID_OPTION");

  expect(error.message).toContain("it would change keys after they were routed");
});

test("rediss:// means TLS", () => {
  expect(read("rediss://10.0.0.1").client.options.tls).toBeTruthy();
});
