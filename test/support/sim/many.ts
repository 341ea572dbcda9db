/**
 * Many seeds one after the other, until enough of them have met a fault: a run in which nothing that went
 * wrong touched anybody proves nothing and does not count. The first seed that breaks a promise ends it,
 * and says how to see it again.
 *
 *   COTERIE_SIM_SEED=7 runs that seed alone and prints all that happens in it;
 *   COTERIE_SIM_SHARE=1 runs all seeds instead of every tenth part of them;
 *   COTERIE_SIM_FROM=5000000 begins there, with seeds that were never run.
 */
import { Counts } from "./counts.ts";
import { FAULT_NAMES } from "./faults.ts";
import { type PlanKind, planOf } from "./plans.ts";
import { type RunPlan, type RunResult, runSeed } from "./run.ts";

export interface ManyPlan {
  readonly instances: number;
  readonly kind: PlanKind;
  /** The first seed; default 1. */
  readonly from?: number;
  /** How many seeds must have met a fault. */
  readonly seeds: number;
  /** The test file, for the command that replays a seed. */
  readonly file: string;
}

export interface ManyResult {
  /** What all seeds met together. */
  readonly counts: Counts;
  /** Seeds that were run, and those of them that count. */
  readonly run: number;
  readonly counted: number;
}

/** How much of the trace stands before and after what was found, in milliseconds of the world. */
const TRACE_BEFORE_MS = 40;
const TRACE_LINES_MAX = 120;

export async function runSeeds(plan: ManyPlan): Promise<ManyResult> {
  const alone = process.env["COTERIE_SIM_SEED"];
  if (alone !== undefined) return replay(plan, Number(alone));
  const counts = new Counts();
  const from = Number(process.env["COTERIE_SIM_FROM"] ?? plan.from ?? 1);
  let [run, counted] = [0, 0];
  const wanted = Math.ceil(plan.seeds * Number(process.env["COTERIE_SIM_SHARE"] ?? 0.1));
  for (; counted < wanted; run += 1) {
    const seed = from + run;
    const result = await runSeed(planOf(seed, plan.instances, plan.kind));
    if (isBroken(result)) throw await failure(plan, seed);
    counts.addAll(result.counts);
    if (metAny(result.counts)) counted += 1;
  }
  return { counts, run, counted };
}

/** What was broken in a run, for people; empty when nothing was. */
function brokenIn({ findings, problems }: RunResult): string {
  return [findings, ...problems].filter((text) => text !== "").join("\n");
}

function isBroken(result: RunResult): boolean {
  return brokenIn(result) !== "";
}

function metAny(counts: Counts): boolean {
  return FAULT_NAMES.some((name) => counts.get(`met ${name}`) > 0);
}

async function replay({ instances, kind }: ManyPlan, seed: number): Promise<ManyResult> {
  const result = await runSeed(planOf(seed, instances, kind, true));
  process.stdout.write(`${result.lines.join("\n")}\n${brokenIn(result)}\n`);
  if (isBroken(result)) throw new Error(`seed ${seed}: ${brokenIn(result)}`);
  return { counts: result.counts, run: 1, counted: 1 };
}

/** The same seed again, with a trace: runs do not differ. */
async function failure({ instances, kind, file }: ManyPlan, seed: number): Promise<Error> {
  const traced: RunPlan = planOf(seed, instances, kind, true);
  const result = await runSeed(traced);
  const broken = brokenIn(result);
  const command = `COTERIE_SIM_SEED=${seed} npx vitest run ${file}`;
  return new Error(
    `seed ${seed} of ${instances} instances: ${broken}\n\nAll of it: ${command}\n\n${around(result)}`,
  );
}

/** The part of the trace in which it happened. */
function around({ findings, lines }: RunResult): string {
  const at = Number.parseFloat(findings);
  const last = lines.findIndex((line) => Number.parseFloat(line) > at + 1);
  const end = last < 0 ? lines.length : last;
  const first = lines.findIndex((line) => Number.parseFloat(line) >= at - TRACE_BEFORE_MS);
  return lines.slice(Math.max(0, first, end - TRACE_LINES_MAX), end).join("\n");
}
