/**
 * What a command must be before it is proposed. Everything that a caller can get wrong is refused here, with
 * a sentence that says what; the state machine then need not trust that it was, for it takes what it finds
 * in committed entries as it is. Limits of size belong to whoever proposes: peers may differ in them.
 */
import { CoterieError, quote } from "../errors.ts";
import { encodeCommand } from "./codec/encode.ts";
import { OPERATORS, TARGETS } from "./codec/kinds.ts";
import { utf8Length } from "./codec/utf8.ts";
import { type Command, RANGE_LIMIT_MAX, SEQUENCE_MAX } from "./command.ts";
import { boundsOf, type KeyRange, requireRange } from "./key-range.ts";
import { COMMAND_LIMITS, type CommandLimits } from "./options.ts";

/** The longest a lease may live without being renewed: a year. */
export const LEASE_TTL_MS_MAX = 31_536_000_000;

type Fields = Readonly<Record<string, unknown>>;

/** The fields of each command besides its type. */
const FIELDS: Readonly<Record<Command["type"], readonly string[]>> = {
  noop: [],
  put: ["stamp", "key", "value", "lease", "ifRevision"],
  delete: ["stamp", "key", "ifRevision"],
  deleteRange: ["stamp", "range"],
  transaction: ["stamp", "compares", "thenOps", "elseOps"],
  grantLease: ["stamp", "lease", "ttlMs"],
  renewLease: ["stamp", "lease"],
  revokeLease: ["stamp", "lease"],
  expireLease: ["stamp", "lease", "term", "renewal"],
  openSession: [],
  closeSession: ["session"],
  compact: ["stamp", "revision"],
};

/** The fields of each op besides its type. */
const OP_FIELDS: Readonly<Record<string, readonly string[]>> = {
  put: ["key", "value", "lease"],
  delete: ["key"],
  deleteRange: ["range"],
  get: ["key"],
  range: ["range", "limit", "keysOnly", "countOnly"],
};

const STAMP_FIELDS: readonly string[] = ["session", "sequence", "firstWanted"];
const COMPARE_FIELDS: readonly string[] = ["target", "key", "operator", "operand"];

/**
 * The command's encoding, ready to be proposed. Throws INVALID_ARGUMENT for anything that is not a command
 * within the limits.
 */
export function validateCommand(command: Command, limits: CommandLimits = COMMAND_LIMITS): Uint8Array {
  const fields = requireFields("command", command, FIELDS);
  const where = command.type;
  if (fields["stamp"] !== undefined) requireStamp(where, fields["stamp"]);
  switch (command.type) {
    case "noop":
    case "openSession":
      break;
    case "put":
      requireValue(where, "value", fields["value"], limits);
      requireKey(where, fields["key"], limits);
      requireNumber(where, "lease", fields["lease"], 1, true);
      requireRevision(where, fields["ifRevision"]);
      break;
    case "delete":
      requireKey(where, fields["key"], limits);
      requireRevision(where, fields["ifRevision"]);
      break;
    case "deleteRange":
      requireBounds(where, fields["range"], limits);
      break;
    case "transaction":
      requireTransaction(fields, limits);
      break;
    case "grantLease":
      requireNumber(where, "lease", fields["lease"], 1, true);
      requireNumber(where, "ttlMs", fields["ttlMs"], 1, false, LEASE_TTL_MS_MAX);
      break;
    case "renewLease":
    case "revokeLease":
    case "expireLease":
    case "closeSession":
    case "compact":
      for (const name of FIELDS[command.type]) {
        if (name !== "stamp") requireNumber(where, name, fields[name], 1);
      }
  }
  return encodeWithin(command, limits);
}

function encodeWithin(command: Command, { commandBytesMax }: CommandLimits): Uint8Array {
  const least = leastBytesOf(command);
  if (least > commandBytesMax) {
    const sizes = `it takes at least ${least} bytes, ${commandBytesMax} are allowed`;
    throw invalid(command.type, sizes, { bytes: least, commandBytesMax });
  }
  const encoded = encodeCommand(command);
  if (encoded.length <= commandBytesMax) return encoded;
  const sizes = `it takes ${encoded.length} bytes, ${commandBytesMax} are allowed`;
  throw invalid(command.type, sizes, { bytes: encoded.length, commandBytesMax });
}

/** What its keys and values take at the least: what is far too large is refused before it is copied. */
function leastBytesOf(command: Command): number {
  if (command.type === "put") return command.key.length + command.value.length;
  if (command.type !== "transaction") return 0;
  let bytes = 0;
  for (const { key, operand } of command.compares) {
    bytes += key.length + (typeof operand === "number" ? 0 : operand.length);
  }
  for (const op of [...command.thenOps, ...command.elseOps]) {
    if ("key" in op) bytes += op.key.length;
    if (op.type === "put") bytes += op.value.length;
  }
  return bytes;
}

type FieldTable = Readonly<Record<string, readonly string[]>>;

function requireFields(where: string, given: unknown, known: FieldTable): Fields {
  const fields = requireObject(where, given);
  const { type } = fields;
  if (typeof type !== "string" || !Object.hasOwn(known, type)) {
    const types = Object.keys(known).join(", ");
    throw invalid(where, `type must be one of ${types}, got ${quote(type)}`);
  }
  requireKnown(where, fields, known[type] as readonly string[]);
  return fields;
}

function requireKnown(where: string, fields: Fields, names: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (name === "type" || names.includes(name)) continue;
    throw invalid(where, `unknown field ${quote(name)} (known: ${names.join(", ")})`);
  }
}

function requireObject(where: string, given: unknown): Fields {
  if (typeof given === "object" && given !== null) return given as Fields;
  throw invalid(where, `must be an object, got ${quote(given)}`);
}

