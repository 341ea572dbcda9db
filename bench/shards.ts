/**
 * Claim: routed gets and sets over three instances cost less client CPU, and more of them fit into a
 * second, than every usual way from Node to Redis. All ways run against the same servers, one after the
 * other, in rounds; each ratio is taken within a round. `--quick` makes it short and coarse.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Redis } from "ioredis";
import { startRedis } from "coterie/testing";

import { startNutcracker } from "./support/nutcracker.ts";
import { type Job, type Measured, type PathName, PATHS } from "./shards-worker.ts";
import { machine, print, show, summarize, table } from "./support/report.ts";

const quick = process.argv.includes("--quick");
/** One caller waits for wake-ups most of the time, which vary most: more and shorter rounds. */
const LOADS: readonly { callers: number; rounds: number; warmMs: number; measureMs: number }[] = [
  { callers: 500, rounds: quick ? 2 : 7, warmMs: quick ? 300 : 700, measureMs: quick ? 500 : 1500 },
  { callers: 50, rounds: quick ? 2 : 7, warmMs: quick ? 300 : 700, measureMs: quick ? 500 : 1500 },
  { callers: 1, rounds: quick ? 3 : 21, warmMs: 300, measureMs: quick ? 300 : 500 },
];
const SLOTS = 16_384;
const WORKER = fileURLToPath(new URL("./shards-worker.js", import.meta.url));
const run = promisify(execFile);

type Results = Map<PathName, Measured[]>;
type Ports = Pick<Job, "ports" | "clusterPorts" | "proxyPort">;

/** Makes a cluster of the instances: equal ranges of slots, everybody introduced to everybody. */
async function joinCluster(ports: readonly number[]): Promise<void> {
  const clients = ports.map((port) => new Redis({ port, host: "127.0.0.1" }));
  for (const [at, client] of clients.entries()) {
    const first = Math.floor((SLOTS * at) / ports.length);
    const last = Math.floor((SLOTS * (at + 1)) / ports.length) - 1;
    await client.call("cluster", "addslotsrange", first, last);
    await client.call("cluster", "meet", "127.0.0.1", ports[0]!);
  }
  const giveUpAt = performance.now() + 15_000;
  for (const client of clients) {
    while (!String(await client.call("cluster", "info")).includes("cluster_state:ok")) {
      if (performance.now() > giveUpAt) throw new Error("the cluster did not form within 15 s");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    client.disconnect();
  }
}

async function measureAll(ports: Ports, { rounds, ...load }: (typeof LOADS)[number]): Promise<Results> {
  const results: Results = new Map();
  const all = Object.keys(PATHS) as PathName[];
  const names = all.filter((name) => name !== "nutcracker" || ports.proxyPort > 0);
  for (let round = 0; round < rounds; round += 1) {
    // Another order each round, so that nobody is always first on a fresh server.
    for (const [at] of names.entries()) {
      const path = names[(at + round) % names.length]!;
      const job: Job = { ...ports, ...load, path };
      const { stdout } = await run(process.execPath, [WORKER, JSON.stringify(job)], { timeout: 60_000 });
      const list = results.get(path) ?? [];
      list.push(JSON.parse(stdout) as Measured);
      results.set(path, list);
    }
  }
  return results;
}

function ratios(results: Results, path: PathName, of: (measured: Measured) => number): string {
  const ours = results.get("coterie")!;
  const theirs = results.get(path)!;
  return `${show(summarize(theirs.map((their, round) => of(their) / of(ours[round]!))))}x`;
}

function report({ callers, rounds, measureMs }: (typeof LOADS)[number], results: Results): void {
  print(`\n### ${callers} caller${callers === 1 ? "" : "s"}, ${rounds} rounds of ${measureMs} ms\n`);
  const rows = [...results].map(([path, measured]) => [
    path,
    show(summarize(measured.map(({ cpuMicrosPerCommand }) => cpuMicrosPerCommand))),
    ratios(results, path, ({ cpuMicrosPerCommand }) => cpuMicrosPerCommand),
    show(summarize(measured.map(({ perSecond }) => perSecond / 1000)), 1),
    ratios(results, path, ({ perSecond }) => 1 / perSecond),
    show(summarize(measured.map(({ p50Micros }) => p50Micros)), 0),
    show(summarize(measured.map(({ p99Micros }) => p99Micros)), 0),
    ratios(results, path, ({ p99Micros }) => p99Micros),
  ]);
  print(
    table(
      ["path", "CPU µs/command", "CPU gain", "thousand/s", "rate gain", "p50 µs", "p99 µs", "p99 gain"],
      rows,
    ),
  );
}

function hasNutcracker(): boolean {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => existsSync(join(folder, "nutcracker")));
}

async function versions(url: string): Promise<string> {
  const client = new Redis(url);
  const redis = /redis_version:(\S+)/.exec(await client.info("server"))?.[1];
  client.disconnect();
  const { version } = createRequire(import.meta.url)("ioredis/package.json") as { version: string };
  return `ioredis ${version}, redis ${redis ?? "unknown"}`;
}

async function main(): Promise<void> {
  await using servers = await startRedis({ count: 3, provider: "process" });
  await using masters = await startRedis({
    count: 3,
    provider: "process",
    config: { "cluster-enabled": "yes" },
  });
  const ports = servers.instances.map(({ port }) => port);
  const clusterPorts = masters.instances.map(({ port }) => port);
  await joinCluster(clusterPorts);
  await using proxy = hasNutcracker() ? await startNutcracker(ports) : undefined;
  print(`## Commands over three Redis\n\n${machine()}`);
  print(`${await versions(servers.urls[0]!)}, GET and SET half and half, 100,000 keys, 64-byte values.`);
  print("Median (min-max). A gain is the other way's number over coterie's in the same round (for rates,");
  print("the inverse): above 1 means that coterie is better.");
  if (proxy === undefined) print("Left out: nutcracker is not installed (apt-get install nutcracker).");
  const all = { ports, clusterPorts, proxyPort: proxy?.port ?? 0 };
  for (const load of LOADS) report(load, await measureAll(all, load));
}

await main();
