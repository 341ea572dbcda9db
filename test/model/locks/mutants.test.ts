import { describe, expect, test } from "vitest";

import { findMutant } from "../../support/sim/mutant.ts";
import { MUTANTS } from "./mutants.ts";

describe("it is found when", () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))("%s", async (name, mutant) => {
    const { seeds, what } = await findMutant(mutant);

    process.stdout.write(`${name}: seed ${seeds}: ${what.slice(0, 200)}\n`);
    expect(seeds).toBeDefined();
  }, 300_000);
});
