import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Subscriber } from "../../src/redis/index.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import { OpenInstances } from "../support/instances.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let server: RedisInstanceHandle;
let publisher: Redis;
const opened = new OpenInstances();

beforeEach(async () => {
  redis = await startRedis();
  server = redis.instances[0]!;
  publisher = new Redis(server.url);
  publisher.on("error", () => {});
});
afterEach(async () => {
  publisher.disconnect();
  opened.closeAll();
  await redis.stop();
});

function isLive(subscriber: Subscriber): () => boolean {
  return () => subscriber.live;
}

/** Publishes until the message arrives; true when it came exactly once. */
async function arrivesOnce(messages: readonly string[], channel: string, text: string): Promise<boolean> {
  const before = messages.length;
  await publisher.publish(channel, text);
  await until("the message is there", () => messages.length > before);
  return messages.length === before + 1 && messages.at(-1) === text;
}

test("messages of each channel reach those who asked for them, and the instance still takes commands", async () => {
  const instance = await opened.open(server.url);
  const one: string[] = [];
  const two: string[] = [];

  const subscriber = instance.subscriber();
  subscriber.subscribe("one", (message) => one.push(message));
  await until("it is live", isLive(subscriber));
  subscriber.subscribe("two", (message) => two.push(message));
  const liveBeforeConfirmed = subscriber.live;
  await until("both are confirmed", isLive(subscriber));
  await publisher.publish("one", "a");
  await publisher.publish("two", "b");
  await until("they are there", () => two.length > 0);

  expect(liveBeforeConfirmed).toBe(false);
  expect([one, two]).toEqual([["a"], ["b"]]);
  expect(instance.subscriber()).toBe(subscriber);
  expect(await instance.call("set", ["k", "v"])).toBe("OK");
});

test("channels are kept over a restart, and listeners hear that messages may have been missed", async () => {
  const instance = await opened.open(server.url);
  const messages: string[] = [];
  const changes: boolean[] = [];
  const subscriber = instance.subscriber();
  subscriber.subscribe("c", (message) => messages.push(message));
  await until("it is live", isLive(subscriber));
  const stop = subscriber.onChange(() => changes.push(subscriber.live));

  await server.restart();
  await until("it is live again", isLive(subscriber));
  stop();

  expect(changes).toEqual([false, true]);
  await until("the publisher is back", () => publisher.status === "ready");
  expect(await arrivesOnce(messages, "c", "again")).toBe(true);
});

test("a server that is away when asked for is subscribed to as soon as it is there", async () => {
  await server.kill();
  const instance = await opened.open(server.url);
  const messages: string[] = [];
  const subscriber = instance.subscriber();
  subscriber.subscribe("c", (message) => messages.push(message));

  const liveBefore = subscriber.live;
  await server.restart();
  await until("it is live", isLive(subscriber));

  expect(liveBefore).toBe(false);
  await until("the publisher is back", () => publisher.status === "ready");
  expect(await arrivesOnce(messages, "c", "hello")).toBe(true);
});

test("a connection that fell silent is given up and made again", async () => {
  const instance = await opened.open(server.url);
  const messages: string[] = [];
  const subscriber = instance.subscriber();
  subscriber.subscribe("c", (message) => messages.push(message));
  await until("it is live", isLive(subscriber));

  await server.pause();
  await until("the silence is noticed", () => !subscriber.live);
  await server.resume();
  await until("it is live again", isLive(subscriber));

  expect(await arrivesOnce(messages, "c", "still here")).toBe(true);
});

test("a user who may not subscribe makes nothing live, and is asked again when the right is given", async () => {
  await publisher.call("acl", ["setuser", "app", "on", ">pw", "~*", "+@all", "resetchannels"]);
  const { host, port } = server;
  const instance = await opened.open(`redis://app:pw@${host}:${port}`);
  const subscriber = instance.subscriber();
  subscriber.subscribe("c", () => {});

  await until("it is refused", () => subscriber.lastError !== undefined);
  const liveBefore = subscriber.live;
  await publisher.call("acl", ["setuser", "app", "allchannels"]);
  await until("it is live", isLive(subscriber));

  expect(liveBefore).toBe(false);
});

test("it is closed with its instance, whichever came first", async () => {
  const instance = await opened.open(server.url);
  const subscriber = instance.subscriber();
  subscriber.subscribe("c", () => {});
  await until("it is live", isLive(subscriber));
  const late = await opened.open(server.url);

  await Promise.all([instance.close(), late.close()]);
  const lateSubscriber = late.subscriber();

  expect([subscriber.live, lateSubscriber.live]).toEqual([false, false]);
  let listeners: unknown;
  for (let look = 0; look < 100 && listeners !== ""; look += 1) {
    listeners = await publisher.call("CLIENT", "LIST", "TYPE", "pubsub");
  }
  expect(listeners).toBe("");
});
