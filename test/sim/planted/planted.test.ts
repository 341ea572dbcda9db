/**
 * The table of planted bugs is that of the bugs, nobody missed one, and the simulator finds some of them here
 * and now; and the command line does what it says. `npm run planted-bugs` plants them all.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { MUTATIONS } from "../../raft/mutations.ts";
import { planOf } from "../plan.ts";
import { runPlan } from "../run.ts";
import { META_MUTATIONS } from "./meta-mutations.ts";
import { compile, findBySeeds, planted, type PlantedBug } from "./plant.ts";
import { TABLE_PATH } from "./table.ts";

const BUGS: readonly PlantedBug[] = [...MUTATIONS, ...META_MUTATIONS];

/** Planted and looked for here: of each kind one that few seeds find. */
const QUICK = [
  "two votes in a term",
  "a vote for a log that is behind",
  "a follower acknowledges before the entries are on the disk",
  "entries are handed out twice",
  "a retried command is applied again",
  "the hash keeps what was replaced",
];

/** Changes nothing. */
const NO_BUG: PlantedBug = {
  name: "none",
  file: "test/sim/main.ts",
  from: "function replay(",
  to: "function replay(",
};

describe("the table", () => {
  const rows = readFileSync(TABLE_PATH, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(2);

  test("has a line for each bug, in order", () => {
    const names = rows.map((row) => row.split(" | ")[0]?.slice(2));

    expect(names).toEqual(BUGS.map(({ name }) => name));
    expect(new Set(names).size).toBeGreaterThanOrEqual(30);
  });

  test("has none that nobody found", () => {
    expect(rows.filter((row) => / - \| +\| - \|$/.test(row))).toEqual([]);
  });

  test.each(META_MUTATIONS)("can still be planted: $name", ({ file, from, to, foundBy = "" }) => {
    expect(readFileSync(file, "utf8").split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
    expect(existsSync(foundBy)).toBe(true);
  });
});

describe("the simulator", () => {
  test.each(QUICK)("finds in 60 seeds: %s", { timeout: 180_000 }, async (name) => {
    const bug = BUGS.find((one) => one.name === name) as PlantedBug;

    const { seeds, what } = await planted(bug, (folder) => findBySeeds(folder, 60));

    expect({ seeds, what }).toEqual({ seeds: expect.any(Number), what });
  });

  test("says what it found in one line, and how to replay it", { timeout: 180_000 }, async () => {
    await planted(NO_BUG, async (folder) => {
      await compile(folder);
      const run = (...args: string[]) => command(folder, args);

      const many = await run("--from", "1", "--seeds", "3");
      const one = await run("--seed", "2");
      const wrong = await run("--seconds", "soon");

      expect(many.code).toBe(0);
      expect(many.output).toMatch(
        /\n3 seeds, \d+ faults, \d+ client operations \(\d+ unknown\), 0 violations, \d+ seeds a minute\n$/,
      );
      expect(one.code).toBe(0);
      expect(one.output.split("\n").length).toBeGreaterThan(1_000);
      expect(one.output).toContain(`seed 2, trace ${runPlan(planOf(2)).traceHash}: holds`);
      expect(wrong).toEqual({ code: 2, output: "--seconds takes a whole number from 1, got soon\n" });
    });
  });
});

function command(folder: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  const path = join(folder, ".build/sim/test/sim/main.js");
  return new Promise((done) => {
    execFile(process.execPath, [path, ...args], { maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}
