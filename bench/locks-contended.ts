/**
 * Claim: when everybody wants the same lock, ours goes from hand to hand in the order in which they asked,
 * several times faster than any lock package and with few commands, and goes on when waiters die or
 * freeze. 100 waiters in 5 processes, each to hold it once. In rounds; ratios within a round. Arguments:
 * `--quick`, `--instances=3,5`, `--rounds=5`, `--only=coterie`.
 */
import { fileURLToPath } from "node:url";

import { Redis } from "ioredis";
import { type RedisGroup, startRedis } from "coterie/testing";

import { type Done, type Job, monotonicMs } from "./locks-contended-worker.ts";
import { BenchWorker } from "./support/bench-worker.ts";
import { printHead, readArguments } from "./support/lock-bench.ts";
import { UNLIMITED } from "./support/lock-clients.ts";
import { type ContenderName, CONTENDERS } from "./support/lock-contenders.ts";
import { type Shown, showRun } from "./support/lock-holds.ts";
import { print, show, showAll, summarize, table } from "./support/report.ts";

const { quick, instances = [1, 3, 5], rounds: given, only } = readArguments();
const WORKER = fileURLToPath(new URL("./locks-contended-worker.js", import.meta.url));
const ROUNDS = given ?? (quick ? 1 : 5);
const HOLD_MS = 5;
const CALL_MS_MAX = 20_000;
/** Of packages that may never come to an end. */
const LIVELOCK_MS = 5_000;
const QUEUED_MS_MAX = 10_000;

/** How the 100 are spread over processes; `struck` ones get the signal while all wait. */
interface Crowd {
  readonly name: string;
  readonly living: readonly number[];
  readonly struck: readonly number[];
  readonly signal?: "SIGKILL" | "SIGSTOP";
}

const size = (count: number): number => (quick ? Math.ceil(count / 4) : count);
const times = (count: number, each: number): number[] => Array.from({ length: count }, () => size(each));
const ALL: Crowd = { name: "all live", living: times(5, 20), struck: [] };
const STRUCK: readonly Crowd[] = [
  { name: "one process of 20 killed", living: times(4, 20), struck: times(1, 20), signal: "SIGKILL" },
  { name: "one process of 20 stopped", living: times(4, 20), struck: times(1, 20), signal: "SIGSTOP" },
  { name: "5 processes of 4 killed", living: times(5, 16), struck: times(5, 4), signal: "SIGKILL" },
  { name: "5 processes of 4 stopped", living: times(5, 16), struck: times(5, 4), signal: "SIGSTOP" },
];

let resources = 0;

async function withWorkers<T>(
  jobs: readonly Job[],
  body: (workers: readonly BenchWorker[]) => Promise<T>,
): Promise<T> {
  const starting = await Promise.allSettled(jobs.map((job) => BenchWorker.start(WORKER, job)));
  try {
    return await body(starting.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    }));
  } finally {
    for (const one of starting) if (one.status === "fulfilled") one.value.kill();
  }
}

/** All its waiters ask at once; resolves when each of them has held the resource or given up. */
function go(worker: BenchWorker): Promise<Done> {
  return worker.ask<Done>({}, "done", 2 * CALL_MS_MAX);
}

function jobOf(contender: ContenderName, redis: RedisGroup, holdMs: number): Omit<Job, "waiters"> {
  resources += 1;
  const ports = redis.instances.map(({ port }) => port);
  const callMsMax = contender === UNLIMITED ? LIVELOCK_MS : CALL_MS_MAX;
  return { contender, ports, resource: `report:${process.pid}:${resources}`, holdMs, callMsMax };
}

/** All ask at once, and the first finds it free. */
async function race(contender: ContenderName, redis: RedisGroup, holdMs: number): Promise<Shown> {
  const job = jobOf(contender, redis, holdMs);
  return withWorkers(ALL.living.map((waiters) => ({ ...job, waiters })), async (workers) => {
    const startedAt = monotonicMs();
    const all = await Promise.all(workers.map(go));
    const commands = all.reduce((sum, one) => sum + one.commands, 0);
    return showRun({ startedAt, outcomes: all.flatMap(({ outcomes }) => outcomes), commands });
  });
}

/** We hold it until all have their tickets, strike those that are to be struck, and let go. */
async function handOver(crowd: Crowd, redis: RedisGroup, holdMs: number): Promise<Shown> {
  const job = jobOf("coterie", redis, holdMs);
  const client = await CONTENDERS.coterie({ ports: job.ports, leaseMs: 10_000 });
  const sizes = [...crowd.living, ...crowd.struck];
  try {
    return await withWorkers(sizes.map((waiters) => ({ ...job, waiters })), async (workers) => {
      const held = await client.acquire(job.resource);
      const all = workers.map(go);
      // Those that are struck never answer.
      for (const one of all) one.catch(() => undefined);
      const queue = await readQueue(job, sizes.reduce((sum, count) => sum + count, 0));
      const doomed = workers.slice(crowd.living.length);
      if (crowd.signal !== undefined) for (const one of doomed) one.strike(crowd.signal);
      const startedAt = monotonicMs();
      await held.release();
      const done = await Promise.all(all.slice(0, crowd.living.length));
      const commands = done.reduce((sum, one) => sum + one.commands, 0);
      return showRun({ startedAt, outcomes: done.flatMap(({ outcomes }) => outcomes), commands, queue });
    });
  } finally {
    await client.close();
  }
}

