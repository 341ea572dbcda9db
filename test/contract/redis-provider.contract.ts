/**
 * What every provider of `startRedis` promises. What an instance cannot do is not skipped but asked too:
 * it must be refused with a code and the provider's name.
 */
import { connect } from "node:net";

import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/index.ts";
import type {
  RedisCapability,
  RedisConfig,
  RedisGroup,
  RedisInstanceHandle,
} from "../../src/testing/index.ts";

export interface ProviderUnderTest {
  readonly name: string;
  readonly provider: "process" | "container" | "external";
  readonly capabilities: readonly RedisCapability[];
  readonly start: (options: {
    readonly count?: number;
    readonly config?: RedisConfig;
    readonly signal?: AbortSignal;
  }) => Promise<RedisGroup>;
}

const DURABLE: RedisConfig = { appendonly: true, appendfsync: "always" };

export function redisProviderContract({ name, provider, capabilities, start }: ProviderUnderTest): void {
  const can = (capability: RedisCapability) => capabilities.includes(capability);

  describe(`startRedis: ${name}`, () => {
    let group: RedisGroup;
    let first: RedisInstanceHandle;
    let second: RedisInstanceHandle;

    beforeAll(async () => {
      group = await start({ count: 2 });
      [first, second] = group.instances as [RedisInstanceHandle, RedisInstanceHandle];
    });

    afterAll(() => group.stop());

    test("gives as many instances as asked for, each with an address of its own that answers", async () => {
      expect(group.urls).toEqual([first.url, second.url]);
      expect(new Set(group.urls).size).toBe(2);
      for (const { url, host, port } of [first, second]) {
        expect([new URL(url).hostname, Number(new URL(url).port)]).toEqual([host, port]);
        expect(await command(url, "PING")).toBe("PONG");
      }
      expect(await runId(first)).not.toBe(await runId(second));
    });

    test("instances know nothing of each other's keys", async () => {
      await command(first.url, "SET", "contract:only-first", "1");

      expect(await command(first.url, "EXISTS", "contract:only-first")).toBe(1);
      expect(await command(second.url, "EXISTS", "contract:only-first")).toBe(0);
    });

    test("every handle names its provider and what it can do", () => {
      for (const handle of [first, second]) {
        expect(handle.provider).toBe(provider);
        expect([...handle.capabilities]).toEqual(capabilities);
      }
    });

    test("what an instance cannot do is refused, and harms it not", async () => {
      const orders: readonly (readonly [RedisCapability, () => Promise<unknown>])[] = [
        ["kill", () => first.kill()],
        ["restart", () => first.restart()],
        ["pause", () => first.pause()],
        ["pause", () => first.resume()],
        ["output", () => first.output()],
      ];
      for (const [, order] of orders.filter(([needed]) => !can(needed))) {
        await expect(order()).rejects.toMatchObject({
          code: "INVALID_ARGUMENT",
          message: expect.stringContaining(provider) as string,
        });
      }

      expect(await command(first.url, "PING")).toBe("PONG");
    });

    test("an aborted signal starts nothing", async () => {
      await expect(start({ signal: AbortSignal.abort("no more") })).rejects.toMatchObject({
        code: "ABORTED",
        cause: "no more",
      });
    });

    test("stopping twice is once, and the group can be disposed of", async () => {
      const other = await start({});
      const [only] = other.instances as [RedisInstanceHandle];

      await other.stop();
      await other.stop();
      await other[Symbol.asyncDispose]();
      await only.stop();

      expect(await refusesConnections(only)).toBe(can("kill"));
    });

    if (can("kill")) faultContract(() => [first, second]);
    if (can("kill")) configContract(start);
    else refusedConfigContract(start);
  });
}