function requireStamp(where: string, stamp: unknown): void {
  const fields = requireObject(`${where}: stamp`, stamp);
  requireKnown(`${where}: stamp`, fields, STAMP_FIELDS);
  const { session, sequence, firstWanted } = fields;
  requireNumber(where, "stamp.session", session, 1);
  requireNumber(where, "stamp.sequence", sequence, 1, false, SEQUENCE_MAX);
  requireNumber(where, "stamp.firstWanted", firstWanted, 1, false, sequence as number);
}

function requireKey(where: string, key: unknown, { keyBytesMax }: CommandLimits): void {
  const bytes = typeof key === "string" ? utf8Length(key) : -1;
  if (bytes < 1) throw invalid(where, `a key must be well-formed text, not empty, got ${quote(key)}`);
  if (bytes <= keyBytesMax) return;
  throw invalid(where, `a key takes ${bytes} bytes, ${keyBytesMax} are allowed`, { bytes, keyBytesMax });
}

function requireValue(where: string, name: string, value: unknown, { valueBytesMax }: CommandLimits): void {
  if (!(value instanceof Uint8Array)) {
    throw invalid(where, `${name} must be a Uint8Array, got ${quote(value)}`);
  }
  const { length } = value;
  if (length <= valueBytesMax) return;
  const sizes = `${name} has ${length} bytes, ${valueBytesMax} are allowed`;
  throw invalid(where, sizes, { bytes: length, valueBytesMax });
}

function requireNumber(
  where: string,
  name: string,
  value: unknown,
  min: number,
  isOptional = false,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (value === undefined && isOptional) return;
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw invalid(where, `${name} must be a whole number ${bounds}, got ${quote(value)}`);
}

/** One below the greatest number: a condition is encoded as one more than its revision. */
function requireRevision(where: string, ifRevision: unknown): void {
  requireNumber(where, "ifRevision", ifRevision, 0, true, Number.MAX_SAFE_INTEGER - 1);
}

/** Bounds are as long as keys at most, and a range that can hold no key is a mistake. */
function requireBounds(where: string, range: unknown, { keyBytesMax }: CommandLimits): void {
  requireRange(where, range);
  for (const bound of [range.prefix, range.from, range.to]) {
    const bytes = bound === undefined ? 0 : utf8Length(bound);
    if (bytes <= keyBytesMax) continue;
    const sizes = `a bound takes ${bytes} bytes, ${keyBytesMax} are allowed`;
    throw invalid(where, sizes, { bytes, keyBytesMax });
  }
  if (range.from === undefined || range.to === undefined || range.from < range.to) return;
  throw invalid(where, `from must come before to, got ${quote(range.from)} and ${quote(range.to)}`);
}

function requireTransaction(fields: Fields, limits: CommandLimits): void {
  for (const name of ["compares", "thenOps", "elseOps"]) {
    const list = fields[name];
    if (!Array.isArray(list)) throw invalid("transaction", `${name} must be an array, got ${quote(list)}`);
    if (list.length > limits.opsMax) {
      const sizes = `${name} has ${list.length} items, ${limits.opsMax} are allowed`;
      throw invalid("transaction", sizes, { count: list.length, opsMax: limits.opsMax });
    }
    const changed: KeyRange[] = [];
    for (const [at, item] of (list as readonly unknown[]).entries()) {
      const where = `transaction: ${name}[${at}]`;
      if (name === "compares") requireCompare(where, item, limits);
      else requireOp(where, item, limits, changed);
    }
  }
}

function requireCompare(where: string, given: unknown, limits: CommandLimits): void {
  const fields = requireObject(where, given);
  requireKnown(where, fields, COMPARE_FIELDS);
  const { target, key, operator, operand } = fields;
  if (!TARGETS.includes(target as never)) {
    throw invalid(where, `target must be one of ${TARGETS.join(", ")}, got ${quote(target)}`);
  }
  if (!OPERATORS.includes(operator as never)) {
    throw invalid(where, `operator must be one of ${OPERATORS.join(" ")}, got ${quote(operator)}`);
  }
  requireKey(where, key, limits);
  if (target === "value") requireValue(where, "operand", operand, limits);
  else requireNumber(where, "operand", operand, 0);
}

/** `changed` is what the ops before it put or delete: no key may be changed twice in a branch. */
function requireOp(where: string, given: unknown, limits: CommandLimits, changed: KeyRange[]): void {
  const op = requireFields(where, given, OP_FIELDS);
  const { type, key, range } = op;
  const isOfRange = type === "range" || type === "deleteRange";
  if (isOfRange) requireBounds(where, range, limits);
  else requireKey(where, key, limits);
  if (type === "put") {
    requireValue(where, "value", op["value"], limits);
    requireNumber(where, "lease", op["lease"], 1, true);
  } else if (type === "range") {
    requireNumber(where, "limit", op["limit"], 1, true, RANGE_LIMIT_MAX);
    requireFlag(where, "keysOnly", op["keysOnly"]);
    requireFlag(where, "countOnly", op["countOnly"]);
  }
  if (type === "get" || type === "range") return;
  const target = isOfRange ? (range as KeyRange) : { from: key as string, to: `${key as string}\u0000` };
  if (changed.some((other) => overlaps(other, target))) {
    throw invalid(where, "changes a key that an op before it changes");
  }
  changed.push(target);
}

function requireFlag(where: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw invalid(where, `${name} must be true or false, got ${quote(value)}`);
}

function overlaps(one: KeyRange, other: KeyRange): boolean {
  const [a, b] = [boundsOf(one), boundsOf(other)];
  return (b.to === undefined || a.from < b.to) && (a.to === undefined || b.from < a.to);
}

function invalid(where: string, what: string, details: Fields = {}): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `${where}: ${what}`, { details });
}
