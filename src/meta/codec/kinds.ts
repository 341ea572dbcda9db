/**
 * The numbers that stand for words in encoded commands, answers and snapshots. They are on disks: a number
 * is never given to another word, and new words get new numbers at the end.
 */
import type { Compare, CompareOperator } from "../command.ts";

/** The first byte of every command. */
export const COMMAND_VERSION = 1;

/** The second byte of a command. */
export const KIND = {
  put: 1,
  delete: 2,
  deleteRange: 3,
  transaction: 4,
  grantLease: 5,
  renewLease: 6,
  revokeLease: 7,
  expireLease: 8,
  openSession: 9,
  closeSession: 10,
  compact: 11,
} as const;

/** Added to the kind of a command that carries a stamp. */
export const STAMPED = 0x80;

export const OP = { put: 1, delete: 2, deleteRange: 3, get: 4, range: 5 } as const;

export const RANGE = { prefix: 1, fromTo: 2, from: 3 } as const;

/** Bits of a range's options. */
export const KEYS_ONLY = 1;
export const COUNT_ONLY = 2;

/** Each stands for its place. */
export const TARGETS: readonly Compare["target"][] = [
  "value", "revision", "createRevision", "version", "lease",
];
export const OPERATORS: readonly CompareOperator[] = ["=", "!=", "<", ">"];

export const ANSWER = {
  none: 1,
  put: 2,
  delete: 3,
  get: 4,
  range: 5,
  transaction: 6,
  lease: 7,
  session: 8,
  compacted: 9,
  refusal: 10,
} as const;
