/**
 * A command from the bytes of a committed entry. Whatever the bytes are, the result depends on them alone:
 * a command, or the place where they stop being one. What a command means to the state is not looked at
 * here, except where no state could give it a meaning (a lease number 0, a sequence below its own floor).
 * Values are views on the given bytes.
 */
import { CoterieError } from "../../errors.ts";
import {
  type Command, type Compare, type Op, OPS_MAX, RANGE_LIMIT_MAX, type RangeOp, SEQUENCE_MAX, type Stamp,
} from "../command.ts";
import type { KeyRange } from "../key-range.ts";
import {
  COMMAND_VERSION, COUNT_ONLY, KEYS_ONLY, KIND, OP, OPERATORS, RANGE, STAMPED, TARGETS,
} from "./kinds.ts";
import { Reader } from "./reader.ts";

const NOOP: Command = Object.freeze({ type: "noop" });

/** It belongs to the thread; decoding is synchronous, so it is never needed twice at a time. */
const scratch = new Reader();

/** The command in the bytes; throws INVALID_ARGUMENT if there is none, and nothing else. */
export function decodeCommand(bytes: Uint8Array): Command {
  const command = readCommand(scratch, bytes);
  if (command !== undefined) return command;
  const details = { at: scratch.badAt, bytes: bytes.length };
  const message = `not a command: wrong at byte ${details.at} of ${details.bytes}`;
  throw new CoterieError("INVALID_ARGUMENT", message, { details });
}

/** The command, or undefined, and then the reader says where the bytes are wrong. Never throws. */
export function readCommand(from: Reader, bytes: Uint8Array): Command | undefined {
  from.reset(bytes);
  if (bytes.length === 0) return NOOP;
  if (from.byte() !== COMMAND_VERSION) from.fail();
  const kind = from.byte();
  const stamp = (kind & STAMPED) === 0 ? undefined : readStamp(from);
  const command = readBody(from, kind & ~STAMPED, stamp);
  if (!from.isAtEnd) from.fail();
  return from.isBad ? undefined : command;
}

function readStamp(from: Reader): Stamp {
  const session = id(from);
  const sequence = id(from);
  const firstWanted = id(from);
  // A floor may be raised above any sequence, and must then still be a number.
  if (firstWanted > sequence || sequence > SEQUENCE_MAX) from.fail();
  return { session, sequence, firstWanted };
}

function readBody(from: Reader, kind: number, stamp: Stamp | undefined): Command | undefined {
  switch (kind) {
    case KIND.put: {
      const key = readKey(from);
      const value = from.bytes();
      const lease = optionalId(from);
      return { type: "put", stamp, key, value, lease, ifRevision: readCondition(from) };
    }
    case KIND.delete: {
      const key = readKey(from);
      return { type: "delete", stamp, key, ifRevision: readCondition(from) };
    }
    case KIND.deleteRange:
      return { type: "deleteRange", stamp, range: readRange(from) };
    case KIND.transaction: {
      const compares = readList(from, readCompare);
      const thenOps = readList(from, readOp);
      return { type: "transaction", stamp, compares, thenOps, elseOps: readList(from, readOp) };
    }
    case KIND.compact:
      return { type: "compact", stamp, revision: id(from) };
    case KIND.openSession:
      if (stamp !== undefined) from.fail();
      return { type: "openSession" };
    case KIND.closeSession:
      if (stamp !== undefined) from.fail();
      return { type: "closeSession", session: id(from) };
    default:
      return readLeaseCommand(from, kind, stamp);
  }
}

function readLeaseCommand(from: Reader, kind: number, stamp: Stamp | undefined): Command | undefined {
  switch (kind) {
    case KIND.grantLease: {
      const lease = optionalId(from);
      return { type: "grantLease", stamp, lease, ttlMs: id(from) };
    }
    case KIND.renewLease:
      return { type: "renewLease", stamp, lease: id(from) };
    case KIND.revokeLease:
      return { type: "revokeLease", stamp, lease: id(from) };
    case KIND.expireLease: {
      const lease = id(from);
      const term = id(from);
      return { type: "expireLease", stamp, lease, term, renewal: id(from) };
    }
    default:
      from.fail();
      return undefined;
  }
}

/** A whole number from 1. */
function id(from: Reader): number {
  const value = from.varint();
  if (value === 0) from.fail();
  return value;
}

function optionalId(from: Reader): number | undefined {
  const value = from.varint();
  return value === 0 ? undefined : value;
}

function readKey(from: Reader): string {
  const key = from.text();
  if (key === "") from.fail();
  return key;
}

function readCondition(from: Reader): number | undefined {
  const value = from.varint();
  return value === 0 ? undefined : value - 1;
}

function readRange(from: Reader): KeyRange {
  switch (from.byte()) {
    case RANGE.prefix:
      return { prefix: from.text() };
    case RANGE.from:
      return { from: from.text(), to: undefined };
    case RANGE.fromTo: {
      const first = from.text();
      return { from: first, to: from.text() };
    }
    default:
      from.fail();
      return { prefix: "" };
  }
}

/**
 * Ends with the bytes, however many items they claim to hold: each takes at least one. And more than are
 * allowed are none, for an entry of two bytes an op would cost a thousand times as much to apply.
 */
function readList<T>(from: Reader, readItem: (from: Reader) => T | undefined): T[] {
  const items: T[] = [];
  const count = from.varint();
  if (count > OPS_MAX) from.fail();
  for (let left = count; left > 0 && !from.isBad; left--) {
    const item = readItem(from);
    if (item !== undefined) items.push(item);
  }
  return items;
}

function readCompare(from: Reader): Compare | undefined {
  const target = TARGETS[from.byte()];
  const operator = OPERATORS[from.byte()];
  const key = readKey(from);
  if (target === undefined || operator === undefined) {
    from.fail();
    return undefined;
  }
  if (target === "value") return { target, key, operator, operand: from.bytes() };
  return { target, key, operator, operand: from.varint() };
}

function readOp(from: Reader): Op | undefined {
  switch (from.byte()) {
    case OP.put: {
      const key = readKey(from);
      const value = from.bytes();
      return { type: "put", key, value, lease: optionalId(from) };
    }
    case OP.delete:
      return { type: "delete", key: readKey(from) };
    case OP.deleteRange:
      return { type: "deleteRange", range: readRange(from) };
    case OP.get:
      return { type: "get", key: readKey(from) };
    case OP.range:
      return readRangeOp(from);
    default:
      from.fail();
      return undefined;
  }
}

function readRangeOp(from: Reader): RangeOp {
  const range = readRange(from);
  const limit = id(from);
  const bits = from.byte();
  if (limit > RANGE_LIMIT_MAX || bits > (KEYS_ONLY | COUNT_ONLY)) from.fail();
  const keysOnly = (bits & KEYS_ONLY) !== 0;
  return { type: "range", range, limit, keysOnly, countOnly: (bits & COUNT_ONLY) !== 0 };
}
