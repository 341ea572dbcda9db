import { expect, test } from "vitest";

import { planOf } from "../../support/sim/plans.ts";
import { runSeed } from "../../support/sim/run.ts";

test("a seed replays to the last packet, and another seed is another run", async () => {
  const plan = planOf(7, 3, "within", true);
  const [first, again] = [await runSeed(plan), await runSeed(plan)];
  const other = await runSeed(planOf(8, 3, "within", true));

  expect(first.lines.length).toBeGreaterThan(200);
  expect(again.lines).toEqual(first.lines);
  expect(other.lines).not.toEqual(first.lines);
});

test("a trace is of the same run as none", async () => {
  const [traced, silent] = [await runSeed(planOf(9, 3, "within", true)), await runSeed(planOf(9, 3))];

  expect(silent.lines).toEqual([]);
  expect([...silent.counts]).toEqual([...traced.counts]);
});
