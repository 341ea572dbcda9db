import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { type RedisGroup, seededRandom, startRedis } from "../../src/testing/index.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

let redis: RedisGroup;
let proxy: TcpProxy;
const clients: Client[] = [];

beforeEach(async () => {
  redis = await startRedis({ count: 1 });
  proxy = await TcpProxy.open(redis.instances[0]!);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await proxy.stop();
  await redis.stop();
});

/** Speaks to Redis in its inline form, and keeps all that it hears. */
class Client {
  readonly socket: Socket;
  heard = "";
  ended: "open" | "end" | "reset" | "refused" = "open";

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port });
    this.socket.on("data", (chunk) => (this.heard += chunk.toString()));
    this.socket.on("end", () => (this.ended = "end"));
    this.socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      this.ended = code === "ECONNREFUSED" ? "refused" : "reset";
    });
    clients.push(this);
  }

  say(command: string): void {
    this.socket.write(`${command}\r\n`);
  }

  hears(text: string): Promise<void> {
    return until(`${JSON.stringify(text)} is heard, not ${this.heard}`, () => this.heard === text);
  }
}

/** Asks Redis itself, past the proxy. */
async function direct(command: string): Promise<string> {
  const client = new Client(redis.instances[0]!.port);
  client.say(command);
  await until("Redis answers", () => client.heard.endsWith("\r\n"));
  return client.heard;
}

function quietMs(ms: number): Promise<void> {
  return systemEnv.clock.sleep(ms);
}

describe("a proxy that lets everything through", () => {
  test("delivers both ways, in order, and counts what it delivered", async () => {
    const client = new Client(proxy.port);

    for (let n = 0; n < 200; n += 1) client.say(`RPUSH list ${n}`);
    await client.hears(Array.from({ length: 200 }, (_, n) => `:${n + 1}\r\n`).join(""));

    expect(proxy.connections).toBe(1);
    expect(proxy.counts("toClient")).toEqual({
      deliveredBytes: client.heard.length,
      droppedBytes: 0,
      waitingBytes: 0,
    });
    expect((await direct("LRANGE list 0 -1")).match(/^\d+\r$/gm)).toHaveLength(200);
  });

  test("delivers megabytes to a slow reader without losing a byte", async () => {
    await direct(`SETRANGE large 8388607 x`);
    const client = new Client(proxy.port);
    client.socket.pause();
    client.say("GET large");
    await quietMs(50);

    client.socket.resume();

    await until("all has come", () => client.heard.length === 8_388_608 + "$8388608\r\n\r\n".length);
  });

  test("tells each side that the other has left", async () => {
    const client = new Client(proxy.port);
    client.say("PING");
    await client.hears("+PONG\r\n");

    await redis.instances[0]!.kill();

    await until("the client knows", () => client.ended !== "open");
    await until("the connection is over", () => proxy.connections === 0);
  });
});

describe("requests that are lost", () => {
  test("and were held arrive later, in order, although their client has gone", async () => {
    const client = new Client(proxy.port);
    client.say("SET k 0");
    await client.hears("+OK\r\n");
    proxy.hold("toServer");
    for (let n = 0; n < 10; n += 1) client.say("INCR k");
    await until("they wait", () => proxy.counts("toServer").waitingBytes === 80);
    client.socket.destroy();
    await quietMs(50);
    const before = await direct("GET k");

    proxy.pass();
    await until("the connection is over", () => proxy.connections === 0);

    expect(before).toBe("$1\r\n0\r\n");
    expect(await direct("GET k")).toBe("$2\r\n10\r\n");
  });

  test("and were swallowed never arrive, and the connection with the hole is reset in the end", async () => {
    const client = new Client(proxy.port);
    proxy.drop("toServer");
    client.say("SET k lost");
    await until("it is swallowed", () => proxy.counts("toServer").droppedBytes === 12);
    expect(client.ended).toBe("open");

    proxy.pass("toServer");

    await until("it is reset", () => client.ended === "reset");
    expect(await direct("GET k")).toBe("$-1\r\n");
    const next = new Client(proxy.port);
    next.say("PING");
    await next.hears("+PONG\r\n");
  });

  test("leave the replies alone", async () => {
    const client = new Client(proxy.port);
    client.say("SUBSCRIBE c");
    await until("it is subscribed", () => client.heard.endsWith(":1\r\n"));
    proxy.hold("toServer");

    await direct("PUBLISH c news");

    await until("the message is heard", () => client.heard.endsWith("news\r\n"));
  });
});

