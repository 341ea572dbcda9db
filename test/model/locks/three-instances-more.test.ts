import { expect, test } from "vitest";

import { runSeeds } from "../../support/sim/many.ts";
import { leastOf, OUTCOMES, ALL_FAULTS } from "./least.ts";

/** Far from those of the other file. */
const FROM = 1_000_000;
const SEEDS = 2750;

test("three instances keep every promise over thousands of other seeds of faults", async () => {
  const file = "test/model/locks/three-instances-more.test.ts";

  const plan = { instances: 3, kind: "within", from: FROM, seeds: SEEDS, file } as const;
  const { counts, run, counted } = await runSeeds(plan);

  process.stdout.write(`3 instances, more: ${counted} of ${run} seeds met a fault: ${counts.toString()}\n`);
  expect(leastOf(counts, run, ALL_FAULTS, OUTCOMES)).toEqual([]);
}, 900_000);
