/**
 * One measurement of bench/shards in a process of its own, so that no path inherits another's heap or
 * compiled code. Argument: a JSON `Job`. Prints one JSON `Measured`.
 */
import { Redis, Cluster } from "ioredis";
import { openShards } from "coterie";
import { HashRing } from "coterie/ring";

import { RawClient } from "./support/raw-resp.ts";

export interface Job {
  readonly path: PathName;
  readonly ports: readonly number[];
  readonly clusterPorts: readonly number[];
  readonly proxyPort: number;
  readonly callers: number;
  readonly warmMs: number;
  readonly measureMs: number;
}

export interface Measured {
  readonly commands: number;
  readonly perSecond: number;
  /** Of this process alone: user and system time. */
  readonly cpuMicrosPerCommand: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** What is compared: gets and sets of one key. */
interface Target {
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  close(): unknown;
}

export const PATHS = {
  coterie: openCoterieShards,
  "ioredis, one server": async ({ ports }: Job) => one(await plain(ports[0]!)),
  "ioredis, routed by hand": (job: Job) => byHand(job, {}),
  "ioredis, by hand, auto-pipelining": (job: Job) => byHand(job, { enableAutoPipelining: true }),
  "ioredis Cluster": (job: Job) => cluster(job, false),
  "ioredis Cluster, auto-pipelining": (job: Job) => cluster(job, true),
  nutcracker: async ({ proxyPort }: Job) =>
    one(await plain(proxyPort, { protocol: 2, enableReadyCheck: false, disableClientInfo: true })),
  "raw RESP client (floor)": rawFloor,
} satisfies Record<string, (job: Job) => Promise<Target>>;

export type PathName = keyof typeof PATHS;

const KEY_COUNT = 100_000;
const VALUE = "x".repeat(64);
const LATENCY_EVERY = 7;

async function openCoterieShards({ ports }: Job): Promise<Target> {
  const shards = await openShards({ instances: ports.map((port) => `redis://127.0.0.1:${port}`) });
  return {
    get: (key) => shards.get(key),
    set: (key, value) => shards.set(key, value),
    close: () => shards.close(),
  };
}

async function plain(port: number, options: object = {}): Promise<Redis> {
  const client = new Redis({ port, host: "127.0.0.1", ...options });
  await new Promise((resolve) => client.once("ready", resolve));
  return client;
}

function one(client: Redis): Target {
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    close: () => client.disconnect(),
  };
}

async function byHand({ ports }: Job, options: object): Promise<Target> {
  const clients = await Promise.all(ports.map((port) => plain(port, options)));
  const ring = new HashRing(ports.map(String));
  return {
    get: (key) => clients[ring.ownerIndex(key)]!.get(key),
    set: (key, value) => clients[ring.ownerIndex(key)]!.set(key, value),
    close: () => clients.forEach((client) => client.disconnect()),
  };
}

async function cluster({ clusterPorts }: Job, enableAutoPipelining: boolean): Promise<Target> {
  const nodes = clusterPorts.map((port) => ({ host: "127.0.0.1", port }));
  const client = new Cluster(nodes, { enableAutoPipelining });
  await new Promise((resolve) => client.once("ready", resolve));
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    close: () => client.disconnect(),
  };
}

async function rawFloor({ ports }: Job): Promise<Target> {
  const clients = ports.map((port) => new RawClient(port));
  const ring = new HashRing(ports.map(String));
  await Promise.all(clients.map((client) => client.get("warm")));
  return {
    get: (key) => clients[ring.ownerIndex(key)]!.get(key),
    set: (key, value) => clients[ring.ownerIndex(key)]!.set(key, value),
    close: () => clients.forEach((client) => client.close()),
  };
}

async function measure(job: Job): Promise<Measured> {
  const target = await PATHS[job.path](job);
  const keys = Array.from({ length: KEY_COUNT }, (_, n) => `key:${String(n).padStart(16, "0")}`);
  const latencies: number[] = [];
  let done = 0;
  let recording = false;
  let stopped = false;
  const caller = async (nth: number): Promise<void> => {
    let state = nth * 7919 + 1;
    while (!stopped) {
      state = (state * 1_103_515_245 + 12_345) & 0x7f_ff_ff_ff;
      const key = keys[(state >>> 8) % KEY_COUNT]!;
      const sampled = recording && done % LATENCY_EVERY === 0;
      const startedAt = sampled ? performance.now() : 0;
      if ((state & 0x80) === 0) await target.get(key);
      else await target.set(key, VALUE);
      done += 1;
      if (sampled) latencies.push((performance.now() - startedAt) * 1000);
    }
  };
  const callers = Array.from({ length: job.callers }, (_, nth) => caller(nth));
  await new Promise((resolve) => setTimeout(resolve, job.warmMs));
  recording = true;
  const doneBefore = done;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, job.measureMs));
  const commands = done - doneBefore;
  const cpu = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - startedAt) / 1000;
  stopped = true;
  await Promise.all(callers);
  await target.close();
  latencies.sort((a, b) => a - b);
  return {
    commands,
    perSecond: commands / seconds,
    cpuMicrosPerCommand: (cpu.user + cpu.system) / commands,
    p50Micros: latencies[Math.floor(latencies.length * 0.5)]!,
    p99Micros: latencies[Math.floor(latencies.length * 0.99)]!,
  };
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("shards-worker.js") === true) {
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]) as Job)));
}
