/**
 * What came of an applied entry: accepted with an answer, or refused with a code and two numbers, and the
 * events that it caused. All outcomes have one shape, so that code which handles many stays fast.
 * A refusal changes nothing, and is as much a part of the log's meaning as an answer: all peers agree on it.
 */

/** One key and what it holds. Its bytes are the store's own: never write to them. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** The revision of the change that made the key. */
  readonly createRevision: number;
  /** The revision of its last change. */
  readonly revision: number;
  /** How many times it was put since it was made: 1 at first. */
  readonly version: number;
  /** The lease that it ends with; 0 if it has none. */
  readonly lease: number;
}

/** One change of one key. Its bytes are the store's own: never write to them. */
export interface WatchEvent {
  readonly type: "put" | "delete";
  readonly key: string;
  /** Empty for a delete. */
  readonly value: Uint8Array;
  /** Of this change: all changes of one command have the same. */
  readonly revision: number;
  /** What the key's revision was before; 0 if it did not exist. */
  readonly previousRevision: number;
}

export interface RangeAnswer {
  readonly type: "range";
  readonly records: readonly KeyValue[];
  /** Of `records`; with `countOnly`, of all keys in the range. */
  readonly count: number;
  /** True when there are keys beyond the limit, or beyond what a transaction may answer. */
  readonly more: boolean;
}

/** What one op of a transaction answers; a command that does the same answers the same. */
export type OpAnswer =
  | { readonly type: "put"; readonly previousRevision: number }
  | { readonly type: "delete"; readonly deletedCount: number }
  | { readonly type: "get"; readonly record: KeyValue | undefined }
  | RangeAnswer;

export interface LeaseAnswer {
  readonly type: "lease";
  readonly lease: number;
  readonly ttlMs: number;
  /** Which grant or renewal this was: see `Lease`. */
  readonly renewal: number;
}

export type Answer =
  | OpAnswer
  | { readonly type: "none" }
  | { readonly type: "transaction"; readonly succeeded: boolean; readonly answers: readonly OpAnswer[] }
  | LeaseAnswer
  | { readonly type: "session"; readonly session: number }
  | { readonly type: "compacted"; readonly compactedRevision: number };

/** Why a command was refused, and what its two numbers are. New codes go to the end: answers are stored. */
export const REFUSAL_CODES = [
  /** The data is no command: expected its length in bytes, received the place where it is wrong. */
  "MALFORMED",
  /** `ifRevision` does not hold: expected that, received the key's revision. */
  "CONDITION_FAILED",
  /** There is no such lease: received its number. */
  "LEASE_UNKNOWN",
  /** There is such a lease already: received its number. */
  "LEASE_EXISTS",
  /** No lease is granted beyond the bound: expected that, received how many there are. */
  "LEASES_FULL",
  /** A lease's end was proposed in another term: expected the entry's, received the one named. */
  "STALE_TERM",
  /** A lease's end was proposed before it was renewed: expected the last renewal, received the one named. */
  "STALE_RENEWAL",
  /** There is no such session, or it was closed or forgotten: received its number. */
  "SESSION_UNKNOWN",
  /** The answer to this sequence is forgotten: expected at least, received it. It may have been applied. */
  "SEQUENCE_DISCARDED",
  /** A revision that does not exist yet cannot be compacted: expected at most, received it. */
  "REVISION_UNKNOWN",
  /** The gets of a transaction could answer too much: expected at most so many bytes, received how many. */
  "ANSWER_TOO_LARGE",
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];

export interface Refusal {
  readonly code: RefusalCode;
  readonly expected: number;
  readonly received: number;
}

interface Common {
  /** True when the answer is that of an earlier entry with the same stamp; nothing happened this time. */
  readonly isRepeat: boolean;
  /** The store's revision when the command had been applied. */
  readonly revision: number;
  /** What it changed, in order. */
  readonly events: readonly WatchEvent[];
}

export interface Accepted extends Common {
  readonly ok: true;
  readonly answer: Answer;
  readonly refusal: undefined;
}

export interface Refused extends Common {
  readonly ok: false;
  readonly answer: undefined;
  readonly refusal: Refusal;
}

export type Outcome = Accepted | Refused;

export const NO_EVENTS: readonly WatchEvent[] = Object.freeze([]);

export const NO_ANSWER: Answer = Object.freeze({ type: "none" });

export function accepted(
  revision: number,
  answer: Answer,
  events: readonly WatchEvent[],
  isRepeat = false,
): Accepted {
  return { ok: true, isRepeat, revision, events, answer, refusal: undefined };
}

export function refused(revision: number, refusal: Refusal, isRepeat = false): Refused {
  return { ok: false, isRepeat, revision, events: NO_EVENTS, answer: undefined, refusal };
}

export function refusalOf(code: RefusalCode, expected: number, received: number): Refusal {
  return { code, expected, received };
}
