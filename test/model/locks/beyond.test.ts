import { expect, test } from "vitest";

import { runSeeds } from "../../support/sim/many.ts";
import { leastOf, ALL_FAULTS } from "./least.ts";

const SEEDS = 300;

test("tokens grow even where any number of instances leap in time at once", async () => {
  const file = "test/model/locks/beyond.test.ts";

  const { counts, run, counted } = await runSeeds({ instances: 3, kind: "beyond", seeds: SEEDS, file });

  process.stdout.write(`beyond: ${counted} of ${run} seeds met a fault: ${counts.toString()}\n`);
  expect(leastOf(counts, run, ALL_FAULTS, { granted: 3, readmitted: 0.5 })).toEqual([]);
}, 900_000);
