import { expect, test } from "vitest";

import { runSeeds } from "../../support/sim/many.ts";
import { leastOf, OUTCOMES, ALL_FAULTS } from "./least.ts";

const SEEDS = 1500;
/** More instances are left when some fail, so a quorum is missed less often. */
const SELDOM = { "failed NO_QUORUM": 0.1 };

test("five instances keep every promise over thousands of seeds of faults", async () => {
  const file = "test/model/locks/five-instances.test.ts";

  const { counts, run, counted } = await runSeeds({ instances: 5, kind: "within", seeds: SEEDS, file });

  process.stdout.write(`5 instances: ${counted} of ${run} seeds met a fault: ${counts.toString()}\n`);
  expect(leastOf(counts, run, ALL_FAULTS, { ...OUTCOMES, ...SELDOM })).toEqual([]);
}, 900_000);
