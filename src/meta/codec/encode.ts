/**
 * A command as bytes: a version, a kind, the stamp if there is one, then the fields in a fixed order, with
 * no names and no padding. One command has one encoding. `decode.ts` reads what this writes.
 * It expects a valid command and does not look twice: `validateCommand` comes first.
 */
import type { Command, Compare, Op, RangeOp } from "../command.ts";
import { RANGE_LIMIT_MAX } from "../command.ts";
import type { KeyRange } from "../key-range.ts";
import {
  COMMAND_VERSION, COUNT_ONLY, KEYS_ONLY, KIND, OP, OPERATORS, RANGE, STAMPED, TARGETS,
} from "./kinds.ts";
import { NO_BYTES } from "./reader.ts";
import { Writer } from "./writer.ts";

/** It belongs to the thread; encoding is synchronous, so it is never needed twice at a time. */
const scratch = new Writer(1_024);

/** The data of the entry that proposes the command; empty for a noop. */
export function encodeCommand(command: Command): Uint8Array {
  if (command.type === "noop") return NO_BYTES;
  scratch.clear();
  scratch.byte(COMMAND_VERSION);
  const stamp = "stamp" in command ? command.stamp : undefined;
  scratch.byte(KIND[command.type] | (stamp === undefined ? 0 : STAMPED));
  if (stamp !== undefined) {
    scratch.varint(stamp.session);
    scratch.varint(stamp.sequence);
    scratch.varint(stamp.firstWanted);
  }
  writeBody(scratch, command);
  return scratch.take();
}

function writeBody(to: Writer, command: Exclude<Command, { type: "noop" }>): void {
  switch (command.type) {
    case "put":
      to.text(command.key);
      to.bytes(command.value);
      to.varint(command.lease ?? 0);
      return writeCondition(to, command.ifRevision);
    case "delete":
      to.text(command.key);
      return writeCondition(to, command.ifRevision);
    case "deleteRange":
      return writeRange(to, command.range);
    case "transaction":
      to.varint(command.compares.length);
      for (const compare of command.compares) writeCompare(to, compare);
      writeOps(to, command.thenOps);
      return writeOps(to, command.elseOps);
    case "grantLease":
      to.varint(command.lease ?? 0);
      return to.varint(command.ttlMs);
    case "renewLease":
    case "revokeLease":
      return to.varint(command.lease);
    case "expireLease":
      to.varint(command.lease);
      to.varint(command.term);
      return to.varint(command.renewal);
    case "openSession":
      return undefined;
    case "closeSession":
      return to.varint(command.session);
    case "compact":
      return to.varint(command.revision);
  }
}

/** One more than the revision, so that 0 can say that there is no condition. */
function writeCondition(to: Writer, ifRevision: number | undefined): void {
  to.varint(ifRevision === undefined ? 0 : ifRevision + 1);
}

function writeRange(to: Writer, range: KeyRange): void {
  if (range.prefix !== undefined) {
    to.byte(RANGE.prefix);
    to.text(range.prefix);
    return;
  }
  to.byte(range.to === undefined ? RANGE.from : RANGE.fromTo);
  to.text(range.from);
  if (range.to !== undefined) to.text(range.to);
}

function writeCompare(to: Writer, compare: Compare): void {
  to.byte(TARGETS.indexOf(compare.target));
  to.byte(OPERATORS.indexOf(compare.operator));
  to.text(compare.key);
  if (compare.target === "value") to.bytes(compare.operand);
  else to.varint(compare.operand);
}

function writeOps(to: Writer, ops: readonly Op[]): void {
  to.varint(ops.length);
  for (const op of ops) {
    to.byte(OP[op.type]);
    if (op.type === "deleteRange") writeRange(to, op.range);
    else if (op.type === "range") writeRangeOp(to, op);
    else {
      to.text(op.key);
      if (op.type !== "put") continue;
      to.bytes(op.value);
      to.varint(op.lease ?? 0);
    }
  }
}

function writeRangeOp(to: Writer, op: RangeOp): void {
  writeRange(to, op.range);
  to.varint(op.limit ?? RANGE_LIMIT_MAX);
  to.byte((op.keysOnly === true ? KEYS_ONLY : 0) | (op.countOnly === true ? COUNT_ONLY : 0));
}
