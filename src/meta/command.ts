/**
 * What can be proposed. A command becomes the data of a log entry by `encodeCommand`, and does what it says
 * when that entry is applied, on every peer alike. Reads are commands only inside a transaction; otherwise
 * they are methods of the store. A lease, a session, a sequence and a revision are whole numbers from 1.
 */
import type { KeyRange } from "./key-range.ts";

/**
 * Makes a retried command happen once (Raft thesis, 6.3). A session's sequences are numbers that its client
 * never uses for two commands; they may arrive in any order.
 */
export interface Stamp {
  readonly session: number;
  readonly sequence: number;
  /** Answers to lower sequences have arrived, and are forgotten. At most `sequence`. */
  readonly firstWanted: number;
}

interface Stamped {
  readonly stamp?: Stamp | undefined;
}

/** The leader's first entry of a term; its data is empty. */
export interface NoopCommand {
  readonly type: "noop";
}

export interface PutCommand extends Stamped {
  readonly type: "put";
  readonly key: string;
  readonly value: Uint8Array;
  /** The key is deleted with this lease. Without one the key stays; a lease it had is let go. */
  readonly lease?: number | undefined;
  /** Refused unless the key has this revision; 0 says that it must not exist. */
  readonly ifRevision?: number | undefined;
}

export interface DeleteCommand extends Stamped {
  readonly type: "delete";
  readonly key: string;
  /** Refused unless the key has this revision; 0 says that it must not exist. */
  readonly ifRevision?: number | undefined;
}

/** If it deletes more keys than the history holds, watches cannot get its events: they must read anew. */
export interface DeleteRangeCommand extends Stamped {
  readonly type: "deleteRange";
  readonly range: KeyRange;
}

/**
 * Runs `thenOps` if all comparisons hold, otherwise `elseOps`: in order, under one revision, or none. What
 * they answer is bounded: refused if the gets alone could take more, and ranges share what the gets leave.
 */
export interface TransactionCommand extends Stamped {
  readonly type: "transaction";
  readonly compares: readonly Compare[];
  readonly thenOps: readonly Op[];
  readonly elseOps: readonly Op[];
}

export interface GrantLeaseCommand extends Stamped {
  readonly type: "grantLease";
  /** The caller's own number for it; without one it is the entry's index, or the next that is free. */
  readonly lease?: number | undefined;
  readonly ttlMs: number;
}

export interface RenewLeaseCommand extends Stamped {
  readonly type: "renewLease";
  readonly lease: number;
}

/** Ends a lease at the wish of whoever holds it, and deletes its keys. */
export interface RevokeLeaseCommand extends Stamped {
  readonly type: "revokeLease";
  readonly lease: number;
}

/** Ends a lease because the leader of `term` has seen no renewal after `renewal` in time. */
export interface ExpireLeaseCommand extends Stamped {
  readonly type: "expireLease";
  readonly lease: number;
  /** Refused unless the entry is of this term: another leader counts from its own beginning. */
  readonly term: number;
  /** Refused unless this is the lease's last renewal. */
  readonly renewal: number;
}

/** The answer names the session: its number is the entry's index. */
export interface OpenSessionCommand {
  readonly type: "openSession";
}

export interface CloseSessionCommand {
  readonly type: "closeSession";
  readonly session: number;
}

/** Forgets the events up to this revision, itself included. No key changes. */
export interface CompactCommand extends Stamped {
  readonly type: "compact";
  readonly revision: number;
}

export type Command =
  | NoopCommand
  | PutCommand
  | DeleteCommand
  | DeleteRangeCommand
  | TransactionCommand
  | GrantLeaseCommand
  | RenewLeaseCommand
  | RevokeLeaseCommand
  | ExpireLeaseCommand
  | OpenSessionCommand
  | CloseSessionCommand
  | CompactCommand;

export type CompareOperator = "=" | "!=" | "<" | ">";

/** The numbers of a key that can be compared. All are 0 for a key that does not exist. */
export type CompareTarget = "revision" | "createRevision" | "version" | "lease";

/** A value is compared byte by byte. No comparison holds with the value of a key that does not exist. */
export type Compare =
  | {
      readonly target: "value";
      readonly key: string;
      readonly operator: CompareOperator;
      readonly operand: Uint8Array;
    }
  | {
      readonly target: CompareTarget;
      readonly key: string;
      readonly operator: CompareOperator;
      readonly operand: number;
    };

/** Each op sees what those before it did. */
export type Op =
  | {
      readonly type: "put";
      readonly key: string;
      readonly value: Uint8Array;
      readonly lease?: number | undefined;
    }
  | { readonly type: "delete"; readonly key: string }
  | { readonly type: "deleteRange"; readonly range: KeyRange }
  | { readonly type: "get"; readonly key: string }
  | RangeOp;

export interface RangeOp extends RangeOptions {
  readonly type: "range";
  readonly range: KeyRange;
}

export interface RangeOptions {
  /**
   * The most records that are answered. Default: no bound; in a transaction, `RANGE_LIMIT_MAX`, and what
   * the ops together may answer can end it earlier: with `more`, and perhaps without any record.
   */
  readonly limit?: number | undefined;
  /** True leaves the values out: they are empty. Default false. */
  readonly keysOnly?: boolean | undefined;
  /** True answers how many keys there are and no records; `limit` has no effect. Default false. */
  readonly countOnly?: boolean | undefined;
}

/** The most records that the ranges of a transaction answer, all together: its answer is kept for a retry. */
export const RANGE_LIMIT_MAX = 10_000;

/**
 * The most bytes that the gets and ranges of a transaction answer, all together: for each record 64, its key
 * in UTF-16 code units, and its value. A part of the state machine, as `RANGE_LIMIT_MAX` is, and no option:
 * a peer that ran out of memory over an answer would have applied the entry without keeping what it said.
 */
export const ANSWER_BYTES_MAX: number = 2 * 2 ** 20;

/** The most comparisons, and the most ops of each branch, of any transaction: more is no command. */
export const OPS_MAX = 4_096;

/** The greatest sequence of a stamp. */
export const SEQUENCE_MAX: number = Number.MAX_SAFE_INTEGER - 1;
