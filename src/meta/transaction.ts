/**
 * Transactions: comparisons, and the ops of one branch or the other. Everything that could refuse one is
 * looked at before the first op runs, so there is nothing to take back. The ops run in order and see one
 * another's changes, which share one revision.
 */
import type { Compare, CompareOperator, Op, RangeOptions, TransactionCommand } from "./command.ts";
import { NO_BYTES } from "./codec/reader.ts";
import { type Bounds, boundsOf } from "./key-range.ts";
import { type OpAnswer, type Outcome, type RangeAnswer, refusalOf, refused } from "./outcome.ts";
import type { Edit } from "./state/edit.ts";
import type { KeySpace } from "./state/key-space.ts";
import type { State } from "./state/state.ts";

export function runTransaction(state: State, edit: Edit, command: TransactionCommand): Outcome {
  const succeeded = command.compares.every((compare) => holds(state.keys, compare));
  const ops = succeeded ? command.thenOps : command.elseOps;
  for (const op of ops) {
    if (op.type !== "put" || op.lease === undefined || state.leases.has(op.lease)) continue;
    return refused(state.revision, refusalOf("LEASE_UNKNOWN", 0, op.lease));
  }
  const answers = ops.map((op) => runOp(state, edit, op));
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
  if (options.keysOnly === true) records = records.map((record) => ({ ...record, value: NO_BYTES }));
  return { type: "range", records, count: records.length, more };
}

function runOp(state: State, edit: Edit, op: Op): OpAnswer {
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
  return readRange(state.keys, boundsOf(op.range), op);
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
