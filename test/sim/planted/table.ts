/** The table of planted bugs, as it stands in the docs. */
import type { FoundBySeeds, PlantedBug } from "./plant.ts";

export const TABLE_PATH = "docs/planted-bugs.md";

export interface Tried {
  readonly bug: PlantedBug;
  readonly bySeeds: FoundBySeeds;
  /** Whether the test that is said to find it failed. */
  readonly byTest: boolean;
}

export function tableOf(tried: readonly Tried[], seedsMax: number): string {
  const bySeeds = tried.filter((one) => one.bySeeds.seeds !== undefined).length;
  const byTest = tried.filter((one) => one.byTest).length;
  return [
    "# Planted bugs",
    "",
    "Each line is one place of the consensus core or the state machine made wrong, in a copy of the tree,",
    "and who noticed: the simulator (`npm run sim`), with the number of seeds that it took, from seed 1 on,",
    "and the promise that it saw broken; and the test that is about it. `npm run planted-bugs` plants them",
    "all and writes this page.",
    "",
    `${tried.length} bugs: ${bySeeds} found by the simulator within ${seedsMax} seeds,`,
    `${byTest} by a test, each by one or the other.`,
    "",
    "| what is wrong | where | seeds | broken | test |",
    "| --- | --- | ---: | --- | --- |",
    ...tried.map(lineOf),
    "",
  ].join("\n");
}

function lineOf({ bug, bySeeds, byTest }: Tried): string {
  const seeds = bySeeds.seeds === undefined ? "-" : String(bySeeds.seeds);
  const test = bug.foundBy === undefined || !byTest ? "-" : `\`${bug.foundBy}\``;
  const what = bySeeds.seeds === undefined ? "" : bySeeds.what.replaceAll("|", "/").replaceAll("\n", " ");
  return `| ${bug.name} | \`${bug.file}\` | ${seeds} | ${what} | ${test} |`;
}
