import { inspect } from "node:util";

import { Redis } from "ioredis";
import { Redis as OldRedis } from "ioredis5";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { defineScript } from "../../src/redis/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { OpenInstances } from "../support/instances.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let url: string;
const opened = new OpenInstances();

beforeAll(async () => {
  redis = await startRedis({ count: 1 });
  url = redis.urls[0]!;
});
afterEach(() => opened.closeAll());
afterAll(() => redis.stop());

test("replies come as text, numbers, null and lists", async () => {
  const instance = await opened.open(url);

  const replies = [
    await instance.call("SET", ["text", "grüße"]),
    await instance.call("get", ["text"]),
    await instance.call("get", ["absent"]),
    await instance.call("incrby", ["number", 7]),
    await instance.call("rpush", ["list", "a", "b"]),
    await instance.call("eval", ["return {1, {'x', false}}", 0]),
  ];

  expect(replies).toEqual(["OK", "grüße", null, 7, 2, [1, ["x", null]]]);
});

test("bytes go out and come back unchanged", async () => {
  const instance = await opened.open(url);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));

  await instance.call("set", [bytes, bytes]);
  const reply = await instance.call("get", [bytes], { reply: "bytes" });

  expect(reply).toEqual(bytes);
});

test("all commands of one turn leave in one socket write", async () => {
  const instance = await opened.open(url);
  const stream = Reflect.get(instance.client, "stream") as { _write: (...args: unknown[]) => unknown };
  const write = stream._write.bind(stream);
  let writes = 0;
  stream._write = (...args) => {
    writes += 1;
    return write(...args);
  };

  const replies = await Promise.all(Array.from({ length: 500 }, (_, n) => instance.call("echo", [`${n}`])));

  expect(replies).toEqual(Array.from({ length: 500 }, (_, n) => `${n}`));
  expect(writes).toBe(1);
});

test("an error reply rejects that command alone, with the server's words and without the arguments", async () => {
  const instance = await opened.open(url);
  await instance.call("set", ["a string", "x"]);

  const failing = instance.call("lpush", ["a string", "secret-value"]);
  const working = instance.call("get", ["a string"]);

  const error = await rejection(() => failing, "REPLY_ERROR");
  expect(error.message).toContain("refused LPUSH: WRONGTYPE");
  expect(error.retryable).toBe(false);
  expect(JSON.stringify(error) + String(error.cause)).not.toContain("secret-value");
  expect(await working).toBe("x");
  await until("nothing is in flight", () => instance.status().inFlight === 0);
});

test("a full instance answers OUT_OF_MEMORY, and nothing was written", async () => {
  const instance = await opened.open(url);
  await instance.call("config", ["set", "maxmemory", "1"]);

  const error = await rejection(() => instance.call("set", ["too much", "x"]), "OUT_OF_MEMORY");
  await instance.call("config", ["set", "maxmemory", "0"]);

  expect(error.retryable).toBe(true);
  expect(await instance.call("exists", ["too much"])).toBe(0);
});

test("a script is sent by its SHA, and again in full after SCRIPT FLUSH", async () => {
  const instance = await opened.open(url);
  const script = defineScript({
    name: "add",
    keyCount: 1,
    source: "return redis.call('incrby', KEYS[1], ARGV[1])",
  });
  await instance.call("del", ["sum"]);
  await instance.call("script", ["flush"]);

  const first = await instance.run(script, ["sum"], [1]);
  await instance.call("config", ["resetstat"]);
  const second = await instance.run(script, ["sum"], [1]);
  const stats = String(await instance.call("info", ["commandstats"]));
  await instance.call("script", ["flush"]);
  const third = await instance.run(script, ["sum"], [1]);

  expect([first, second, third]).toEqual([1, 2, 3]);
  expect(instance.status().counters.scriptsSent).toBe(2);
  expect(stats).toContain("cmdstat_evalsha:calls=1");
  expect(stats).not.toContain("cmdstat_eval:");
});

test.each(["BUSY somebody holds it", "OOM no room", "NOSCRIPT nothing of the kind"])(
  "a script that wrote and then failed with %j is no refusal, and does not run twice",
  async (failure) => {
    const instance = await opened.open(url);
    const source = `redis.call('incr', KEYS[1]) return redis.error_reply('${failure}')`;
    const script = defineScript({ name: "half", keyCount: 1, source });
    await instance.call("del", ["half"]);
    await instance.call("script", ["load", source]);

    const error = await rejection(() => instance.run(script, ["half"], []), "REPLY_ERROR");

    expect(error.retryable).toBe(false);
    expect(await instance.call("get", ["half"])).toBe("1");
  },
);

