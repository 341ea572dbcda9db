/**
 * What the demo claims, and whether it happened. Its one idea: a claim holds only when it was observed on
 * enough requests; one about nothing fails. Pure: from observations to a checklist.
 */
import type { Counts, Phase, TallySnapshot } from "./tally.ts";

export interface Survey {
  /** How many items every process was asked about. */
  readonly items: number;
  /** Items on whose owner they do not agree, in words. */
  readonly disagreements: readonly string[];
}

export interface Outage {
  readonly shard: string;
  /** From Redis' being up again until every process served its keys; undefined when some never did. */
  readonly recoveryMs: number | undefined;
}

export interface Writes {
  /** Writes that were answered with success. */
  readonly acknowledged: number;
  /** Items that were read at the end. */
  readonly itemsRead: number;
  /** Items whose last acknowledged write was not there, in words. */
  readonly lost: readonly string[];
}

export interface Observations {
  readonly apps: readonly string[];
  /** The ring's share of each shard. */
  readonly shares: Readonly<Record<string, number>>;
  readonly survey: Survey;
  readonly tally: TallySnapshot;
  /** Undefined when the Redis in use cannot be killed. */
  readonly outage: Outage | undefined;
  readonly writes: Writes;
}

export interface Claim {
  readonly claim: string;
  readonly holds: boolean;
  /** What was seen, with the numbers. */
  readonly seen: string;
}

export const SHARE_ERROR_MAX = 0.08;
export const RECOVERY_MS_MAX = 5000;
/** Fewer requests than this, per shard and phase, show nothing. */
const REQUESTS_MIN = 20;

export function judgeClaims(observations: Observations): Claim[] {
  const { outage } = observations;
  return [
    agreement(observations),
    spread(observations),
    everyProcess(observations),
    ...(outage === undefined ? [allServed(observations)] : outageClaims(observations, outage)),
    durability(observations),
    nothingElse(observations),
  ];
}

/** From what each process said about each item's owner; a process that said nothing disagrees. */
export function compareOwners(
  answers: readonly ReadonlyMap<string, string>[],
  items: readonly string[],
): Survey {
  if (answers.length === 0) return { items: 0, disagreements: [] };
  const disagreements = items
    .map((item) => [item, answers.map((owners) => owners.get(item) ?? "nothing")] as const)
    .filter(([, owners]) => owners.includes("nothing") || new Set(owners).size !== 1)
    .map(([item, owners]) => `${item}: ${owners.join(", ")}`);
  return { items: items.length, disagreements };
}

function agreement({ apps, survey: { items, disagreements } }: Observations): Claim {
  const asked = `${items} items asked of ${apps.length} processes`;
  return {
    claim: "all processes name the same owner for every item",
    holds: apps.length > 1 && items > 0 && disagreements.length === 0,
    seen:
      disagreements.length === 0
        ? asked
        : `${asked}; ${disagreements.length} differ: ${disagreements[0] ?? ""}`,
  };
}

function spread({ shares, tally }: Observations): Claim {
  const counted = Object.keys(shares).map((shard) => total(countsOf(tally, "before", shard)));
  const all = sum(counted);
  const parts = Object.entries(shares).map(([shard, share], at) => ({
    error: Math.abs((counted[at] ?? 0) / all - share),
    text: `${shard} ${percent((counted[at] ?? 0) / all)} of ${percent(share)}`,
  }));
  return {
    claim: `requests are spread as the ring says, within ${SHARE_ERROR_MAX * 100} percentage points`,
    holds:
      parts.length > 0 &&
      all >= REQUESTS_MIN * parts.length &&
      parts.every(({ error }) => error <= SHARE_ERROR_MAX),
    seen: all === 0 ? "no requests" : `${parts.map(({ text }) => text).join(", ")} in ${all} requests`,
  };
}

