/** The demo's claims of locks go red on each bad observation, one at a time, and on having seen nothing. */
import { expect, test } from "vitest";

import {
  type Increment,
  judgeLockClaims,
  type LockObservations,
  overlaps,
  parallelism,
  type Run,
  tokensGrow,
} from "../../../examples/demo/locks/claims.ts";

const CLAIMS = [
  "increments through all processes ran one at a time: none was lost, and none counted twice",
  "while b was dead, the others granted locks all the same",
  "a holder was killed (SIGKILL): who waited had its lock within the lease and 2000 ms",
  "BullMQ jobs of one entity never ran at once over two workers, and those of others did",
] as const;
const [COUNTED, DEAD, HANDED, JOBS] = CLAIMS;

const APPS = ["app 1", "app 2", "app 3"];

function run(n: number, what: string, by: string, from = n * 10, to = from + 10): Run {
  return { what, by, fencingToken: n + 1, from, to };
}

const INCREMENTS: readonly Increment[] = Array.from({ length: 30 }, (_, n) => ({
  ...run(n, "visits", APPS[n % 3]!),
  count: n + 1,
}));
/** Three entities side by side, each one job at a time. */
const RUNS: readonly Run[] = Array.from({ length: 24 }, (_, n) => {
  const turn = Math.floor(n / 3);
  return run(n, `entity ${n % 3}`, `app ${(turn % 2) + 1}`, turn * 10);
});

const GOOD: LockObservations = {
  apps: APPS,
  increments: INCREMENTS,
  refused: [],
  finalCount: 30,
  outage: { shard: "b", increments: 12 },
  handover: { leaseMs: 1000, before: 0, served: 3, asked: 3, afterMs: 910 },
  jobs: { added: 24, runs: RUNS },
};

function failed(observations: LockObservations): string[] {
  return judgeLockClaims(observations)
    .filter(({ holds }) => !holds)
    .map(({ claim }) => claim);
}

function changed<T>(list: readonly T[], at: number, change: Partial<T>): readonly T[] {
  return list.map((one, index) => (index === at ? { ...one, ...change } : one));
}

test("when all went well, every claim holds and says what was seen", () => {
  const claims = judgeLockClaims(GOOD);

  expect(claims.map(({ claim }) => claim)).toEqual(CLAIMS);
  expect(failed(GOOD)).toEqual([]);
  expect(claims.map(({ seen }) => seen)).toEqual([
    "30 increments, the counter holds 30, 0 at once, tokens grew",
    "12 increments during the outage",
    "after 910 ms, the lease was 1000 ms; 3 of 3 served, 0 before it died",
    "24 of 24 jobs by 2 workers, up to 3 at once, 0 of one entity",
  ]);
});

test("without an outage nothing is claimed of one", () => {
  const claims = judgeLockClaims({ ...GOOD, outage: undefined });

  expect(claims.map(({ claim }) => claim)).toEqual([COUNTED, HANDED, JOBS]);
});

const { handover, jobs } = GOOD;

function withIncrement(at: number, change: Partial<Increment>): LockObservations {
  return { ...GOOD, increments: changed(INCREMENTS, at, change) };
}

function withRuns(runs: readonly Run[]): LockObservations {
  return { ...GOOD, jobs: { added: runs.length, runs } };
}

const byOne = <T extends Run>(runs: readonly T[]): readonly T[] =>
  runs.map((one) => ({ ...one, by: "app 1" }));
const bad: readonly (readonly [string, LockObservations, string])[] = [
  ["an increment was lost", { ...GOOD, finalCount: 29 }, COUNTED],
  ["two increments made the same count", withIncrement(3, { count: 3 }), COUNTED],
  ["two increments ran at once", withIncrement(3, { to: 41 }), COUNTED],
  ["a token went back", withIncrement(3, { fencingToken: 3 }), COUNTED],
  ["an increment was refused", { ...GOOD, refused: ["503 {}"] }, COUNTED],
  ["a process made none", { ...GOOD, increments: byOne(INCREMENTS) }, COUNTED],
  ["hardly any increments", { ...GOOD, increments: INCREMENTS.slice(0, 19), finalCount: 19 }, COUNTED],
  ["no increments in the outage", { ...GOOD, outage: { shard: "b", increments: 0 } }, DEAD],
  ["nobody got the dead holder's lock", { ...GOOD, handover: { ...handover, afterMs: undefined } }, HANDED],
  ["it took too long", { ...GOOD, handover: { ...handover, afterMs: 3001 } }, HANDED],
  ["one got it before the holder died", { ...GOOD, handover: { ...handover, before: 1 } }, HANDED],
  ["one of those who waited did not get it", { ...GOOD, handover: { ...handover, served: 2 } }, HANDED],
  ["nobody asked", { ...GOOD, handover: { ...handover, served: 0, asked: 0 } }, HANDED],
  ["two jobs of one entity ran at once", withRuns(changed(RUNS, 0, { to: 11 })), JOBS],
  ["a job did not run", { ...GOOD, jobs: { ...jobs, added: 25 } }, JOBS],
  ["one worker ran them all", withRuns(byOne(RUNS)), JOBS],
  ["no two jobs ran at once", withRuns(INCREMENTS), JOBS],
  ["a job's token went back", withRuns(changed(RUNS, 6, { fencingToken: 1 })), JOBS],
  ["there were no jobs", withRuns([]), JOBS],
];
test.each(bad)("%s: its claim fails, and no other", (_what, observations, claim) => {
  expect(failed(observations)).toEqual([claim]);
});

test("runs overlap when one begins before another of the same thing has ended, however long ago it began", () => {
  const long = run(0, "a", "x", 0, 100);
  const runs = [long, run(1, "b", "y", 10, 20), run(2, "a", "y", 30, 40), run(3, "a", "z", 50, 60)];

  expect(overlaps(runs)).toEqual(["a by x and y, for 70 ms", "a by x and z, for 50 ms"]);
  expect(overlaps([run(0, "a", "x", 0, 10), run(1, "a", "y", 10, 20)])).toEqual([]);
});

test("parallelism counts what was at work at one moment, and a hand-over in one millisecond as one", () => {
  expect(parallelism([])).toBe(0);
  expect(parallelism([run(0, "a", "x", 0, 10), run(1, "a", "y", 10, 20)])).toBe(1);
  expect(parallelism([run(0, "a", "x", 0, 10), run(1, "b", "y", 9, 20), run(2, "c", "z", 5, 6)])).toBe(2);
});

test("tokens of different things are in no order", () => {
  const runs = [run(8, "a", "x", 0), run(1, "b", "y", 20), run(9, "a", "z", 40)];

  expect(tokensGrow(runs)).toBe(true);
  expect(tokensGrow(changed(runs, 2, { fencingToken: 8 }))).toBe(false);
});