test("an error reply that repeats arguments loses them", async () => {
  const instance = await opened.open(url);

  const unknown = await rejection(() => instance.call("settt", ["k", "hunter2"]), "REPLY_ERROR");
  const setUser = (): Promise<unknown> => instance.call("acl", ["setuser", "x", ">hunter2 ", "hunter2"]);
  const acl = await rejection(setUser, "REPLY_ERROR");

  for (const error of [unknown, acl]) expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
  expect(unknown.message).toContain("unknown command 'settt'");
});

test("the longest deadline that there is works, for a call and for all", async () => {
  const instance = await opened.open(url, { deadlineMs: 2 ** 31 - 1 });

  const reply = await instance.call("echo", ["x"], { deadlineMs: 2 ** 31 - 1 });

  expect(reply).toBe("x");
});

test.each<[string, unknown]>([
  ["null", null],
  ["a signal that is none", { signal: {} }],
  ["no signal at all", { signal: null }],
  ["a deadline of text", { deadlineMs: "5" }],
])("%s as options is refused, and nothing is sent", async (_, options) => {
  const instance = await opened.open(url);
  const { sent } = instance.status().counters;

  await rejection(() => instance.call("incr", ["n"], options as never), "INVALID_OPTION");

  expect(instance.status().counters.sent).toBe(sent);
});

test("bytes whose memory was given away are refused, and nothing is counted as in flight", async () => {
  const instance = await opened.open(url);
  await until("idle", () => instance.status().inFlight === 0);
  const bytes = new Uint8Array([1, 2, 3]);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });

  const settled = await Promise.allSettled([instance.call("set", ["k", bytes])]);

  expect(settled).toMatchObject([{ status: expect.stringMatching(/fulfilled|rejected/) as string }]);
  expect(instance.status().inFlight).toBe(0);
});

test("calls that were aborted count as in flight until their replies have come", async () => {
  const instance = await opened.open(url, { inFlightMax: 50 });
  await until("idle", () => instance.status().inFlight === 0);
  const aborting = new AbortController();

  const calls = Array.from({ length: 50 }, () => instance.call("ping", [], { signal: aborting.signal }));
  aborting.abort();
  await Promise.allSettled(calls);
  const refused = await rejection(() => instance.call("ping", []), "OVERLOADED");
  await until("the replies have come", () => instance.status().inFlight === 0);

  expect(refused.retryable).toBe(true);
});

test("bytes that are no reply cost the connection, and nothing else", async () => {
  const instance = await opened.open(url);
  const stream = Reflect.get(instance.client, "stream") as { emit(name: string, data: Buffer): void };

  stream.emit("data", Buffer.from("!3\r\nabc\r\n"));
  await until("it has another connection", () => instance.connections === 2);

  expect(await instance.call("echo", ["well"])).toBe("well");
});

test.each([
  ["with nothing else to send", false],
  ["under traffic", true],
])("a connection whose replies are out of step is given up, %s", async (_, hasTraffic) => {
  const instance = await opened.open(url);
  const queue = Reflect.get(instance.client, "commandQueue") as { unshift(item: unknown): void };
  const nobody = { resolve() {}, reject() {}, name: "nobody" };

  queue.unshift({ command: nobody });
  await until("it was noticed", () => {
    if (hasTraffic) instance.call("echo", ["traffic"]).catch(() => "as expected");
    return instance.connections === 2;
  });

  expect(await instance.call("echo", ["in step"])).toBe("in step");
});

test("a script with the wrong number of keys is refused before it is sent", async () => {
  const instance = await opened.open(url);
  const script = defineScript({ name: "two", keyCount: 2, source: "return 1" });

  const error = await rejection(() => instance.run(script, ["one"], []), "INVALID_ARGUMENT");

  expect(error.message).toBe('script "two": takes 2 keys, got 1');
});

test("a stream with the name of an option is read", async () => {
  const instance = await opened.open(url);

  expect(await instance.call("xread", ["COUNT", 1, "STREAMS", "block", "0"])).toBeNull();
});

test.each<[string, (string | number | Buffer)[]]>([
  ["BLPOP", ["list", 0]],
  ["subscribe", ["news"]],
  ["MULTI", []],
  ["select", [1]],
  ["quit", []],
  ["xread", ["BLOCK", 0, "STREAMS", "s", "$"]],
  ["client", ["REPLY", "OFF"]],
  ["client", [Buffer.from("reply"), "SKIP"]],
  ["xread", [Buffer.from("block"), 0, "STREAMS", "s", "$"]],
  ["script", ["DEBUG", "YES"]],
  ["replconf", ["ack", 0]],
])("%s is refused on the shared connection", async (name, args) => {
  const instance = await opened.open(url);

  const error = await rejection(() => instance.call(name, args), "INVALID_ARGUMENT");

  expect(error.message).toContain("a connection that others share");
  expect(await instance.call("ping", [])).toBe("PONG");
});

