/**
 * Claim: when one of three instances hangs, acquire and release stay as fast as they were, where some lock
 * packages wait for it without end. Locks are taken and released at a fixed rate, with all instances well,
 * while one is paused, after that was noticed, and after it was resumed; in rounds, each in a process of
 * its own. Arguments: `--quick`, `--rounds=5`, `--only=coterie`.
 */
import { fileURLToPath } from "node:url";

import { type RedisGroup, startRedis } from "coterie/testing";

import type { Job, Measured, Order, Times } from "./locks-paused-worker.ts";
import { BenchWorker } from "./support/bench-worker.ts";
import { printHead, readArguments } from "./support/lock-bench.ts";
import { UNLIMITED } from "./support/lock-clients.ts";
import { type ContenderName, CONTENDERS } from "./support/lock-contenders.ts";
import { print, show, summarize, table } from "./support/report.ts";

const { quick, rounds: given, only } = readArguments();
const ROUNDS = given ?? (quick ? 1 : 5);
const WARM_MS = quick ? 200 : 3000;
const MEASURE_MS = quick ? 300 : 3000;
/** By then a client has noticed what hangs, if it notices such things. */
const NOTICE_MS = quick ? 600 : 4000;
const CALL_MS_MAX = quick ? 1000 : 5000;
const PER_MS = 1;
const WORKER = fileURLToPath(new URL("./locks-paused-worker.js", import.meta.url));

const PHASES = ["well", "paused", "noticed", "resumed"] as const;
type Phase = (typeof PHASES)[number];
type Round = Readonly<Record<Phase, Measured>>;

async function measureRound(contender: ContenderName, redis: RedisGroup): Promise<Round> {
  const ports = redis.instances.map(({ port }) => port);
  const job: Job = { contender, ports, perMs: PER_MS, callMsMax: CALL_MS_MAX };
  const worker = await BenchWorker.start(WORKER, job);
  const victim = redis.instances[0]!;
  const measure = (measureMs: number): Promise<Measured> => {
    const order: Order = { measureMs };
    return worker.ask<Measured>(order, "measured", measureMs + 3 * CALL_MS_MAX + 5000);
  };
  try {
    await measure(WARM_MS);
    const well = await measure(MEASURE_MS);
    await victim.pause();
    const paused = await measure(NOTICE_MS);
    const noticed = await measure(MEASURE_MS);
    await victim.resume();
    await measure(NOTICE_MS);
    const resumed = await measure(MEASURE_MS);
    return { well, paused, noticed, resumed };
  } finally {
    worker.kill();
    await victim.resume();
  }
}

function rowOf(name: string, phase: Phase, rounds: readonly Round[]): string[] {
  const column = (of: (one: Measured) => Times | undefined, key: keyof Times): string => {
    const values = rounds.flatMap((round) => of(round[phase])?.[key] ?? []);
    return values.length === 0 ? "none" : show(summarize(values), 0);
  };
  const ratio = (of: (one: Measured) => Times | undefined): string => {
    const ratios = rounds.flatMap((round) => {
      const [now, before] = [of(round[phase]), of(round.well)];
      return now === undefined || before === undefined ? [] : [now.p99Micros / before.p99Micros];
    });
    return ratios.length === 0 ? "none" : show(summarize(ratios));
  };
  const total = (of: (one: Measured) => number): string =>
    String(rounds.reduce((sum, round) => sum + of(round[phase]), 0));
  const acquire = ({ acquire: times }: Measured): Times | undefined => times;
  const release = ({ release: times }: Measured): Times | undefined => times;
  return [
    `${name}: ${phase}`,
    column(acquire, "p50Micros"),
    column(acquire, "p99Micros"),
    ratio(acquire),
    column(acquire, "maxMicros"),
    column(release, "p50Micros"),
    column(release, "p99Micros"),
    ratio(release),
    total(({ pending }) => pending),
    total(({ failed }) => failed),
  ];
}

const HEAD = [
  "locks by: one of three instances",
  "acquire p50 µs",
  "p99 µs",
  "p99 to well",
  "max µs",
  "release p50 µs",
  "p99 µs",
  "p99 to well",
  `pending after ${CALL_MS_MAX} ms`,
  "failed",
];

async function main(): Promise<void> {
  await using redis = await startRedis({ count: 3, provider: "process" });
  const all = Object.keys(CONTENDERS) as ContenderName[];
  const usual = all.filter((name) => name !== UNLIMITED && name !== "floor" && name !== "raw sockets");
  const names = all.filter((name) => (only ?? usual).includes(name));
  const results = new Map<ContenderName, Round[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const at of names.keys()) {
      const name = names[(at + round) % names.length]!;
      // A package that hangs takes its bound in each phase, and shows the same each time.
      if (name !== "coterie" && round > 1) continue;
      results.set(name, [...(results.get(name) ?? []), await measureRound(name, redis)]);
    }
  }
  await printHead("Locks while one of three instances hangs", redis.instances[0]!.port, [
    `${PER_MS * 1000} locks a second, distinct resources; up to ${ROUNDS} round(s); median (min-max).`,
    `Paused: the first ${NOTICE_MS} ms of the pause; noticed: the ${MEASURE_MS} ms after them.`,
    "Ratios within a round.\n",
  ]);
  const rows = names.flatMap((name) => PHASES.map((phase) => rowOf(name, phase, results.get(name)!)));
  print(table(HEAD, rows));
}

await main();
