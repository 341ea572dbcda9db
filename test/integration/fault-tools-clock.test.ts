import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type ClockedRedis, startClockedRedis } from "../support/clock-shim.ts";

const HOUR_MS = 3_600_000;

let redis: ClockedRedis;
let clients: Redis[];

beforeEach(async () => {
  redis = await startClockedRedis(2);
  clients = redis.group.urls.map((url) => new Redis(url, { protocol: 2 }));
  // A restart costs the connection, and the next command waits for the next one.
  for (const client of clients) client.on("error", () => client.status);
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  await redis.stop();
});

/** How far its TIME is ahead of ours. */
async function aheadMs(client: Redis): Promise<number> {
  const [seconds, microseconds] = await client.time();
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - systemEnv.clock.wallNow();
}

test("a server under the shim has the true time until it leaps", async () => {
  for (const client of clients) expect(Math.abs(await aheadMs(client))).toBeLessThan(1000);
});

test.each([["forward", HOUR_MS], ["back", -HOUR_MS]])(
  "TIME leaps %s while the server runs, in scripts too, and on no other instance",
  async (_, byMs) => {
    const [moved, other] = clients as [Redis, Redis];
    await moved.ping();

    redis.leap(0, byMs);

    expect(Math.abs((await aheadMs(moved)) - byMs)).toBeLessThan(1000);
    const inScript = (await moved.eval("return redis.call('TIME')", 0)) as string[];
    expect(Math.abs(Number(inScript[0]) * 1000 - systemEnv.clock.wallNow() - byMs)).toBeLessThan(2000);
    expect(Math.abs(await aheadMs(other))).toBeLessThan(1000);
  },
);

test("keys expire early when the clock leaps forward, by the leap", async () => {
  const [client] = clients as [Redis];
  await client.set("short", "v", "PX", 10_000);
  await client.set("long", "v", "PX", 2 * HOUR_MS);

  redis.leap(0, HOUR_MS);

  expect(await client.get("short")).toBeNull();
  expect(await client.get("long")).toBe("v");
  expect(Math.abs((await client.pttl("long")) - HOUR_MS)).toBeLessThan(1000);
});

test("keys live longer when the clock leaps back, by the leap", async () => {
  const [client] = clients as [Redis];
  await client.set("k", "v", "PX", 1000);

  redis.leap(0, -HOUR_MS);

  expect(Math.abs((await client.pttl("k")) - HOUR_MS - 1000)).toBeLessThan(1000);
});

test("leaps add up, are kept over a restart, and end where they began", async () => {
  const [client] = clients as [Redis];
  redis.leap(0, HOUR_MS);
  redis.leap(0, HOUR_MS);

  await redis.group.instances[0]!.restart({ wipe: true });
  const after = await aheadMs(client);
  redis.leap(0, -2 * HOUR_MS);

  expect(Math.abs(after - 2 * HOUR_MS)).toBeLessThan(1000);
  expect(Math.abs(await aheadMs(client))).toBeLessThan(1000);
});

test("the server's own timers go on when the clock leaps back: its monotonic clock stays true", async () => {
  const [client] = clients as [Redis];
  await client.ping();

  redis.leap(0, -HOUR_MS);
  await client.set("k", "v", "PX", 20);
  await systemEnv.clock.sleep(500);

  // Nobody asked for the key, so only a timer can have removed it.
  expect(await client.dbsize()).toBe(0);
});
