/**
 * The locks' benches run, in their quick form, and what they say of order and exclusion is counted right.
 * How fast anything is stands in no test.
 */
import { afterEach, describe, expect, test } from "vitest";

import { type Hold, showRun } from "../../bench/support/lock-holds.ts";
import { Program } from "../support/program.ts";

const started: Program[] = [];

afterEach(() => {
  for (const program of started.splice(0)) program.destroy();
});

async function bench(name: string, ...words: readonly string[]): Promise<Program> {
  const program = new Program([`.build/bench/${name}.js`, "--quick", ...words]);
  started.push(program);
  const { code } = await program.ended;
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${program.output}`);
  return program;
}

/** The numbers of the rows whose first cell begins with this, by the head of their column. */
function rows(program: Program, first: string): Record<string, string>[] {
  const cells = program.output
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  let head: string[] = [];
  return cells.flatMap((row, at) => {
    if (cells[at + 1]?.[0] === "---") head = row;
    if (row[0]?.startsWith(first) !== true || row === head) return [];
    return [Object.fromEntries(head.map((name, nth) => [name, row[nth] ?? ""]))];
  });
}

describe("the benches of locks", () => {
  test("measure locks that nobody else wants, and leave nothing behind", async () => {
    const words = ["--instances=3", "--callers=50", "--only=coterie,redlock 5,raw sockets"];
    const program = await bench("locks", ...words);

    const [ours] = rows(program, "coterie");
    expect(Number.parseFloat(ours?.["acquired and released/s"] ?? "")).toBeGreaterThan(0);
    expect(rows(program, "redlock 5")).toHaveLength(1);
    expect(await program.leftovers()).toEqual([]);
  });

  test("see every waiter served in order, the struck ones passed over", async () => {
    const program = await bench("locks-contended", "--instances=3", "--only=coterie");

    const ours = rows(program, "coterie");
    expect(ours.map((row) => row["served"])).toEqual(["25 (25-25)"]);
    const all = rows(program, "5 ms hold, all live");
    const struck = rows(program, "5 ms hold, one process of 20 killed");
    expect([...all, ...struck].map((row) => row["served"])).toEqual(["25 (25-25)", "20 (20-20)"]);
    expect([...all, ...struck].map((row) => row["overtook"])).toEqual(["0", "0"]);
    expect([...ours, ...all, ...struck].map((row) => row["overlaps"])).toEqual(["0", "0", "0"]);
    expect(await program.leftovers()).toEqual([]);
  });

  test("measure a group of which one instance hangs", async () => {
    const program = await bench("locks-paused", "--only=coterie");

    const phases = rows(program, "coterie");
    expect(phases).toHaveLength(4);
    expect(phases.map((row) => row["pending after 1000 ms"])).toEqual(["0", "0", "0", "0"]);
    expect(await program.leftovers()).toEqual([]);
  });

  test("measure locks that are held and renewed", async () => {
    const program = await bench("locks-held", "--only=coterie");

    const [few, many] = rows(program, "coterie");
    expect(few?.["lost"]).toBe("0");
    expect(many?.["lost"]).toBe("0");
    expect(await program.leftovers()).toEqual([]);
  });
});

describe("what a run shows", () => {
  const hold = (holderToken: string, grantedAt: number, fencingToken = grantedAt): Hold => {
    return { holderToken, fencingToken, grantedAt, endedAt: grantedAt + 5, releasedAt: grantedAt + 6 };
  };
  const run = { startedAt: 0, commands: 20 };

  test("is who was served, in how long, with how many commands", () => {
    const outcomes = [hold("a", 10), { failed: "LOCKED" }, hold("b", 20)];

    const shown = showRun({ ...run, outcomes });

    expect(shown).toMatchObject({ served: 2, totalMs: 26, commandsPerLock: 10, totalToHolds: 2.6 });
    expect([...shown.failures]).toEqual([["LOCKED", 1]]);
    expect(shown).toMatchObject({ overlaps: 0, tokensBack: 0, overtook: undefined });
  });

  test("counts holds that overlap, and tokens that do not grow", () => {
    const outcomes = [hold("a", 10), hold("b", 14), hold("c", 30, 14)];

    expect(showRun({ ...run, outcomes })).toMatchObject({ overlaps: 1, tokensBack: 1 });
  });

  test("counts those that were served before an earlier ticket, and those without one", () => {
    const outcomes = [hold("b", 10), hold("a", 20), hold("d", 30)];

    expect(showRun({ ...run, outcomes, queue: ["a", "b", "c", "d"] }).overtook).toBe(1);
    expect(showRun({ ...run, outcomes, queue: ["b", "a", "c"] }).overtook).toBe(1);
    expect(showRun({ ...run, outcomes, queue: ["b", "a", "dead", "d"] }).overtook).toBe(0);
  });
});