/** Crash, restart, pause: on instances that only the suite uses. */
function faultContract(instances: () => [RedisInstanceHandle, RedisInstanceHandle]): void {
  test("a killed instance refuses connections, a second kill does no harm, and its neighbour goes on", async () => {
    const [first, second] = instances();

    await first.kill();
    await first.kill();

    expect(await refusesConnections(first)).toBe(true);
    expect(await command(second.url, "PING")).toBe("PONG");
    await first.restart();
  });

  test("a restart brings it back at the same address, as another run, with nothing in it", async () => {
    const [first] = instances();
    const runBefore = await runId(first);
    await command(first.url, "SET", "contract:lost", "1");

    await first.kill();
    await first.restart();

    expect(await runId(first)).not.toBe(runBefore);
    expect(await command(first.url, "DBSIZE")).toBe(0);
  });

  test("a restart of a running instance kills it first", async () => {
    const [first] = instances();
    const runBefore = await runId(first);

    await first.restart();

    expect(await runId(first)).not.toBe(runBefore);
  });

  test("orders given at once are carried out one after the other", async () => {
    const [first] = instances();

    await Promise.all([
      first.kill(),
      first.restart(),
      first.kill(),
      first.restart(),
      first.pause(),
      first.resume(),
    ]);

    expect(await command(first.url, "PING")).toBe("PONG");
  });

  test("a paused instance accepts connections and answers nothing until it is resumed", async () => {
    const [first] = instances();
    await using client = await openClient(first.url);

    await first.pause();
    let answered = false;
    const answer = client.redis.set("contract:paused", "1").then((reply) => {
      answered = true;
      return reply;
    });
    await systemEnv.clock.sleep(300);
    const answeredWhilePaused = answered;
    const refused = await refusesConnections(first);
    await first.resume();

    expect(answeredWhilePaused).toBe(false);
    expect(refused).toBe(false);
    expect(await answer).toBe("OK");
  });

  test("a paused instance can be killed, does not run what it was sent, and comes back running", async () => {
    const [first] = instances();
    await using client = await openClient(first.url);

    await first.pause();
    const sent = client.redis.set("contract:unheard", "1").catch((error: unknown) => error);
    await first.kill();
    await first.restart();

    expect(await sent).toBeInstanceOf(Error);
    expect(await command(first.url, "DBSIZE")).toBe(0);
  });

  test("pausing and resuming a dead instance is refused", async () => {
    const [first] = instances();
    await first.kill();

    await expect(first.pause()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(first.resume()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await first.restart();
  });

  test("what it printed is kept over restarts", async () => {
    const [first] = instances();
    const ready = async () => (await first.output()).split("Ready to accept connections").length - 1;
    const before = await ready();

    await first.restart();

    expect(before).toBeGreaterThan(0);
    expect(await ready()).toBe(before + 1);
  });
}

function configContract(start: ProviderUnderTest["start"]): void {
  test("nothing is written to disk and nothing is evicted unless the config says so", async () => {
    await using group = await start({ config: { "maxmemory-policy": "allkeys-lru", maxmemory: "50mb" } });
    const [url] = group.urls as [string];

    expect(await command(url, "CONFIG", "GET", "save")).toEqual(["save", ""]);
    expect(await command(url, "CONFIG", "GET", "appendonly")).toEqual(["appendonly", "no"]);
    expect(await command(url, "CONFIG", "GET", "maxmemory-policy")).toEqual([
      "maxmemory-policy",
      "allkeys-lru",
    ]);
    expect(await command(url, "CONFIG", "GET", "maxmemory")).toEqual(["maxmemory", "52428800"]);
  });

  test("a password in the config stands in the address and is demanded", async () => {
    await using group = await start({ config: { requirepass: "s3cret/with:signs" } });
    const [handle] = group.instances as [RedisInstanceHandle];

    expect(await command(handle.url, "PING")).toBe("PONG");
    await expect(command(`redis://${handle.host}:${handle.port}`, "PING")).rejects.toThrow("NOAUTH");
    await handle.restart();
    expect(await command(handle.url, "PING")).toBe("PONG");
  });

  test("what was persisted comes back after a kill, and is gone after a restart with wipe", async () => {
    await using group = await start({ config: DURABLE });
    const [handle] = group.instances as [RedisInstanceHandle];
    await command(handle.url, "SET", "contract:kept", "still here");

    await handle.kill();
    await handle.restart();
    const kept = await command(handle.url, "GET", "contract:kept");
    await handle.restart({ wipe: true });

    expect(kept).toBe("still here");
    expect(await command(handle.url, "DBSIZE")).toBe(0);
    expect(await command(handle.url, "CONFIG", "GET", "appendonly")).toEqual(["appendonly", "yes"]);
  });

  test("a stopped instance takes no more orders and its port is free", async () => {
    await using group = await start({ count: 2 });
    const [stopped, running] = group.instances as [RedisInstanceHandle, RedisInstanceHandle];

    await stopped.stop();

    expect(await refusesConnections(stopped)).toBe(true);
    await expect(stopped.restart()).rejects.toMatchObject({ code: "CLOSED" });
    await expect(stopped.kill()).rejects.toMatchObject({ code: "CLOSED" });
    expect(await command(running.url, "PING")).toBe("PONG");
  });

  test("a directive that the server does not know fails the start, with what the server said", async () => {
    await expect(start({ config: { "no-such-directive": "1" } })).rejects.toMatchObject({
      code: "START_FAILED",
      message: expect.stringContaining("no-such-directive") as string,
    });
  });
}

function refusedConfigContract(start: ProviderUnderTest["start"]): void {
  test("a config is refused rather than ignored", async () => {
    await expect(start({ config: DURABLE })).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
}

interface Client extends AsyncDisposable {
  readonly redis: Redis;
}

async function openClient(url: string): Promise<Client> {
  const safe = {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  };
  const redis = new Redis(url, { ...safe, protocol: 2 });
  // A lost connection rejects the command that waits for it; the event says the same once more.
  redis.on("error", () => undefined);
  await redis.connect();
  return {
    redis,
    [Symbol.asyncDispose]: () => {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}

async function command(url: string, name: string, ...words: string[]): Promise<unknown> {
  await using client = await openClient(url);
  return await client.redis.call(name, ...words);
}

async function runId(handle: RedisInstanceHandle): Promise<string> {
  const info = String(await command(handle.url, "INFO", "server"));
  return /run_id:(\w+)/.exec(info)?.[1] ?? "";
}

function refusesConnections({ host, port }: RedisInstanceHandle): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.once("connect", () => end(false));
    socket.once("error", () => end(true));
  });
}
