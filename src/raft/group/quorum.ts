/**
 * Counting, for one majority and for two at once. A vote is granted, refused or not there yet: three
 * outcomes, never a boolean. A half without voters (a new peer knows no configuration) decides nothing
 * by itself and agrees with the other half.
 */
import type { Config } from "./config.ts";

export type VoteOutcome = "won" | "lost" | "pending";

/** How many of n are a majority. */
export function majority(n: number): number {
  return (n >>> 1) + 1;
}

/** The highest value that a majority of both halves has reached; 0 when there is no voter at all. */
export function reachedByQuorum(config: Config, valueOf: (peerId: number) => number): number {
  const incoming = reachedByMajority(config.voters, valueOf);
  const outgoing = reachedByMajority(config.outgoing, valueOf);
  const reached = Math.min(incoming, outgoing);
  return reached === Infinity ? 0 : reached;
}

/** Whether the votes so far decide: both halves must say yes, and one no is enough. */
export function voteOutcome(config: Config, votes: ReadonlyMap<number, boolean>): VoteOutcome {
  const incoming = outcomeOf(config.voters, votes);
  const outgoing = outcomeOf(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return "pending";
}

function reachedByMajority(voters: readonly number[], valueOf: (peerId: number) => number): number {
  const count = voters.length;
  if (count === 0) return Infinity;
  // A few numbers: insertion beats a sort with a comparator.
  const values: number[] = [];
  for (const peerId of voters) {
    const value = valueOf(peerId);
    let at = values.length;
    while (at > 0 && (values[at - 1] as number) < value) {
      values[at] = values[at - 1] as number;
      at -= 1;
    }
    values[at] = value;
  }
  return values[majority(count) - 1] as number;
}

function outcomeOf(voters: readonly number[], votes: ReadonlyMap<number, boolean>): VoteOutcome {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const peerId of voters) {
    const vote = votes.get(peerId);
    if (vote === undefined) missing += 1;
    else if (vote) granted += 1;
  }
  const needed = majority(voters.length);
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}
