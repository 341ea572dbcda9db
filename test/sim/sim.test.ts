/**
 * The simulator in the suite: a seed replays exactly, and seeds at random for as long as there is time. The
 * first seed is printed; a failure prints the seed that replays it.
 */
import { randomInt } from "node:crypto";

import { expect, test } from "vitest";

import { FAULTS } from "./faults.ts";
import { planOf } from "./plan.ts";
import { runPlan } from "./run.ts";
import { Sums } from "./sums.ts";

const isCi = (process.env["CI"] ?? "") !== "";
const SECONDS = Number(process.env["COTERIE_SIM_SECONDS"] ?? (isCi ? 60 : 10));

/** Things that a run does beside faults, each of which must have happened. */
const DEEDS = [
  "lost",
  "repeated",
  "slow",
  "cut",
  "torn",
  "unsynced",
  "transfer",
  "add",
  "promote",
  "remove",
  "newLeader",
  "change",
];

test("a seed replays exactly, and another one is another run", () => {
  for (const seed of [1, 2, 3]) {
    const one = runPlan(planOf(seed));
    const again = runPlan(planOf(seed));

    expect(one.violation).toBeUndefined();
    expect(again).toEqual(one);
    expect(runPlan(planOf(seed + 100)).traceHash).not.toBe(one.traceHash);
  }
});

test("a run whose narrator listens is the same run", () => {
  const lines: string[] = [];

  const told = runPlan(planOf(4), (atMs, line) => lines.push(`${atMs} ${line}`));

  expect(told).toEqual(runPlan(planOf(4)));
  expect(lines.length).toBeGreaterThan(1_000);
});

test(
  "no promise is broken in seeds at random, and every fault meets something",
  { timeout: (SECONDS + 60) * 1_000 },
  () => {
    const first = randomInt(2 ** 40);
    process.stdout.write(`simulator: first seed ${first}\n`);
    const sums = new Sums();
    const startMs = performance.now();

    while (performance.now() - startMs < SECONDS * 1_000) {
      const { seed, violation, ...result } = runPlan(planOf(first + sums.seeds));
      expect(violation, `npm run sim -- --seed ${seed}`).toBeUndefined();
      sums.add({ seed, violation, ...result });
    }

    process.stdout.write(`simulator: ${sums.line}\n`);
    for (const name of [...FAULTS, ...DEEDS]) {
      expect(sums.faults.get(name), `${name} in ${sums.seeds} seeds`).toBeGreaterThan(0);
    }
    expect(sums.operations / sums.seeds).toBeGreaterThan(300);
  },
);
