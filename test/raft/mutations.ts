/**
 * Planted bugs: one line of the core made wrong, and the test of this folder that notices. The test of this
 * list sees that each can still be planted; whether it is found is tried by whoever plants it.
 */
import { ELECTIONS_AND_TERMS } from "./planted/elections.ts";
import { GROUPS } from "./planted/group.ts";
import { LEADERS } from "./planted/leading.ts";
import { LOGS_AND_COMMITS } from "./planted/log.ts";
import type { Mutation } from "./planted/mutation.ts";
import { READS_AND_SNAPSHOTS } from "./planted/reads.ts";

export const MUTATIONS: readonly Mutation[] = [
  ...ELECTIONS_AND_TERMS,
  ...LOGS_AND_COMMITS,
  ...GROUPS,
  ...LEADERS,
  ...READS_AND_SNAPSHOTS,
];