/** The tickets in their order, once all are on all instances. A ticket is its holder token and a letter. */
async function readQueue({ ports, resource }: Job | Omit<Job, "waiters">, count: number): Promise<string[]> {
  const clients = ports.map((port) => new Redis({ port, host: "127.0.0.1" }));
  const key = `coterie:queue:coterie:lock:${resource}`;
  const giveUpAt = performance.now() + QUEUED_MS_MAX;
  try {
    for (;;) {
      const queues = await Promise.all(clients.map((client) => client.zrange(key, 0, "-1")));
      const lists = new Set(queues.map((queue) => queue.join(" ")));
      if (lists.size === 1 && queues[0]!.length === count) return queues[0]!.map((one) => one.slice(0, 28));
      if (performance.now() > giveUpAt) {
        const lengths = queues.map(({ length }) => length).join(", ");
        throw new Error(`not all ${count} tickets were filed alike: ${lengths} on the instances`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
}

type Results = Map<string, Shown[]>;

function add(results: Results, name: string, shown: Shown): void {
  results.set(name, [...(results.get(name) ?? []), shown]);
}

async function races(redis: RedisGroup, holdMs: number): Promise<Results> {
  const results: Results = new Map();
  const all: readonly ContenderName[] =
    holdMs === 0 ? ["coterie", "redlock 4.2", "redlock 5", UNLIMITED] : ["coterie", "redlock 4.2"];
  const names = all.filter((name) => (only ?? all).includes(name));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const at of names.keys()) {
      const name = names[(at + round) % names.length]!;
      // Each of these takes its whole bound, and shows the same.
      if (name === UNLIMITED && round > 0) continue;
      add(results, name, await race(name, redis, holdMs));
    }
  }
  return results;
}

async function handOvers(redis: RedisGroup): Promise<Results> {
  const results: Results = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    if (!quick) add(results, "no hold, all live", await handOver(ALL, redis, 0));
    for (const crowd of quick ? [ALL, STRUCK[0]!] : [ALL, ...STRUCK]) {
      add(results, `${HOLD_MS} ms hold, ${crowd.name}`, await handOver(crowd, redis, HOLD_MS));
    }
  }
  return results;
}

function report(title: string, results: Results): void {
  const ours = results.get("coterie");
  const rows = [...results].map(([name, shown]) => {
    const sum = (of: (one: Shown) => number): string =>
      String(shown.reduce((total, one) => total + of(one), 0));
    const isHeldShort = shown.some(({ totalToHolds }) => totalToHolds > 100);
    const overtook = shown.some((one) => one.overtook === undefined) ? "" : sum((one) => one.overtook ?? 0);
    const failures = new Set(shown.flatMap((one) => [...one.failures.keys()]));
    return [
      name,
      showAll(shown, ({ served }) => served),
      showAll(shown, ({ totalMs }) => totalMs),
      ours === undefined ? "" : show(summarize(shown.map((one, at) => one.totalMs / ours[at]!.totalMs))),
      isHeldShort ? "" : showAll(shown, ({ totalToHolds }) => totalToHolds, 2),
      showAll(shown, ({ commandsPerLock }) => commandsPerLock, 1),
      overtook,
      sum(({ overlaps }) => overlaps),
      sum(({ tokensBack }) => tokensBack),
      [...failures].join(", "),
    ];
  });
  print(`\n### ${title}\n`);
  print(table(HEAD, rows));
}

const HEAD = [
  "",
  "served",
  "total ms",
  "to coterie",
  "total to holds",
  "commands/lock",
  "overtook",
  "overlaps",
  "tokens back",
  "failed with",
];

async function main(): Promise<void> {
  for (const [nth, count] of instances.entries()) {
    await using redis = await startRedis({ count, provider: "process" });
    if (nth === 0) {
      await printHead("One lock that everybody wants", redis.instances[0]!.port, [
        `${size(20) * 5} waiters in 5 processes, each to hold it once; ${ROUNDS} round(s), median (min-max);`,
        "ratios within a round. Commands as the client sends them, of the living waiters only. Overtook: who",
        "was served before an earlier ticket of the living. Overlaps: who held it while another did. Tokens",
        "back: fencing tokens not above the one before. The last three are sums over all rounds.",
      ]);
    }
    report(`${count} instance(s), no hold`, await races(redis, 0));
    if (!quick) report(`${count} instance(s), ${HOLD_MS} ms hold`, await races(redis, HOLD_MS));
    if ((only ?? ["coterie"]).includes("coterie")) {
      const title = `${count} instance(s), coterie, all tickets filed before the first release`;
      report(title, await handOvers(redis));
    }
  }
}

await main();
