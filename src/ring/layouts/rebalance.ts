/**
 * The least movement from one arc table to a table for other members. A computed table depends on the
 * members alone and pays for that by moving a little more than it must; this one depends on where the arcs
 * are now, and moves these and nothing else:
 *
 * - every arc of a member that is gone, and what a member that stays has above its cap, must leave;
 * - a member that is new, or whose weight grew, must get its fair share (rounded down);
 * - so the larger of the two sums moves, and nothing else.
 *
 * What must be taken beyond that comes from the members with the most arcs for their weight, and what is
 * left over goes to those with the fewest, so that repeated changes even the ring out.
 * Deterministic: the same table and the same members give the same result everywhere.
 */
import { invariant } from "../../invariant.ts";
import type { Roster } from "../members.ts";
import { arcCaps, arcLoads, arcMeans, arcsOf, type ArcTable } from "./arcs.ts";
import { Rendezvous } from "./rendezvous.ts";

/** Not yet owned by anyone; above every index of a member. */
const NOBODY = 0xffff;

/** Rounding must not make a member heavier. */
const PART_TOLERANCE = 1e-12;

/** How many arcs of each member change hands, by index in the new roster. */
interface Plan {
  readonly gives: Float64Array;
  readonly gets: Float64Array;
}

export function rebalanceArcs(table: ArcTable, from: Roster, to: Roster, shareRatioMax: number): ArcTable {
  const next = renumber(table, from, to);
  const plan = planMoves(next, from, to, shareRatioMax);
  const rendezvous = new Rendezvous(to);
  for (const [member, count] of plan.gives.entries()) {
    if (count === 0) continue;
    for (const arc of arcsOf(next, member, rendezvous).slice(-count)) next[arc] = NOBODY;
  }
  const isWaiting = (member: number) => (plan.gets[member] as number) > 0;
  for (const [arc, owner] of next.entries()) {
    if (owner !== NOBODY) continue;
    const receiver = rendezvous.keenest(arc, isWaiting);
    invariant(receiver >= 0, "the plan has a receiver for every arc that moves", { arc });
    next[arc] = receiver;
    plan.gets[receiver] = (plan.gets[receiver] as number) - 1;
  }
  return next;
}

/** The table in terms of the new roster, the arcs of those who are gone marked. */
function renumber(table: ArcTable, from: Roster, to: Roster): Uint16Array {
  const indexes = new Map(to.ids.map((id, index) => [id, index]));
  const renumbered = from.ids.map((id) => indexes.get(id) ?? NOBODY);
  return Uint16Array.from(table, (owner) => renumbered[owner] as number);
}

function planMoves(table: Uint16Array, from: Roster, to: Roster, shareRatioMax: number): Plan {
  const size = to.ids.length;
  const means = arcMeans(to);
  const caps = arcCaps(to, shareRatioMax);
  const loads = arcLoads(table.filter((owner) => owner !== NOBODY), size);
  let free = table.length - loads.reduce((sum, load) => sum + load, 0);
  const gives = loads.map((load, member) => Math.max(0, load - (caps[member] as number)));
  free += gives.reduce((sum, count) => sum + count, 0);
  const gets = dueToRisers(loads, means, from, to);
  let due = gets.reduce((sum, count) => sum + count, 0);

  const held = loads.map((load, member) => load - (gives[member] as number) + (gets[member] as number));
  const isRiser = gets.map((count) => Number(count > 0));
  for (; due > free; free++) {
    const donor = extreme(held, means, 1, (member) => isRiser[member] === 0 && (held[member] as number) > 0);
    invariant(donor >= 0, "a member that is not due any arcs can give one", { due, free });
    held[donor] = (held[donor] as number) - 1;
    gives[donor] = (gives[donor] as number) + 1;
  }
  for (; free > due; due++) {
    const taker = extreme(held, means, -1, (member) => (held[member] as number) < (caps[member] as number));
    invariant(taker >= 0, "the caps have room for every arc", { due, free });
    held[taker] = (held[taker] as number) + 1;
    gets[taker] = (gets[taker] as number) + 1;
  }
  return { gives, gets };
}

/** What each new or heavier member lacks to its fair share, rounded down. */
function dueToRisers(loads: Float64Array, means: Float64Array, from: Roster, to: Roster): Float64Array {
  const before = partsAmong(from, new Set(to.ids));
  const after = partsAmong(to, new Set(from.ids));
  return loads.map((load, member) => {
    const id = to.ids[member] as string;
    const old = before.get(id);
    const isRiser = old === undefined || (after.get(id) as number) > old * (1 + PART_TOLERANCE);
    return isRiser ? Math.max(0, Math.floor(means[member] as number) - load) : 0;
  });
}

/**
 * Weights are relative, so whether one grew shows in its part of the weights of those who stay: it is the
 * same for every scale, and a member that comes or goes changes nobody else's.
 */
function partsAmong(roster: Roster, others: ReadonlySet<string>): Map<string, number> {
  const stayers = [...roster.ids.entries()].filter(([, id]) => others.has(id));
  const weightOf = (member: number) => roster.weights[member] as number;
  const total = stayers.reduce((sum, [member]) => sum + weightOf(member), 0);
  return new Map(stayers.map(([member, id]) => [id, weightOf(member) / total]));
}

/** The acceptable member with the greatest (sign 1) or least (sign -1) number of arcs for its weight. */
function extreme(
  held: Float64Array,
  means: Float64Array,
  sign: 1 | -1,
  accepts: (member: number) => boolean,
): number {
  let best = -1;
  let bestRatio = -Infinity;
  for (const [member, count] of held.entries()) {
    const ratio = (sign * count) / (means[member] as number);
    if (ratio <= bestRatio || !accepts(member)) continue;
    best = member;
    bestRatio = ratio;
  }
  return best;
}
