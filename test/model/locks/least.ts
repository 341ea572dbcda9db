/** What many seeds must have met to be worth their time, on average of a seed. */
import type { Counts } from "../../support/sim/counts.ts";
import { FAULT_NAMES, type FaultName } from "../../support/sim/faults.ts";

/** Every fault must have met something at least in one seed of this many. */
const SEEDS_PER_FAULT = 150;

export { FAULT_NAMES as ALL_FAULTS };

export const OUTCOMES: Readonly<Record<string, number>> = {
  granted: 8,
  "granted late": 1,
  "failed LOCKED": 2,
  "failed ABSTAINING": 0.2,
  "failed NO_QUORUM": 0.2,
  "failed ABORTED": 0.2,
  waited: 4,
  renewed: 3,
  "renewed by hand": 1,
  lost: 0.3,
  released: 8,
  forced: 0.1,
  abstained: 0.5,
  readmitted: 0.3,
};

/** What was met too seldom: its name, how often it was met, and how often it had to be. */
export function leastOf(
  counts: Counts,
  seeds: number,
  faults: readonly FaultName[],
  outcomes: Readonly<Record<string, number>>,
): string[] {
  const needed: [string, number][] = [
    ...faults.map((name): [string, number] => [`met ${name}`, seeds / SEEDS_PER_FAULT]),
    ...Object.entries(outcomes).map(([name, each]): [string, number] => [name, each * seeds]),
  ];
  return needed
    .filter(([name, least]) => counts.get(name) < Math.floor(least))
    .map(([name, least]) => `${name}: ${counts.get(name)} of ${Math.floor(least)}`);
}
