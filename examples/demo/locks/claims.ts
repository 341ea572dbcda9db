/**
 * What the demo claims of locks, and whether it happened. As with the other claims, one holds only when it
 * was observed often enough. All processes run on one machine, so their clocks can be compared. Pure.
 */
import type { Claim } from "../claims.ts";

/** What ran under a lock, and from when to when, in milliseconds of the machine's wall clock. */
export interface Run {
  /** What was locked. */
  readonly what: string;
  /** Which process ran it. */
  readonly by: string;
  readonly fencingToken: number;
  readonly from: number;
  readonly to: number;
}

/** A counter's increment: read, wait a little, write. */
export interface Increment extends Run {
  /** What it made of the counter. */
  readonly count: number;
}

export interface LockObservations {
  readonly apps: readonly string[];
  readonly increments: readonly Increment[];
  /** Increments that were not made, in words. */
  readonly refused: readonly string[];
  /** What the counter holds when all is done. */
  readonly finalCount: number;
  /** Undefined when the Redis in use cannot be killed. */
  readonly outage: { readonly shard: string; readonly increments: number } | undefined;
  readonly handover: {
    readonly leaseMs: number;
    /** Requests that were served while the holder lived. */
    readonly before: number;
    readonly served: number;
    readonly asked: number;
    /** From the holder's death to the next one's answer; undefined when there was none. */
    readonly afterMs: number | undefined;
  };
  readonly jobs: { readonly added: number; readonly runs: readonly Run[] };
}

/** Beyond the lease: what a busy machine may add. */
const HANDOVER_MS_MAX = 2000;
/** Fewer runs than this show nothing. */
const RUNS_MIN = 20;
const OUTAGE_RUNS_MIN = 5;

export function judgeLockClaims(observations: LockObservations): Claim[] {
  return [
    counting(observations),
    ...(observations.outage === undefined ? [] : [duringOutage(observations.outage)]),
    handedOver(observations),
    serialised(observations),
  ];
}

/** Pairs of runs of one thing that were at work at once, in words. */
export function overlaps(runs: readonly Run[]): string[] {
  const last = new Map<string, Run>();
  const found: string[] = [];
  for (const run of runs.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const before = last.get(run.what);
    if (before !== undefined && run.from < before.to) {
      found.push(`${run.what} by ${before.by} and ${run.by}, for ${before.to - run.from} ms`);
    }
    if (before === undefined || run.to > before.to) last.set(run.what, run);
  }
  return found;
}

/** How many runs of different things were at work at once, at most. */
export function parallelism(runs: readonly Run[]): number {
  const edges = runs.flatMap(({ from, to }) => [[from, 1] as const, [to, -1] as const]);
  let now = 0;
  let most = 0;
  // Ends come first: who takes over in the same millisecond was not there before.
  for (const [, step] of edges.toSorted(([a, up], [b, down]) => a - b || up - down)) {
    now += step;
    most = Math.max(most, now);
  }
  return most;
}

/** True when tokens grow in the order in which the runs of each thing began. */
export function tokensGrow(runs: readonly Run[]): boolean {
  const last = new Map<string, number>();
  return runs.toSorted((a, b) => a.from - b.from || a.to - b.to).every(({ what, fencingToken }) => {
    const grows = fencingToken > (last.get(what) ?? 0);
    last.set(what, fencingToken);
    return grows;
  });
}

function counting({ apps, increments, refused, finalCount }: LockObservations): Claim {
  const counts = increments.map(({ count }) => count).toSorted((a, b) => a - b);
  const isExact = counts.every((count, at) => count === at + 1) && finalCount === counts.length;
  const idle = apps.filter((app) => !increments.some(({ by }) => by === app));
  const atOnce = overlaps(increments);
  return {
    claim: "increments through all processes ran one at a time: none was lost, and none counted twice",
    holds:
      counts.length >= RUNS_MIN &&
      isExact &&
      refused.length === 0 &&
      atOnce.length === 0 &&
      idle.length === 0 &&
      tokensGrow(increments),
    seen:
      `${counts.length} increments, the counter holds ${finalCount}, ${atOnce.length} at once, ` +
      `tokens ${tokensGrow(increments) ? "grew" : "did not grow"}` +
      [...refused.slice(0, 1), ...atOnce.slice(0, 1), ...idle.map((app) => `${app} was idle`)]
        .map((text) => `; ${text}`)
        .join(""),
  };
}

function duringOutage({ shard, increments }: { readonly shard: string; readonly increments: number }): Claim {
  return {
    claim: `while ${shard} was dead, the others granted locks all the same`,
    holds: increments >= OUTAGE_RUNS_MIN,
    seen: `${increments} increments during the outage`,
  };
}

function handedOver({ handover: { leaseMs, before, served, asked, afterMs } }: LockObservations): Claim {
  const inTime = afterMs !== undefined && afterMs <= leaseMs + HANDOVER_MS_MAX;
  const when = afterMs === undefined ? "never" : `after ${Math.round(afterMs)} ms`;
  return {
    claim:
      "a holder was killed (SIGKILL): who waited had its lock within the lease " +
      `and ${HANDOVER_MS_MAX} ms`,
    holds: inTime && before === 0 && asked > 0 && served === asked,
    seen: `${when}, the lease was ${leaseMs} ms; ${served} of ${asked} served, ${before} before it died`,
  };
}

function serialised({ jobs: { added, runs } }: LockObservations): Claim {
  const atOnce = overlaps(runs);
  const workers = new Set(runs.map(({ by }) => by));
  const most = parallelism(runs);
  return {
    claim: "BullMQ jobs of one entity never ran at once over two workers, and those of others did",
    holds:
      runs.length >= RUNS_MIN &&
      runs.length === added &&
      atOnce.length === 0 &&
      workers.size > 1 &&
      most > 1 &&
      tokensGrow(runs),
    seen:
      `${runs.length} of ${added} jobs by ${workers.size} workers, up to ${most} at once, ` +
      `${atOnce.length} of one entity${atOnce.slice(0, 1).map((text) => `: ${text}`).join("")}`,
  };
}
