/**
 * What each command does to the state. A command is refused before it changes anything, or it is done as a
 * whole; nothing here throws for what an entry may hold. Only the state, the command and the entry's index
 * and term decide.
 */
import type { Command, ExpireLeaseCommand, GrantLeaseCommand } from "./command.ts";
import { boundsOf } from "./key-range.ts";
import {
  accepted, type LeaseAnswer, NO_ANSWER, NO_EVENTS, type Outcome, type RefusalCode, refusalOf, refused,
} from "./outcome.ts";
import type { Edit } from "./state/edit.ts";
import type { Lease } from "./state/leases.ts";
import type { State } from "./state/state.ts";
import { runTransaction } from "./transaction.ts";

/** `index` and `term` are the entry's. */
export function execute(state: State, edit: Edit, command: Command, index: number, term: number): Outcome {
  switch (command.type) {
    case "noop":
      return accepted(state.revision, NO_ANSWER, NO_EVENTS);
    case "put": {
      const { key, value, lease = 0, ifRevision } = command;
      const refusal = conditionRefusal(state, key, ifRevision);
      if (refusal !== undefined) return refusal;
      if (lease !== 0 && !state.leases.has(lease)) return refuse(state, "LEASE_UNKNOWN", 0, lease);
      return edit.commit({ type: "put", previousRevision: edit.put(key, value, lease) });
    }
    case "delete": {
      const refusal = conditionRefusal(state, command.key, command.ifRevision);
      if (refusal !== undefined) return refusal;
      return edit.commit({ type: "delete", deletedCount: edit.delete(command.key) ? 1 : 0 });
    }
    case "deleteRange":
      return edit.commit({ type: "delete", deletedCount: edit.deleteRange(boundsOf(command.range)) });
    case "transaction":
      return runTransaction(state, edit, command);
    case "grantLease":
      return grantLease(state, command, index);
    case "renewLease": {
      const held = state.leases.get(command.lease);
      if (held === undefined) return refuse(state, "LEASE_UNKNOWN", 0, command.lease);
      state.leases.renew(command.lease, index);
      return accepted(state.revision, leaseAnswer(held), NO_EVENTS);
    }
    case "revokeLease":
      if (!state.leases.has(command.lease)) return refuse(state, "LEASE_UNKNOWN", 0, command.lease);
      return edit.commit({ type: "delete", deletedCount: edit.endLease(command.lease) });
    case "expireLease":
      return expireLease(state, edit, command, term);
    case "openSession":
      state.sessions.open(index);
      return accepted(state.revision, { type: "session", session: index }, NO_EVENTS);
    case "closeSession":
      if (!state.sessions.close(command.session)) {
        return refuse(state, "SESSION_UNKNOWN", 0, command.session);
      }
      return accepted(state.revision, NO_ANSWER, NO_EVENTS);
    case "compact":
      break;
  }
  return compact(state, command.revision);
}

function grantLease(state: State, { lease, ttlMs }: GrantLeaseCommand, index: number): Outcome {
  const { leases, limits } = state;
  if (leases.size >= limits.leasesMax) return refuse(state, "LEASES_FULL", limits.leasesMax, leases.size);
  let number = lease ?? index;
  if (lease === undefined) while (leases.has(number)) number += 1;
  else if (leases.has(lease)) return refuse(state, "LEASE_EXISTS", 0, lease);
  leases.grant(number, ttlMs, index);
  const answer: LeaseAnswer = { type: "lease", lease: number, ttlMs, renewal: index };
  return accepted(state.revision, answer, NO_EVENTS);
}

function expireLease(state: State, edit: Edit, command: ExpireLeaseCommand, term: number): Outcome {
  const held = state.leases.get(command.lease);
  if (held === undefined) return refuse(state, "LEASE_UNKNOWN", 0, command.lease);
  if (command.term !== term) return refuse(state, "STALE_TERM", term, command.term);
  if (command.renewal !== held.renewal) {
    return refuse(state, "STALE_RENEWAL", held.renewal, command.renewal);
  }
  return edit.commit({ type: "delete", deletedCount: edit.endLease(command.lease) });
}

/** What is compacted already stays so: a late command of another peer is no mistake. */
function compact(state: State, revision: number): Outcome {
  if (revision > state.revision) return refuse(state, "REVISION_UNKNOWN", state.revision, revision);
  state.history.compact(revision);
  const { compactedRevision } = state.history;
  return accepted(state.revision, { type: "compacted", compactedRevision }, NO_EVENTS);
}

function conditionRefusal(state: State, key: string, ifRevision: number | undefined): Outcome | undefined {
  if (ifRevision === undefined) return undefined;
  const revision = state.keys.get(key)?.revision ?? 0;
  return revision === ifRevision ? undefined : refuse(state, "CONDITION_FAILED", ifRevision, revision);
}

function refuse(state: State, code: RefusalCode, expected: number, received: number): Outcome {
  return refused(state.revision, refusalOf(code, expected, received));
}

function leaseAnswer({ lease, ttlMs, renewal }: Lease): LeaseAnswer {
  return { type: "lease", lease, ttlMs, renewal };
}
