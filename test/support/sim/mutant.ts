/**
 * A copy of the package with one thing broken in it, for tests of the tests: the simulation and the checker
 * must find it. The copy is text in a private folder, so that what is broken is the very code that ships;
 * a mutant whose text is not there any more is an error and not a pass.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { Counts } from "./counts.ts";
import type { FaultName } from "./faults.ts";
import type { PlanKind } from "./plans.ts";
import type { RunPlan, RunResult } from "./run.ts";

export interface Mutant {
  /** What is broken, in words. */
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What must be found: the start of a rule's name, or of a problem. */
  readonly finds: RegExp;
  readonly instances: number;
  /** Within how many seeds. */
  readonly seedsMax: number;
  /** Faults without which it is found sooner. */
  readonly without?: readonly FaultName[];
  /** Other changes of the plan that bring it out. */
  readonly tweak?: (plan: RunPlan) => RunPlan;
}

export interface Found {
  /** How many seeds it took; undefined when it was not found. */
  readonly seeds: number | undefined;
  readonly what: string;
}

interface CopiedSim {
  readonly run: (plan: RunPlan) => Promise<RunResult>;
  readonly planOf: (seed: number, instances: number, kind: PlanKind) => RunPlan;
}

/** Runs seeds on the broken copy until something is found that `finds` knows. */
export async function findMutant(mutant: Mutant): Promise<Found> {
  const folder = await mkdtemp(join(tmpdir(), "coterie-mutant-"));
  try {
    const { run, planOf } = await copyOf(mutant, folder);
    const tweak = mutant.tweak ?? ((plan: RunPlan) => plan);
    const counts = new Counts();
    for (let seed = 1; seed <= mutant.seedsMax; seed += 1) {
      const plan = longer(planOf(seed, mutant.instances, "within"));
      // Fewer kinds of faults come the more often, and where all is broken nobody holds anything.
      const faults = { ...plan.faults, pauseMs: plan.faults.pauseMs * 3, without: mutant.without ?? [] };
      const { findings, problems, counts: own } = await run(tweak({ ...plan, faults }));
      counts.addAll(own);
      const found = [...findings.split("\n"), ...problems].find((line) => mutant.finds.test(line));
      if (found !== undefined) return { seeds: seed, what: found };
    }
    return { seeds: undefined, what: counts.toString() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is broken shows sooner in a long run than in many short ones. */
function longer(plan: RunPlan): RunPlan {
  return { ...plan, runMs: plan.runMs + 700, work: { ...plan.work, workers: 2 } };
}

async function copyOf(mutant: Mutant, folder: string): Promise<CopiedSim> {
  await cp("src", join(folder, "src"), { recursive: true });
  await cp("test/support", join(folder, "test/support"), { recursive: true });
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  const path = join(folder, mutant.file);
  const pieces = (await readFile(path, "utf8")).split(mutant.from);
  if (pieces.length !== 2) {
    throw new Error(`${mutant.name}: ${mutant.file} has its text ${pieces.length - 1} times, not once`);
  }
  await writeFile(path, pieces.join(mutant.to));
  const copied = async (name: string): Promise<unknown> => import(join(folder, "test/support/sim", name));
  const { runSeed } = (await copied("run.ts")) as { runSeed: CopiedSim["run"] };
  const { planOf } = (await copied("plans.ts")) as { planOf: CopiedSim["planOf"] };
  return { run: runSeed, planOf };
}
