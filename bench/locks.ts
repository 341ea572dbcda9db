/**
 * Claim: taking and releasing a quorum lock, fencing token included, is several times faster than with
 * any lock package when many callers share a client, and no slower for one. Distinct resources, nobody
 * waits. In rounds, one process per measurement; each ratio is taken within a round. Arguments:
 * `--quick`, `--instances=1,3,5`, `--callers=1,50`, `--rounds=7`, `--only=coterie,floor`.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startRedis } from "coterie/testing";

import { type Job, type Measured } from "./locks-worker.ts";
import { printHead, readArguments } from "./support/lock-bench.ts";
import { type ContenderName, CONTENDERS } from "./support/lock-contenders.ts";
import { UNLIMITED } from "./support/lock-clients.ts";
import { print, show, showAll, summarize, table } from "./support/report.ts";

const { quick, instances = [1, 3, 5], callers = [1, 50], rounds: given, only } = readArguments();
const ROUNDS = given ?? (quick ? 1 : 7);
const WARM_MS = quick ? 150 : 700;
const WARM_LOCKS = quick ? 0 : 10_000;
const MEASURE_MS = quick ? 250 : 1500;
const WORKER = fileURLToPath(new URL("./locks-worker.js", import.meta.url));
/** A package that hangs here loses its measurement, and the bench says so by failing. */
const WORKER_MS_MAX = 30_000;
const run = promisify(execFile);

type Results = Map<ContenderName, Measured[]>;

async function measureAll(ports: readonly number[], callerCount: number): Promise<Results> {
  const results: Results = new Map();
  const all = Object.keys(CONTENDERS) as ContenderName[];
  const names = all.filter((name) => (only ?? all).includes(name) && name !== UNLIMITED);
  for (let round = 0; round < ROUNDS; round += 1) {
    // Another order each round, so that nobody is always first on a fresh server.
    for (const [at] of names.entries()) {
      const contender = names[(at + round) % names.length]!;
      const times = { warmMs: WARM_MS, warmLocks: WARM_LOCKS, measureMs: MEASURE_MS };
      const job: Job = { contender, ports, callers: callerCount, ...times };
      const { stdout } = await run(process.execPath, [WORKER, JSON.stringify(job)], {
        timeout: WORKER_MS_MAX,
        killSignal: "SIGKILL",
      });
      const list = results.get(contender) ?? [];
      list.push(JSON.parse(stdout) as Measured);
      results.set(contender, list);
    }
  }
  return results;
}

/** How often the number of `base` in the same round the number is. */
function ratios(
  results: Results,
  name: ContenderName,
  base: ContenderName,
  of: (one: Measured) => number,
): string {
  const bases = results.get(base);
  if (bases === undefined) return "";
  return show(summarize(results.get(name)!.map((one, round) => of(one) / of(bases[round]!))));
}

function perSecond(one: Measured): number {
  return one.perSecond;
}

/** How many locks a second of all processors' time is enough for: less shaken by what else runs. */
function perCpu({ cpuMicrosPerLock, redisMicrosPerLock }: Measured): number {
  return 1e6 / (cpuMicrosPerLock + redisMicrosPerLock);
}

function rowOf(results: Results, name: ContenderName): string[] {
  const measured = results.get(name)!;
  const trips = measured.flatMap(({ secondTripRatio: ratio }) => (ratio === undefined ? [] : [ratio * 100]));
  return [
    name,
    showAll(measured, perSecond),
    ratios(results, name, "redlock 5", perSecond),
    ratios(results, name, "raw sockets", perSecond),
    ratios(results, name, "redlock 5", perCpu),
    showAll(measured, ({ cpuMicrosPerLock }) => cpuMicrosPerLock),
    showAll(measured, ({ redisMicrosPerLock }) => redisMicrosPerLock),
    showAll(measured, ({ p50Micros }) => p50Micros),
    showAll(measured, ({ p99Micros }) => p99Micros),
    trips.length === 0 ? "" : show(summarize(trips), 1),
  ];
}

const HEAD = [
  "locks by",
  "acquired and released/s",
  "to redlock 5",
  "to raw sockets",
  "per CPU to redlock 5",
  "CPU µs/lock",
  "Redis CPU µs/lock",
  "p50 µs",
  "p99 µs",
  "second trips %",
];

async function main(): Promise<void> {
  for (const [nth, count] of instances.entries()) {
    await using redis = await startRedis({ count, provider: "process" });
    const ports = redis.instances.map(({ port }) => port);
    if (nth === 0) {
      await printHead("Locks that nobody else wants", ports[0]!, [
        "Acquire and release of distinct resources from one process. Median (min-max); ratios of rates,",
        "within a round. Redis CPU is that of all instances together. Floor, raw sockets: SET NX PX and an",
        "EVALSHA that deletes, answered at a majority; no token, no deadline, no lease arithmetic. Per CPU:",
        "locks for the processors' time of client and instances together.",
      ]);
    }
    for (const callerCount of callers) {
      const results = await measureAll(ports, callerCount);
      print(`\n### ${count} instance(s), ${callerCount} caller(s), ${ROUNDS} round(s) of ${MEASURE_MS} ms\n`);
      print(table(HEAD, [...results.keys()].map((name) => rowOf(results, name))));
    }
  }
}

await main();
