/**
 * Claim: routed gets and sets over three instances cost less client CPU, and more of them fit into a
 * second, than every usual way from Node to Redis. All ways run against the same servers, one after the
 * other, in rounds; each ratio is taken within a round. `--quick` makes it short and coarse.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Redis } from "ioredis";
import { startRedis } from "coterie/testing";

import { startNutcracker } from "./support/nutcracker.ts";
import { type Job, type Measured, type PathName, PATHS } from "./shards-worker.ts";
import { machine, print, show, summarize, table } from "./support/report.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 2 : 7;
const WARM_MS = quick ? 300 : 700;
const MEASURE_MS = quick ? 500 : 1500;
const CALLERS = [500, 50, 1] as const;
const SLOTS = 16_384;
const WORKER = fileURLToPath(new URL("./shards-worker.js", import.meta.url));
const run = promisify(execFile);

type Results = Map<PathName, Measured[]>;

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

async function measureAll(job: Omit<Job, "path" | "callers">, callers: number): Promise<Results> {
  const results: Results = new Map();
  const names = Object.keys(PATHS) as PathName[];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Another order each round, so that nobody is always first on a fresh server.
    for (const [at] of names.entries()) {
      const path = names[(at + round) % names.length]!;
      const { stdout } = await run(process.execPath, [WORKER, JSON.stringify({ ...job, path, callers })], {
        timeout: 60_000,
      });
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

function report(callers: number, results: Results): void {
  print(`\n### ${callers} caller${callers === 1 ? "" : "s"}\n`);
  const rows = [...results].map(([path, measured]) => [
    path,
    show(summarize(measured.map(({ cpuMicrosPerCommand }) => cpuMicrosPerCommand))),
    ratios(results, path, ({ cpuMicrosPerCommand }) => cpuMicrosPerCommand),
    show(summarize(measured.map(({ perSecond }) => perSecond / 1000)), 1),
    ratios(results, path, ({ perSecond }) => 1 / perSecond),
    show(summarize(measured.map(({ p50Micros }) => p50Micros)), 0),
    show(summarize(measured.map(({ p99Micros }) => p99Micros)), 0),
  ]);
  const head = [
    "path",
    "CPU µs/command",
    "CPU to ours",
    "thousand/s",
    "ours to its rate",
    "p50 µs",
    "p99 µs",
  ];
  print(table(head, rows));
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
  await using proxy = await startNutcracker(ports);
  const job = { ports, clusterPorts, proxyPort: proxy.port, warmMs: WARM_MS, measureMs: MEASURE_MS };
  print(`## Commands over three Redis\n\n${machine()}`);
  print(`GET and SET half and half, 100,000 keys, 64-byte values; ${ROUNDS} rounds of ${MEASURE_MS} ms;`);
  print("median (min-max). Ratios are taken within a round: above 1 means that coterie is better.");
  for (const callers of CALLERS) report(callers, await measureAll(job, callers));
}

await main();
