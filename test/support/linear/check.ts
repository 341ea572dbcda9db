/**
 * Whether a history is linearizable (Herlihy and Wing 1990) under a model: whether there is one order of
 * its operations that respects their intervals and in which each answer is the right one. Operations of
 * unknown outcome may stand anywhere after their call, or nowhere. The parts that share no keys are
 * checked one by one; the first that fails decides. It must never pass what it could not finish.
 */
import { explain } from "./explain.ts";
import { type Operation, requireTimes, type Verdict } from "./history.ts";
import type { Model } from "./model.ts";
import { type Partition, partitionsOf } from "./partitions.ts";
import { type Budget, Search, type SearchResult } from "./search.ts";

export interface CheckOptions {
  /** How often the model may be asked for a step before the verdict is "undecided". Default 50 million. */
  readonly stepsMax?: number;
  /** How many configurations may be remembered, at some 50 bytes each. Default 4 million. */
  readonly entriesMax?: number;
}

const STEPS_MAX_DEFAULT = 50_000_000;
const ENTRIES_MAX_DEFAULT = 4_000_000;

export function checkLinearizable<State, Op>(
  model: Model<State, Op>,
  operations: readonly Operation<Op>[],
  options: CheckOptions = {},
): Verdict<Op> {
  requireTimes(operations);
  const { stepsMax = STEPS_MAX_DEFAULT, entriesMax = ENTRIES_MAX_DEFAULT } = options;
  const budget: Budget = { steps: stepsMax, entries: entriesMax };
  let unfinished: { partition: Partition<Op>; result: SearchResult } | undefined;
  for (const partition of partitionsOf(model, operations)) {
    const result = new Search(model.begin(partition.operations), partition, budget).run();
    if (result.outcome === "accepted") continue;
    if (result.outcome === "rejected") {
      const operation = partition.operations[result.stuckAt]!;
      const explanation = explanationOf(model, partition, result);
      return { outcome: "rejected", steps: stepsMax - budget.steps, operation, explanation };
    }
    unfinished = { partition, result };
    break;
  }
  const steps = stepsMax - budget.steps;
  if (unfinished === undefined) return { outcome: "accepted", steps };
  const bound = budget.steps < 0 ? `${stepsMax} steps` : `${entriesMax} configurations`;
  const { partition, result } = unfinished;
  const explanation = `not decided within ${bound}; so far\n${explanationOf(model, partition, result)}`;
  return { outcome: "undecided", steps, explanation };
}

function explanationOf<State, Op>(
  model: Model<State, Op>,
  { operations }: Partition<Op>,
  { stuckAt, trail }: SearchResult,
): string {
  const operation = operations[stuckAt]!;
  return explain(model, { operation, among: operations, before: trail.map((at) => operations[at]!) });
}
