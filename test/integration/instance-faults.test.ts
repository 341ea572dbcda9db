import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

import { afterEach, beforeEach, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { CoterieError } from "../../src/errors.ts";
import type { Instance } from "../../src/redis/index.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import { OpenInstances } from "../support/instances.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let server: RedisInstanceHandle;
const opened = new OpenInstances();

beforeEach(async () => {
  redis = await startRedis({ count: 2, config: { appendonly: "yes", appendfsync: "always" } });
  server = redis.instances[0]!;
});
afterEach(async () => {
  opened.closeAll();
  await redis.stop();
});

function isReady(instance: Instance): () => boolean {
  return () => instance.available;
}

test("an instance that is down at start is refused at once and used as soon as it is up", async () => {
  await server.kill();
  const instance = await opened.open(server.url);

  const error = await rejection(() => instance.call("get", ["k"]), "UNREACHABLE");
  await server.restart();
  await until("it is ready", isReady(instance));

  expect(error.retryable).toBe(true);
  expect(error.message).toContain("ECONNREFUSED");
  expect(await instance.call("set", ["k", "v"])).toBe("OK");
});

test("an instance that dies under load gives each caller one answer, and no acknowledged write is lost", async () => {
  const instance = await opened.open(server.url);
  let acknowledged = 0;
  let unknown = 0;
  let refused = 0;
  let answers = 0;
  const caller = async (): Promise<void> => {
    for (let n = 0; n < 400; n += 1) {
      try {
        await instance.call("incr", ["counter"]);
        acknowledged += 1;
      } catch (error) {
        if (!CoterieError.is(error)) throw error;
        if (error.code === "MAYBE_APPLIED") unknown += 1;
        else if (error.code === "UNREACHABLE") refused += 1;
        else throw error;
        await systemEnv.clock.sleep(1);
      }
      answers += 1;
    }
  };

  const callers = Array.from({ length: 50 }, caller);
  await until("the load is on", () => acknowledged > 1000);
  await server.kill();
  await server.restart();
  await Promise.all(callers);
  await until("it is ready", isReady(instance));
  const counted = Number(await instance.call("get", ["counter"]));

  expect(answers).toBe(50 * 400);
  expect(unknown).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
  expect(counted).toBeGreaterThanOrEqual(acknowledged);
  expect(counted).toBeLessThanOrEqual(acknowledged + unknown);
  await until("nothing is in flight", () => instance.status().inFlight === 0);
});

test("a paused instance costs the first calls their deadline and later ones nothing", async () => {
  const instance = await opened.open(server.url);
  await server.pause();
  const { clock } = systemEnv;

  const startedAt = clock.now();
  const [read, write] = await Promise.all([
    rejection(() => instance.call("get", ["k"]), "NO_ANSWER"),
    rejection(() => instance.call("set", ["k", "v"]), "MAYBE_APPLIED"),
  ]);
  const waitedMs = clock.now() - startedAt;
  const refusedAt = clock.now();
  const refused = await rejection(() => instance.call("set", ["k", "w"]), "CIRCUIT_OPEN");
  const refusedMs = clock.now() - refusedAt;
  await server.resume();
  await until("it is used again", isReady(instance));

  expect([read.retryable, write.retryable, refused.retryable]).toEqual([true, false, true]);
  expect(waitedMs).toBeGreaterThanOrEqual(150);
  expect(waitedMs).toBeLessThan(400);
  expect(refusedMs).toBeLessThan(100);
  // It had been sent, so it ran when the server woke up; the refused one never did.
  expect(await instance.call("get", ["k"])).toBe("v");
});

test("the first reply after a pause closes the circuit, on the same connection", async () => {
  const instance = await opened.open(server.url);
  await server.pause();
  await rejection(() => instance.call("get", ["k"]), "NO_ANSWER");

  await server.resume();
  await until("the circuit is closed", () => instance.circuit === "closed");

  expect(instance.status().counters.connected).toBe(1);
});

test("a command on a connection that has just broken was not sent, and its error says so", async () => {
  const instance = await opened.open(server.url);
  (Reflect.get(instance.client, "stream") as { destroy(): void }).destroy();

  const error = await rejection(() => instance.call("incr", ["k"]), "UNREACHABLE");
  await until("it is connected anew", () => instance.status().counters.connected === 2);

  expect(error.retryable).toBe(true);
  expect(await instance.call("get", ["k"])).toBeNull();
});

test("an instance that was closed stays closed", async () => {
  const instance = await opened.open(server.url);

  await instance.close();
  await systemEnv.clock.sleep(300);

  expect(instance.client.status).toBe("end");
  expect(instance.status().state).toBe("closed");
});

test("an instance that is paused for long is connected anew and used again when it wakes up", async () => {
  const instance = await opened.open(server.url);
  await server.pause();
  await rejection(() => instance.call("get", ["k"]), "NO_ANSWER");

  await until("the silent connection is given up", () => instance.state === "reconnecting");
  await rejection(() => instance.call("get", ["k"]), "UNREACHABLE");
  await systemEnv.clock.sleep(1000);
  await server.resume();
  await until("it is used again", isReady(instance));

  expect(await instance.call("set", ["k", "v"])).toBe("OK");
});

test("a connection on which a large reply arrives slowly is neither accused nor cut", async () => {
  const { host, port } = server;
  const slow = createServer((socket) => {
    const upstream = connect(port, host);
    socket.pipe(upstream);
    const forward = async (): Promise<void> => {
      for await (const chunk of upstream as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length; at += 16_384) {
          if (!socket.write(chunk.subarray(at, at + 16_384))) await once(socket, "drain");
          await systemEnv.clock.sleep(2);
        }
      }
    };
    forward().catch(() => socket.destroy());
    socket.on("error", () => upstream.destroy());
    socket.on("close", () => upstream.destroy());
  }).listen(0, "127.0.0.1");
  await once(slow, "listening");
  const direct = await opened.open(server.url, { deadlineMs: 5000 });
  await direct.call("set", ["large", "x".repeat(8 << 20)]);
  const instance = await opened.open(`redis://127.0.0.1:${(slow.address() as AddressInfo).port}`);
  const circuits: string[] = [];

  const large = instance.call("get", ["large"], { deadlineMs: 20_000 });
  const impatient = await rejection(() => instance.call("get", ["k"]), "NO_ANSWER");
  circuits.push(instance.circuit);
  const value = await large;
  opened.closeAll();
  slow.close();

  expect(impatient.retryable).toBe(true);
  expect(circuits).toEqual(["closed"]);
  expect(String(value)).toHaveLength(8 << 20);
  expect(instance.connections).toBe(1);
}, 60_000);

