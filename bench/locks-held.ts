/**
 * Claim: held locks cost little, however many: one timer for all, renewals of a turn in one command per
 * instance. Memory, timers, and what renewing costs the client and the instances, over 3 instances; in
 * rounds, each measurement in a process of its own. Arguments: `--quick`, `--instances=3`, `--rounds=3`,
 * `--only=coterie`.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startRedis } from "coterie/testing";

import type { Job, Measured } from "./locks-held-worker.ts";
import { printHead, readArguments } from "./support/lock-bench.ts";
import { type KeeperName, KEEPERS } from "./support/lock-keepers.ts";
import { print, showAll, table } from "./support/report.ts";

const { quick, instances = [3], rounds: given, only } = readArguments();
const ROUNDS = given ?? (quick ? 1 : 3);
const LEASE_MS = quick ? 2400 : 10_000;
/** Two renewals of each lock where they begin at a third of the lease, one where at four fifths. */
const MEASURE_MS = quick ? 1000 : 10_000;
/** What the others can renew in time on this kind of machine, and what ours is for. */
const FEW = quick ? 200 : 10_000;
const MANY = quick ? 1000 : 100_000;
const WORKER = fileURLToPath(new URL("./locks-held-worker.js", import.meta.url));
const WORKER_MS_MAX = 120_000;
const run = promisify(execFile);

interface Case {
  readonly keeper: KeeperName;
  readonly locks: number;
}

async function measure(job: Job): Promise<Measured> {
  const { stdout } = await run(process.execPath, ["--expose-gc", WORKER, JSON.stringify(job)], {
    timeout: WORKER_MS_MAX,
    killSignal: "SIGKILL",
  });
  return JSON.parse(stdout) as Measured;
}

function rowOf({ keeper, locks }: Case, rounds: readonly Measured[], timers: number | undefined): string[] {
  return [
    `${keeper}, ${locks}`,
    showAll(rounds, ({ heapBytesPerLock }) => heapBytesPerLock),
    showAll(rounds, ({ rssBytesPerLock }) => rssBytesPerLock),
    timers === undefined ? "" : String(timers),
    showAll(rounds, ({ cpuRatio }) => cpuRatio * 100, 1),
    showAll(rounds, ({ redisCpuRatio }) => redisCpuRatio * 100, 1),
    showAll(rounds, ({ commandsPerSecond }) => commandsPerSecond),
    showAll(rounds, ({ loopDelayP99Ms }) => loopDelayP99Ms, 1),
    showAll(rounds, ({ loopDelayMaxMs }) => loopDelayMaxMs, 1),
    showAll(rounds, ({ acquireMs }) => locks / acquireMs, 1),
    showAll(rounds, ({ releaseMs }) => locks / releaseMs, 1),
    String(rounds.reduce((sum, { lost }) => sum + lost, 0)),
  ];
}

const HEAD = [
  "locks held by, number",
  "heap bytes/lock",
  "rss bytes/lock",
  "timers",
  "CPU % of a core",
  "Redis CPU % of a core",
  "commands/s",
  "loop delay p99 ms",
  "max ms",
  "acquired/ms",
  "released/ms",
  "lost",
];

async function main(): Promise<void> {
  for (const [nth, count] of instances.entries()) {
    await using redis = await startRedis({ count, provider: "process" });
    const ports = redis.instances.map(({ port }) => port);
    const all = Object.keys(KEEPERS) as KeeperName[];
    const keepers = all.filter((name) => (only ?? all).includes(name));
    const cases: Case[] = keepers.map((keeper) => ({ keeper, locks: FEW }));
    if (keepers.includes("coterie")) cases.push({ keeper: "coterie", locks: MANY });
    const job = { ports, leaseMs: LEASE_MS, measureMs: MEASURE_MS };
    const rows: string[][] = cases.map(() => []);
    const results: Measured[][] = cases.map(() => []);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const turn of cases.keys()) {
        const at = (turn + round) % cases.length;
        results[at]!.push(await measure({ ...job, ...cases[at]!, countTimers: false }));
      }
    }
    for (const [at, one] of cases.entries()) {
      const counted = await measure({ ...job, ...one, measureMs: 100, countTimers: true });
      rows[at] = rowOf(one, results[at]!, counted.timers);
    }
    if (nth === 0) {
      await printHead("Many locks held and renewed", ports[0]!, [
        `Leases of ${LEASE_MS} ms, renewed by each package as it does by default, for ${MEASURE_MS} ms;`,
        `${ROUNDS} round(s), median (min-max). Redis CPU is that of all instances together. "Lost" are those`,
        "that were not held any more at the end, over all rounds.",
      ]);
    }
    print(`\n### ${count} instance(s)\n`);
    print(table(HEAD, rows));
  }
}

await main();
