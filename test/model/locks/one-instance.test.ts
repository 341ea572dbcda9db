import { expect, test } from "vitest";

import { runSeeds } from "../../support/sim/many.ts";
import { leastOf, OUTCOMES, ALL_FAULTS } from "./least.ts";

const SEEDS = 3000;

test("one instance keeps every promise over thousands of seeds of faults", async () => {
  const file = "test/model/locks/one-instance.test.ts";

  const { counts, run, counted } = await runSeeds({ instances: 1, kind: "within", seeds: SEEDS, file });

  process.stdout.write(`1 instance: ${counted} of ${run} seeds met a fault: ${counts.toString()}\n`);
  // One that leaps in time is more than one instance tolerates.
  const faults = ALL_FAULTS.filter((name) => name !== "server leapt");
  expect(leastOf(counts, run, faults, OUTCOMES)).toEqual([]);
}, 900_000);