function everyProcess({ apps, shares, tally }: Observations): Claim {
  const served = apps.map((app) => tally.served[app] ?? 0);
  const idle = Object.keys(shares).filter((shard) => countsOf(tally, "before", shard).served < REQUESTS_MIN);
  const names = apps.map((app, at) => `${app} ${served[at]}`).join(", ");
  return {
    claim: "every process served requests, and every shard",
    holds: served.length > 0 && served.every((count) => count >= REQUESTS_MIN) && idle.length === 0,
    seen: `${names}${idle.length === 0 ? "" : `; idle: ${idle.join(", ")}`}`,
  };
}

function allServed({ shares, tally }: Observations): Claim {
  const { served, refused, wrong } = over(tally, PHASES, Object.keys(shares));
  return {
    claim: "every request was answered 2xx",
    holds: served >= REQUESTS_MIN && refused + wrong === 0,
    seen: `${served} served, ${refused} refused, ${wrong} wrong`,
  };
}

function outageClaims({ shares, tally }: Observations, { shard, recoveryMs }: Outage): Claim[] {
  const others = Object.keys(shares).filter((id) => id !== shard);
  const during = over(tally, ["outage"], others);
  const ever = over(tally, PHASES, others);
  const dead = countsOf(tally, "outage", shard);
  const after = countsOf(tally, "after", shard);
  const inTime = recoveryMs !== undefined && recoveryMs <= RECOVERY_MS_MAX;
  return [
    {
      claim: `while ${shard} was dead, every request for the other shards was answered 2xx`,
      holds: during.served >= REQUESTS_MIN && ever.refused + ever.wrong === 0,
      seen:
        `${during.served} served during the outage; ` +
        `${ever.refused} refused and ${ever.wrong} wrong at any time`,
    },
    {
      claim: `its own keys got 503 with Retry-After and problem+json, and not one a 2xx`,
      holds: dead.refused >= REQUESTS_MIN && dead.served + dead.wrong === 0,
      seen: `${dead.refused} refused, ${dead.served} served, ${dead.wrong} wrong`,
    },
    {
      claim:
        `started again, every process served them within ${RECOVERY_MS_MAX / 1000} s, ` +
        "and every request since",
      holds: inTime && after.served >= REQUESTS_MIN && after.refused + after.wrong === 0,
      seen:
        `${recoveryMs === undefined ? "some process never did" : `after ${Math.round(recoveryMs)} ms`}; ` +
        `since then ${after.served} served, ${after.refused} refused, ${after.wrong} wrong`,
    },
  ];
}

function durability({ writes: { acknowledged, itemsRead, lost } }: Observations): Claim {
  return {
    claim: "every item holds its last acknowledged write, or a later one",
    holds: acknowledged >= REQUESTS_MIN && itemsRead >= REQUESTS_MIN && lost.length === 0,
    seen:
      `${acknowledged} writes acknowledged, ${itemsRead} items read` +
      (lost.length === 0 ? "" : `; ${lost.length} lost: ${lost[0]}`),
  };
}

function nothingElse({ shares, tally }: Observations): Claim {
  const { served, refused, wrong } = over(tally, PHASES, Object.keys(shares));
  return {
    claim: "nobody got anything else: no other status, no wrong shard, no stale value, no hang-up",
    holds: served > 0 && wrong === 0 && tally.wrongs.length === 0,
    seen:
      `${served + refused + wrong} requests, ${wrong} wrong` +
      (wrong === 0 ? "" : `: ${tally.wrongs.join("; ")}`),
  };
}

const PHASES: readonly Phase[] = ["before", "changing", "outage", "after"];
const NONE: Counts = { served: 0, refused: 0, wrong: 0 };

function countsOf(tally: TallySnapshot, phase: Phase, shard: string): Counts {
  return tally.phases[phase][shard] ?? NONE;
}

function over(tally: TallySnapshot, phases: readonly Phase[], shards: readonly string[]): Counts {
  const all = phases.flatMap((phase) => shards.map((shard) => countsOf(tally, phase, shard)));
  return {
    served: sum(all.map(({ served }) => served)),
    refused: sum(all.map(({ refused }) => refused)),
    wrong: sum(all.map(({ wrong }) => wrong)),
  };
}

function total({ served, refused, wrong }: Counts): number {
  return served + refused + wrong;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