test("an instance that is paused at start does not hold up the opening", async () => {
  await server.pause();
  const { clock } = systemEnv;
  const startedAt = clock.now();

  const instance = await opened.open(server.url);
  const openedMs = clock.now() - startedAt;
  await server.resume();
  await until("it is ready", isReady(instance));

  expect(openedMs).toBeLessThan(800);
  expect(await instance.call("ping", [])).toBe("PONG");
});

test("a handshake that gets no answer is given up and tried anew", async () => {
  await server.pause();
  const instance = await opened.open(server.url);

  await until(
    "the handshake was given up",
    () => instance.status().lastError === "the handshake got no answer",
  );
  const error = await rejection(() => instance.call("ping", []), "UNREACHABLE");
  await server.resume();
  await until("it is ready", isReady(instance));

  expect(error.message).toContain("the handshake got no answer");
  expect(await instance.call("ping", [])).toBe("PONG");
});

test("a replica answers writes with READONLY and reads as usual", async () => {
  const instance = await opened.open(server.url);
  const { host, port } = redis.instances[1]!;
  await instance.call("replicaof", [host, port]);

  const error = await rejection(() => instance.call("set", ["k", "v"]), "READONLY");

  expect(error.retryable).toBe(true);
});

test("an instance that loads its data answers LOADING, and works when it is done", async () => {
  const instance = await opened.open(server.url, { deadlineMs: 2000 });
  const source = await opened.open(redis.urls[1]!, { deadlineMs: 2000 });
  await Promise.all(Array.from({ length: 400 }, (_, n) => source.call("set", [`k${n}`, "x".repeat(1000)])));
  await instance.call("config", ["set", "key-load-delay", 2000]);
  await instance.call("config", ["set", "loading-process-events-interval-bytes", 1024]);
  await source.call("config", ["set", "repl-diskless-sync-delay", 0]);
  const { host, port } = redis.instances[1]!;
  await instance.call("replicaof", [host, port]);

  const codes = new Set<string>();
  const giveUpAt = systemEnv.clock.now() + 10_000;
  while (!codes.has("LOADING") && systemEnv.clock.now() < giveUpAt) {
    await instance.call("get", ["k1"]).catch((error: CoterieError) => codes.add(error.code));
  }
  await instance.call("config", ["set", "key-load-delay", 0]);
  await until("it is loaded", isReady(instance));

  expect([...codes]).toContain("LOADING");
});

test("an instance that comes back empty is announced", async () => {
  const { subscribe, unsubscribe } = await import("node:diagnostics_channel");
  const seen: unknown[] = [];
  const onRestart = (message: unknown): void => void seen.push(message);
  subscribe("coterie:instance:restarted", onRestart);
  const instance = await opened.open(server.url);
  await until("it was identified", () => instance.status().runId !== undefined);
  const before = instance.status().runId;

  await server.restart({ wipe: true });
  await until("the restart was noticed", () => seen.length > 0);
  unsubscribe("coterie:instance:restarted", onRestart);

  expect(seen).toEqual([{ instance: instance.id, runId: instance.status().runId, runIdBefore: before }]);
});

test("closing while the instance is paused takes no longer than its grace", async () => {
  const instance = await opened.open(server.url, { deadlineMs: 60_000 });
  await server.pause();
  const inFlight = rejection(() => instance.call("set", ["k", "v"]), "MAYBE_APPLIED");
  const { clock } = systemEnv;

  const startedAt = clock.now();
  await instance.close({ graceMs: 100 });
  await inFlight;
  const closedMs = clock.now() - startedAt;

  expect(closedMs).toBeGreaterThanOrEqual(95);
  expect(closedMs).toBeLessThan(400);
});
