/**
 * `npm run sim -- --seconds S` runs seeds at random for so long and ends with one line; `--seed N` replays
 * one and prints one line per event; `--from N --seeds COUNT` runs these. The exit code is 1 when a promise
 * was broken, 2 for bad arguments.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

import { planOf } from "./plan.ts";
import { runPlan, type RunResult } from "./run.ts";
import { Sums } from "./sums.ts";

class BadArgument extends Error {}

const OPTIONS = {
  seconds: { type: "string" },
  seeds: { type: "string" },
  seed: { type: "string" },
  from: { type: "string" },
  peers: { type: "string" },
  "until-broken": { type: "boolean" },
} as const;

interface Bounds {
  readonly first: number;
  readonly seconds: number;
  readonly seeds: number;
  readonly peers: number | undefined;
  readonly untilBroken: boolean;
}

function main(): number {
  const { values } = parseArgs({ options: OPTIONS });
  const peers = countOf("peers", values.peers);
  const seed = countOf("seed", values.seed);
  if (seed !== undefined) return replay(seed, peers);
  const seeds = countOf("seeds", values.seeds);
  return runMany({
    first: countOf("from", values.from) ?? randomInt(2 ** 40),
    seconds: countOf("seconds", values.seconds) ?? (seeds === undefined ? 60 : Infinity),
    seeds: seeds ?? Infinity,
    peers,
    untilBroken: values["until-broken"] === true,
  });
}

function replay(seed: number, peers: number | undefined): number {
  const result = runPlan(planOf(seed, { peers }), (atMs, line) => {
    process.stdout.write(`${(atMs / 1_000).toFixed(3)} ${line}\n`);
  });
  process.stdout.write(`${lineOf(result)}\n`);
  return result.violation === undefined ? 0 : 1;
}

function runMany({ first, seconds, seeds, peers, untilBroken }: Bounds): number {
  process.stdout.write(`first seed ${first}\n`);
  const startMs = performance.now();
  const sums = new Sums();
  while (performance.now() - startMs < seconds * 1_000 && sums.seeds < seeds) {
    const result = runPlan(planOf(first + sums.seeds, { peers }));
    sums.add(result);
    if (result.violation === undefined) continue;
    process.stdout.write(`${lineOf(result)}\n  replay: npm run sim -- --seed ${result.seed}\n`);
    if (untilBroken) break;
  }
  const minutes = (performance.now() - startMs) / 60_000;
  process.stdout.write(`met: ${sums.met}\n`);
  process.stdout.write(`${sums.line}, ${Math.round(sums.seeds / minutes)} seeds a minute\n`);
  return sums.violations === 0 ? 0 : 1;
}

function lineOf({
  seed,
  traceHash,
  violation,
  operations,
  events,
  messages,
  terms,
  entries,
}: RunResult): string {
  const what = violation === undefined ? "holds" : `BROKEN ${violation.text}`;
  return (
    `seed ${seed}, trace ${traceHash}: ${what} (${events} events, ${messages} messages, ${terms} terms, ` +
    `${entries} entries, ${operations} operations)`
  );
}

function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  const min = name === "seed" || name === "from" ? 0 : 1;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new BadArgument(`--${name} takes a whole number from ${min}, got ${text}`);
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof BadArgument)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
