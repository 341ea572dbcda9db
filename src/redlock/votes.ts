/**
 * From the locker's votes, which name instances, to redlock's, which name the caller's own clients.
 * An instance that did not answer in time to be counted has voted against, as in redlock.
 */
import { CoterieError } from "../errors.ts";
import type { InstanceVote } from "../locks/index.ts";
import type { Client } from "./clients.ts";
import { type ExecutionStats, ResourceLockedError } from "./errors.ts";

/** True while an instance has neither voted nor failed: a lock is ours as soon as a quorum has. */
export function isOpen(votes: readonly InstanceVote[]): boolean {
  return votes.some(({ vote, error }) => vote === "unreachable" && error === undefined);
}

/** What the votes against are told as: of an instance that was merely slower than a quorum, nothing. */
export function refusalsIn(votes: readonly InstanceVote[], resources: readonly string[]): Error[] {
  return votes.flatMap((vote) => {
    if (vote.vote === "granted" || isOpen([vote])) return [];
    return [errorOf(vote.instance, vote, resources)];
  });
}

/** The stats of one attempt; an instance without a vote did not answer in time to be counted. */
export function statsOf(
  clients: ReadonlyMap<string, Client>,
  votes: readonly InstanceVote[],
  resources: readonly string[],
): ExecutionStats {
  const votesFor = new Set<Client>();
  const votesAgainst = new Map<Client, Error>();
  for (const [id, client] of clients) {
    const vote = votes.find(({ instance }) => instance === id);
    if (vote?.vote === "granted") votesFor.add(client);
    else votesAgainst.set(client, errorOf(id, vote, resources));
  }
  const membershipSize = clients.size;
  return { membershipSize, quorumSize: Math.floor(membershipSize / 2) + 1, votesFor, votesAgainst };
}

/** The votes that an error of the locker carries; none where it failed before it asked. */
export function votesIn(error: CoterieError): readonly InstanceVote[] {
  const { votes } = error.details;
  return Array.isArray(votes) ? (votes as readonly InstanceVote[]) : [];
}

function errorOf(id: string, vote: InstanceVote | undefined, resources: readonly string[]): Error {
  if (vote?.vote === "refused") {
    const count = resources.length;
    return new ResourceLockedError(`The operation was applied to: 0 of the ${count} requested resources.`);
  }
  return (
    vote?.error ??
    new CoterieError("NO_ANSWER", `instance "${id}" had not answered when the votes were counted`, {
      details: { instance: id },
    })
  );
}