test.each<[string, unknown]>([
  ["undefined", undefined],
  ["an object", {}],
  ["true", true],
  ["a list", ["a"]],
])("%s as an argument is refused, and nothing is sent", async (_, argument) => {
  const instance = await opened.open(url);
  const { sent } = instance.status().counters;

  const error = await rejection(() => instance.call("set", ["key", argument as string]), "INVALID_ARGUMENT");

  expect(error.message).toContain("SET: argument 2 must be a string, a number or bytes");
  expect(instance.status().counters.sent).toBe(sent);
});

test("more commands in flight than allowed are refused at once, the others are answered", async () => {
  const instance = await opened.open(url, { inFlightMax: 10 });
  await until("idle", () => instance.status().inFlight === 0);

  const results = await Promise.allSettled(Array.from({ length: 12 }, () => instance.call("ping", [])));

  const refused = results.filter((result) => result.status === "rejected");
  expect(refused).toHaveLength(2);
  expect(refused.every(({ reason }) => reason.code === "OVERLOADED" && reason.retryable)).toBe(true);
});

test("an abort ends the wait and leaves the connection in step", async () => {
  const instance = await opened.open(url);
  await until("idle", () => instance.status().inFlight === 0);
  const aborting = new AbortController();

  const aborted = instance.call("incr", ["aborted"], { signal: aborting.signal });
  aborting.abort(new Error("changed my mind"));
  const error = await rejection(() => aborted, "ABORTED");

  expect(error.retryable).toBe(false);
  expect(await instance.call("echo", ["next"])).toBe("next");
  expect(instance.status().inFlight).toBe(0);
});

test("one signal serves any number of calls, without a warning", async () => {
  const instance = await opened.open(url);
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", onWarning);
  const aborting = new AbortController();
  const { signal } = aborting;

  const ping = (): Promise<unknown> => instance.call("ping", [], { signal });
  const twenty = (): Promise<unknown>[] => Array.from({ length: 20 }, ping);
  const answered = await Promise.all(twenty());
  const calls = twenty();
  aborting.abort();
  const settled = await Promise.allSettled(calls);
  await new Promise((resolve) => setImmediate(resolve));
  process.removeListener("warning", onWarning);

  expect(answered).toHaveLength(20);
  const codes = settled.map((one) => one.status === "rejected" && one.reason.code);
  expect(codes).toEqual(Array(20).fill("ABORTED"));
  expect(warnings).toEqual([]);
});

test("a signal that has aborted already sends nothing", async () => {
  const instance = await opened.open(url);
  const { sent } = instance.status().counters;

  const error = await rejection(
    () => instance.call("incr", ["n"], { signal: AbortSignal.abort() }),
    "ABORTED",
  );

  expect(error.retryable).toBe(true);
  expect(instance.status().counters.sent).toBe(sent);
});

test("after close every call fails at once with CLOSED, and what was in flight was answered", async () => {
  const instance = await opened.open(url);
  const inFlight = instance.call("echo", ["last"]);

  await instance.close();

  expect(await inFlight).toBe("last");
  await rejection(() => instance.call("ping", []), "CLOSED");
  expect(instance.status().state).toBe("closed");
});

test("a grace that is no number of milliseconds is refused", async () => {
  const instance = await opened.open(url);

  await rejection(() => instance.close({ graceMs: -1 }), "INVALID_OPTION");

  expect(await instance.call("ping", [])).toBe("PONG");
});

test("closing twice at once waits for the same calls in flight", async () => {
  const instance = await opened.open(url, { deadlineMs: 5000 });
  const inFlight = instance.call("eval", ["for i = 1, 2e6 do end return 'done'", 0]);

  await Promise.all([instance.close(), instance.close()]);

  expect(await inFlight).toBe("done");
});

test("status tells who answers and how fast", async () => {
  const instance = await opened.open(url);

  await until("a health check was answered", () => instance.status().roundTrip.count > 0);

  expect(instance.status()).toMatchObject({
    state: "ready",
    circuit: "closed",
    lastError: undefined,
    runId: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
    redisVersion: expect.stringMatching(/^\d+\.\d+/) as string,
  });
});

test.each([
  ["the tested ioredis", Redis],
  ["the oldest supported ioredis", OldRedis as unknown as typeof Redis],
])("a client of %s lends its options, and goes on working after we closed", async (_, Client) => {
  const client = new Client(url, { connectionName: "app" });
  try {
    const instance = await opened.open(client);

    await instance.call("set", ["lent", "yes"]);
    const bytes = await instance.call("get", [Buffer.from("lent")], { reply: "bytes" });
    await instance.close();

    expect(bytes).toEqual(Buffer.from("yes"));
    expect(await client.get("lent")).toBe("yes");
  } finally {
    client.disconnect();
  }
});

test("while the event loop was blocked for longer than the deadline, nobody is accused", async () => {
  const instance = await opened.open(url);
  const reply = instance.call("echo", ["patience"]);

  const end = performance.now() + 300;
  while (performance.now() < end);

  expect(await reply).toBe("patience");
  expect(instance.circuit).toBe("closed");
});
