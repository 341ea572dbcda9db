/**
 * Transactions: comparisons, and the ops of one branch or the other. Everything that could refuse one is
 * looked at before the first op runs, so there is nothing to take back. The ops run in order and see one
 * another's changes, which share one revision.
 * What they answer is kept for a retry, so it is bounded: room for the gets is set aside before, and the
 * ranges end where the rest is used up. It must never be that an answer cannot be kept once it is made.
 */
import {
  ANSWER_BYTES_MAX, type Compare, type CompareOperator, type Op, RANGE_LIMIT_MAX, type RangeOp,
  type RangeOptions, type TransactionCommand,
} from "./command.ts";
import { NO_BYTES } from "./codec/reader.ts";
import { type Bounds, boundsOf } from "./key-range.ts";
import {
  type KeyValue, type OpAnswer, type Outcome, type RangeAnswer, refusalOf, refused,
} from "./outcome.ts";
import type { Edit } from "./state/edit.ts";
import type { KeySpace } from "./state/key-space.ts";
import type { State } from "./state/state.ts";

/** What a record in an answer counts besides its key, in code units, and its value. */
const RECORD_BYTES = 64;

/** What ranges may still answer. */
interface Room {
  records: number;
  bytes: number;
}

export function runTransaction(state: State, edit: Edit, command: TransactionCommand): Outcome {
  const succeeded = command.compares.every((compare) => holds(state.keys, compare));
  const ops = succeeded ? command.thenOps : command.elseOps;
  for (const op of ops) {
    if (op.type !== "put" || op.lease === undefined || state.leases.has(op.lease)) continue;
    return refused(state.revision, refusalOf("LEASE_UNKNOWN", 0, op.lease));
  }
  const bytes = bytesOfGets(state.keys, ops);
  if (bytes > ANSWER_BYTES_MAX) {
    return refused(state.revision, refusalOf("ANSWER_TOO_LARGE", ANSWER_BYTES_MAX, bytes));
  }
  const room: Room = { records: RANGE_LIMIT_MAX, bytes: ANSWER_BYTES_MAX - bytes };
  const answers = ops.map((op) => runOp(state, edit, op, room));
  return edit.commit({ type: "transaction", succeeded, answers });
}

/** The records within the bounds, as a read of the store or of a transaction answers them. */
export function readRange(keys: KeySpace, bounds: Bounds, options: RangeOptions): RangeAnswer {
  if (options.countOnly === true) {
    return { type: "range", records: [], count: keys.countIn(bounds), more: false };
  }
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  // One more than asked for tells whether there are more.
  let records = keys.recordsIn(bounds, limit + 1);
  const more = records.length > limit;
  if (more) records.pop();
  if (options.keysOnly === true) records = records.map(withoutValue);
  return { type: "range", records, count: records.length, more };
}

/**
 * The most that the gets can answer: each counts the largest value that its key has now or is given before,
 * whatever is deleted in between.
 */
function bytesOfGets(keys: KeySpace, ops: readonly Op[]): number {
  const given = new Map<string, number>();
  let bytes = 0;
  for (const op of ops) {
    if (op.type === "put") given.set(op.key, Math.max(op.value.length, given.get(op.key) ?? 0));
    if (op.type !== "get") continue;
    const length = Math.max(keys.get(op.key)?.value.length ?? -1, given.get(op.key) ?? -1);
    if (length >= 0) bytes += RECORD_BYTES + op.key.length + length;
  }
  return bytes;
}

function runOp(state: State, edit: Edit, op: Op, room: Room): OpAnswer {
  switch (op.type) {
    case "put":
      return { type: "put", previousRevision: edit.put(op.key, op.value, op.lease ?? 0) };
    case "delete":
      return { type: "delete", deletedCount: edit.delete(op.key) ? 1 : 0 };
    case "deleteRange":
      return { type: "delete", deletedCount: edit.deleteRange(boundsOf(op.range)) };
    case "get":
      return { type: "get", record: state.keys.get(op.key) };
    case "range":
      break;
  }
  return readWithin(room, state.keys, op);
}

/** As much of the range as there is room for, which is taken. */
function readWithin(room: Room, keys: KeySpace, op: RangeOp): RangeAnswer {
  const { limit = RANGE_LIMIT_MAX, keysOnly } = op;
  // No more than could fit are looked at.
  const countMax = Math.min(limit, room.records, Math.floor(room.bytes / RECORD_BYTES));
  const answer = readRange(keys, boundsOf(op.range), { ...op, limit: countMax });
  let count = 0;
  for (const { key, value } of answer.records) {
    const bytes = RECORD_BYTES + key.length + (keysOnly === true ? 0 : value.length);
    if (bytes > room.bytes) break;
    room.bytes -= bytes;
    count += 1;
  }
  room.records -= count;
  if (count === answer.records.length) return answer;
  return { type: "range", records: answer.records.slice(0, count), count, more: true };
}

function withoutValue(record: KeyValue): KeyValue {
  return { ...record, value: NO_BYTES };
}

function holds(keys: KeySpace, compare: Compare): boolean {
  const record = keys.get(compare.key);
  if (compare.target !== "value") {
    const actual = record === undefined ? 0 : record[compare.target];
    return isOrdered(actual - compare.operand, compare.operator);
  }
  return record !== undefined && isOrdered(compareBytes(record.value, compare.operand), compare.operator);
}

function isOrdered(difference: number, operator: CompareOperator): boolean {
  switch (operator) {
    case "=":
      return difference === 0;
    case "!=":
      return difference !== 0;
    case "<":
      return difference < 0;
    case ">":
      break;
  }
  return difference > 0;
}

/** Below 0 when `a` comes first: byte by byte, and what ends first comes first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