describe("replies that are lost", () => {
  test("and were held arrive later; the command has run", async () => {
    const client = new Client(proxy.port);
    proxy.hold("toClient");
    client.say("INCR k");
    await until("the reply waits", () => proxy.counts("toClient").waitingBytes === 4);
    expect(await direct("GET k")).toBe("$1\r\n1\r\n");
    expect(client.heard).toBe("");

    proxy.pass("toClient");

    await client.hears(":1\r\n");
  });

  test("and were swallowed do not come back, not even those that had been held", async () => {
    const client = new Client(proxy.port);
    proxy.hold("toClient");
    client.say("INCR k");
    await until("the reply waits", () => proxy.counts("toClient").waitingBytes === 4);
    proxy.drop("toClient");
    client.say("INCR k");
    await until("both are swallowed", () => proxy.counts("toClient").droppedBytes === 8);

    proxy.pass();

    await until("it is reset", () => client.ended === "reset");
    expect(client.heard).toBe("");
    expect(await direct("GET k")).toBe("$1\r\n2\r\n");
  });
});

describe("a slow wire", () => {
  test("delivers later by the delay of each direction, and in order whatever the jitter", async () => {
    const client = new Client(proxy.port);
    client.say("PING");
    await client.hears("+PONG\r\n");
    proxy.delay("toServer", 30, 20);
    proxy.delay("toClient", 20);
    const startedAt = systemEnv.clock.now();

    for (let n = 0; n < 20; n += 1) {
      client.say(`ECHO ${n % 10}`);
      await quietMs(1);
    }
    await client.hears(`+PONG\r\n${Array.from({ length: 20 }, (_, n) => `$1\r\n${n % 10}\r\n`).join("")}`);

    expect(systemEnv.clock.now() - startedAt).toBeGreaterThanOrEqual(50);
  });

  test("draws its jitter from its seed", async () => {
    await using slow = await TcpProxy.open(redis.instances[0]!, 7);
    slow.delay("toServer", 0, 200);
    const random = seededRandom(7);
    const client = new Client(slow.port);

    for (let n = 1; n <= 4; n += 1) {
      const startedAt = systemEnv.clock.now();
      client.say("PING");
      await client.hears("+PONG\r\n".repeat(n));
      const jitterMs = systemEnv.clock.now() - startedAt;

      expect(jitterMs).toBeGreaterThanOrEqual(200 * random.fraction() - 1);
    }
  });
});

describe("connections", () => {
  test("that are cut are reset on both sides, and new ones are taken", async () => {
    const client = new Client(proxy.port);
    client.say("PING");
    await client.hears("+PONG\r\n");

    expect(proxy.cut()).toBe(1);

    await until("it is reset", () => client.ended === "reset");
    await until("Redis knows", () => proxy.connections === 0);
    const next = new Client(proxy.port);
    next.say("PING");
    await next.hears("+PONG\r\n");
    expect(proxy.accepted).toBe(2);
  });

  test("are refused while it refuses, those that are there go on, and the port stays the same", async () => {
    const client = new Client(proxy.port);
    client.say("PING");
    await client.hears("+PONG\r\n");

    await proxy.refuse();
    const refused = new Client(proxy.port);
    await until("it is refused", () => refused.ended === "refused");
    client.say("PING");
    await client.hears("+PONG\r\n+PONG\r\n");
    await proxy.accept();

    const next = new Client(proxy.port);
    next.say("PING");
    await next.hears("+PONG\r\n");
  });

  test("are gone when it stops, those of dead servers too, and nobody listens", async () => {
    const client = new Client(proxy.port);
    await once(client.socket, "connect");
    await redis.instances[0]!.pause();
    proxy.hold("toServer");
    client.say("PING");

    await proxy.stop();

    await until("it is reset", () => client.ended === "reset");
    await until("none is left", () => proxy.connections === 0);
    const late = new Client(proxy.port);
    await until("it is refused", () => late.ended === "refused");
  });
});
