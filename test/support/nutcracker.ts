/**
 * A real nutcracker (twemproxy) before real Redis: started as a child on loopback, gone afterwards however
 * the test process ends. One nutcracker serves several pools, each with a listener, servers and options of
 * its own. `forward` gives a server any address that nutcracker's naming rules depend on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Watchdog } from "../../src/testing/redis/watchdog.ts";
import { freePorts } from "./free-ports.ts";
import { until } from "./until.ts";

export interface Pool {
  readonly hash: string;
  readonly hashTag?: string;
  /** As nutcracker has them: "host:port:weight" or "host:port:weight name". */
  readonly servers: readonly string[];
}

export interface Nutcracker {
  /** Where each pool listens, in the order given. */
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

const INSTALL = "nutcracker is not installed: apt-get install -y --no-install-recommends nutcracker";
const ANSWER_MS_MAX = 20_000;

export async function startNutcracker(pools: readonly Pool[]): Promise<Nutcracker> {
  const [statsPort, ...ports] = await freePorts(pools.length + 1);
  const folder = await mkdtemp(join(tmpdir(), "coterie-nutcracker-"));
  const watchdog = new Watchdog({ folder });
  const config = join(folder, "pools.yml");
  const configs = pools.map((pool, i) => poolConfig(`pool${i}`, ports[i] as number, pool));
  await writeFile(config, configs.join("\n"));
  const log = join(folder, "log");
  const flags = ["-c", config, "-a", "127.0.0.1", "-s", `${statsPort}`, "-p", join(folder, "pid"), "-o", log];
  const child = spawn("nutcracker", flags, { detached: true, stdio: "ignore" });
  const failed = once(child, "error").then(([error]) => error as Error);
  if (child.pid === undefined) {
    await watchdog.close();
    throw new Error(INSTALL, { cause: await failed });
  }
  watchdog.watch(child.pid);
  const stop = async () => {
    await end(child);
    await watchdog.close();
  };
  try {
    for (const port of ports) await untilListening(port, child);
  } catch (error) {
    const printed = await readFile(log, "utf8");
    await stop();
    throw new Error(`nutcracker does not serve; it logged:\n${printed.slice(-4_000)}`, { cause: error });
  }
  return { ports, stop };
}

/** Stores every key over one connection and resolves when each was answered with OK. */
export async function storeAll(port: number, keys: readonly Uint8Array[]): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => (received += text));
  const closed = once(socket, "close");
  for (const key of keys) socket.write(setCommand(key));
  const expected = "+OK\r\n".repeat(keys.length);
  try {
    const isDone = () => received.length >= expected.length || socket.closed;
    await until("every SET is answered", isDone, ANSWER_MS_MAX);
  } finally {
    socket.destroy();
    await closed;
  }
  if (received === expected) return;
  throw new Error(`not all OK: ${received.replaceAll("+OK\r\n", "").slice(0, 300)}`);
}

export interface Forwarder {
  stop(): Promise<void>;
}

/** Lets what listens on `port` be reached at another loopback address. */
export async function forward(host: string, fromPort: number, port: number): Promise<Forwarder> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((inbound) => {
    const outbound = connect({ host: "127.0.0.1", port });
    for (const [socket, other] of [[inbound, outbound], [outbound, inbound]] as const) {
      sockets.add(socket);
      socket.pipe(other);
      // An error is followed by "close", which takes the other side down with it.
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(fromPort, host);
  await once(server, "listening");
  return {
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function poolConfig(name: string, port: number, { hash, hashTag, servers }: Pool): string {
  return [
    `${name}:`,
    `  listen: 127.0.0.1:${port}`,
    `  hash: ${hash}`,
    ...(hashTag === undefined ? [] : [`  hash_tag: "${hashTag}"`]),
    "  distribution: ketama",
    "  redis: true",
    "  auto_eject_hosts: false",
    "  preconnect: true",
    "  timeout: 10000",
    "  servers:",
    ...servers.map((server) => `   - ${server}`),
    "",
  ].join("\n");
}

function setCommand(key: Uint8Array): Buffer {
  const head = Buffer.from(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n`);
  return Buffer.concat([head, key, Buffer.from("\r\n$1\r\nv\r\n")]);
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  let isOpen = false;
  const attempt = () => {
    const socket = connect({ host: "127.0.0.1", port }, () => {
      isOpen = true;
      socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (!isOpen && child.exitCode === null) setTimeout(attempt, 20);
    });
  };
  attempt();
  await until(`port ${port} is open`, () => isOpen || child.exitCode !== null);
  if (!isOpen) throw new Error(`nutcracker ended with ${child.exitCode}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
