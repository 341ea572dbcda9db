/**
 * `npm run planted-bugs` plants each bug, looks for it with the simulator and with the test that is said to
 * find it, and writes what came of it to `docs/planted-bugs.md`. The exit code is 1 when one was not found.
 * `-- --seeds N` bounds the simulator (default 300), `-- --only WORDS` plants those that have the words in
 * their names.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

import { MUTATIONS } from "../../raft/mutations.ts";
import { META_MUTATIONS } from "./meta-mutations.ts";
import {
  failsTest,
  findBySeeds,
  type FoundBySeeds,
  planted,
  type PlantedBug,
  stopPlanting,
} from "./plant.ts";
import { TABLE_PATH, tableOf, type Tried } from "./table.ts";

const OPTIONS = { seeds: { type: "string" }, only: { type: "string" } } as const;

async function tryBug(bug: PlantedBug, seedsMax: number): Promise<Tried> {
  return planted(bug, async (folder) => {
    const bySeeds: FoundBySeeds = await findBySeeds(folder, seedsMax);
    const byTest = bug.foundBy !== undefined && (await failsTest(folder, bug.foundBy));
    return { bug, bySeeds, byTest };
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const seedsMax = Number(values.seeds ?? 300);
  const bugs = [...MUTATIONS, ...META_MUTATIONS].filter(({ name }) => name.includes(values.only ?? ""));
  const tried: Tried[] = [];
  const left = [...bugs];
  const work = async () => {
    for (let bug = left.shift(); bug !== undefined; bug = left.shift()) {
      const one = await tryBug(bug, seedsMax);
      tried.push(one);
      const { seeds, what } = one.bySeeds;
      const sim = seeds === undefined ? "not by seeds" : `${seeds} seeds (${what})`;
      process.stdout.write(`${bug.name}: ${sim}, ${one.byTest ? "by its test" : "NOT by its test"}\n`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const inOrder = tried.toSorted((a, b) => bugs.indexOf(a.bug) - bugs.indexOf(b.bug));
  if (values.only === undefined) await writeFile(TABLE_PATH, tableOf(inOrder, seedsMax));
  const missed = inOrder.filter(({ bySeeds, byTest }) => bySeeds.seeds === undefined && !byTest);
  for (const { bug } of missed) process.stdout.write(`NOT FOUND: ${bug.name}\n`);
  return missed.length === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stopPlanting);
process.exitCode = await main();
