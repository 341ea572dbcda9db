/** What the holds of one run of bench/locks-contended show: how long it took, and if all was in order. */

/** One time that the resource was held; milliseconds of the machine's monotonic clock. */
export interface Hold {
  readonly holderToken: string | undefined;
  readonly fencingToken: number | undefined;
  readonly grantedAt: number;
  /** When the release was asked for. */
  readonly endedAt: number;
  /** When the release was answered. */
  readonly releasedAt: number;
}

/** What one waiter came to: the hold, or why there was none. */
export type Outcome = Hold | { readonly failed: string };

export interface Run {
  readonly startedAt: number;
  readonly outcomes: readonly Outcome[];
  readonly commands: number;
  /** The holder tokens in the order of their tickets, where that could be seen. */
  readonly queue?: readonly string[] | undefined;
}

export interface Shown {
  readonly totalMs: number;
  readonly served: number;
  readonly commandsPerLock: number;
  /** From the start to the last release, over the time that it was held. */
  readonly totalToHolds: number;
  /** Pairs of neighbours that held it at the same time. */
  readonly overlaps: number;
  /** Grants whose fencing token is not above the one before; 0 where there are no tokens. */
  readonly tokensBack: number;
  /** Who was served while an earlier ticket of the living waited; undefined without a queue. */
  readonly overtook: number | undefined;
  readonly failures: ReadonlyMap<string, number>;
}

export function showRun({ startedAt, outcomes, commands, queue }: Run): Shown {
  const holds: Hold[] = [];
  const failures = new Map<string, number>();
  for (const outcome of outcomes) {
    if (!("failed" in outcome)) holds.push(outcome);
    else failures.set(outcome.failed, (failures.get(outcome.failed) ?? 0) + 1);
  }
  holds.sort((a, b) => a.grantedAt - b.grantedAt);
  const pairs = holds.slice(1).map((hold, at) => [holds[at]!, hold] as const);
  const heldMs = holds.reduce((sum, { grantedAt, endedAt }) => sum + endedAt - grantedAt, 0);
  const totalMs = Math.max(startedAt, ...holds.map(({ releasedAt }) => releasedAt)) - startedAt;
  const isBack = ([before, after]: readonly [Hold, Hold]): boolean =>
    after.fencingToken !== undefined && !(after.fencingToken > (before.fencingToken ?? 0));
  return {
    totalMs,
    served: holds.length,
    commandsPerLock: commands / holds.length,
    totalToHolds: totalMs / heldMs,
    overlaps: pairs.filter(([before, after]) => after.grantedAt < before.endedAt).length,
    tokensBack: pairs.filter(isBack).length,
    overtook: queue === undefined ? undefined : countOvertakers(holds, queue),
    failures,
  };
}

function countOvertakers(holds: readonly Hold[], queue: readonly string[]): number {
  const placeOf = new Map(queue.map((token, at) => [token, at]));
  const places = holds.map(({ holderToken }) => placeOf.get(holderToken ?? "") ?? -1);
  let earliestAfter = Number.POSITIVE_INFINITY;
  let count = 0;
  for (const place of places.toReversed()) {
    // A holder without a ticket came in while others waited.
    if (place === -1 || place > earliestAfter) count += 1;
    else earliestAfter = place;
  }
  return count;
}
