/**
 * Entries for the metadata store: commands in a row, each as the next entry of the log, and the arbitrary
 * commands of property tests. Keys, leases, sessions and sequences come from small sets, so that commands
 * meet each other.
 */
import * as fc from "fast-check";

import {
  type Command, type Compare, encodeCommand, type KeyRange, type MetaStore, type Op, type Outcome, type Stamp,
} from "../../src/meta/index.ts";

/** Applies the commands as entries of the term, and returns what came of each. */
export function applyAll(store: MetaStore, commands: readonly Command[], term = 1): Outcome[] {
  return commands.map((command) => applyData(store, encodeCommand(command), term));
}

/** Applies one command and returns what came of it. */
export function applyOne(store: MetaStore, command: Command, term = 1): Outcome {
  return applyData(store, encodeCommand(command), term);
}

/** Applies the bytes as the next entry. */
export function applyData(store: MetaStore, data: Uint8Array, term = 1): Outcome {
  return store.apply({ index: store.appliedIndex + 1, term, data });
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function put(key: string, value = "", more: { lease?: number; ifRevision?: number } = {}): Command {
  return { type: "put", key, value: bytes(value), ...more };
}

const KEYS = ["a", "a/b", "a/b/c", "b", "é", "\u{ffff}", "\u{e000}", "😀", "😀x", "\u{10ffff}"];

const key = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 3 }) },
);
const value = fc.uint8Array({ maxLength: 8 });
const number = fc.nat(6);
const id = fc.integer({ min: 1, max: 6 });
const optionalId = fc.option(id, { nil: undefined, freq: 3 });
const optionalRevision = fc.option(fc.nat(20), { nil: undefined, freq: 3 });

const range: fc.Arbitrary<KeyRange> = fc.oneof(
  fc.record({ prefix: fc.oneof(fc.constant(""), key) }),
  fc.record({ from: fc.oneof(fc.constant(""), key), to: fc.option(key, { nil: undefined }) }),
);

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ type: fc.constant("put" as const), key, value, lease: optionalId }),
  fc.record({ type: fc.constant("delete" as const), key }),
  fc.record({ type: fc.constant("deleteRange" as const), range }),
  fc.record({ type: fc.constant("get" as const), key }),
  fc.record({
    type: fc.constant("range" as const),
    range,
    limit: fc.integer({ min: 1, max: 4 }),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
  }),
);

const operator = fc.constantFrom("=" as const, "!=" as const, "<" as const, ">" as const);
const target = fc.constantFrom(
  "revision" as const,
  "createRevision" as const,
  "version" as const,
  "lease" as const,
);
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({ target: fc.constant("value" as const), key, operator, operand: value }),
  fc.record({ target, key, operator, operand: number }),
);

const stamp: fc.Arbitrary<Stamp> = fc
  .record(
    { session: fc.integer({ min: 1, max: 8 }), sequence: fc.integer({ min: 1, max: 12 }), lag: fc.nat(5) },
  )
  .map(({ session, sequence, lag }) => ({ session, sequence, firstWanted: Math.max(1, sequence - lag) }));

const unstamped: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant("put" as const), key, value, lease: optionalId }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("put" as const), key, value, ifRevision: optionalRevision }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("delete" as const), key, ifRevision: optionalRevision }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("deleteRange" as const), range }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("transaction" as const),
      compares: fc.array(compare, { maxLength: 2 }),
      thenOps: fc.array(op, { maxLength: 4 }),
      elseOps: fc.array(op, { maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("grantLease" as const),
      lease: optionalId,
      ttlMs: fc.integer({ min: 1, max: 1_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("renewLease" as const), lease: id }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("revokeLease" as const), lease: id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("expireLease" as const),
      lease: id,
      term: fc.integer({ min: 1, max: 2 }),
      renewal: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { type: fc.constant("compact" as const), revision: fc.integer({ min: 1, max: 12 }) },
    ),
  },
);

/**
 * The command with its numbers turned towards what is there: open sessions, leases in force and their last
 * renewals, the key's revision. Chance alone would meet them too rarely.
 */
export function aimAt(store: MetaStore, command: Command, term: number): Command {
  const aimed: Record<string, unknown> = { ...command };
  const leases = [...store.leases()].toSorted((a, b) => a.lease - b.lease);
  if (command.type !== "grantLease" && "lease" in command && command.lease !== undefined) {
    const held = leases[command.lease % Math.max(1, leases.length)];
    if (held !== undefined) aimed["lease"] = held.lease;
    if (held !== undefined && command.type === "expireLease") {
      if (command.renewal % 4 !== 0) aimed["renewal"] = held.renewal;
      if (command.renewal % 5 !== 0) aimed["term"] = term;
    }
  }
  if ("ifRevision" in command && command.ifRevision !== undefined && command.ifRevision % 2 === 0) {
    aimed["ifRevision"] = store.get(command.key)?.revision ?? 0;
  }
  if (command.type === "compact") aimed["revision"] = store.compactedRevision + (command.revision % 4) + 1;
  const open = Array.from(
    { length: store.appliedIndex + 1 },
    (_, at) => at,
  ).filter((at) => store.hasSession(at));
  if (command.type === "closeSession") aimed["session"] = open[command.session % 9] ?? command.session;
  else if ("stamp" in command && command.stamp !== undefined) {
    const { session, sequence, firstWanted } = command.stamp;
    const passed = Math.floor(store.appliedIndex / 5);
    aimed["stamp"] = {
      session: open[session % Math.max(1, open.length)] ?? session,
      sequence: passed + (sequence % 4) + 1,
      firstWanted: Math.max(1, passed + (sequence % 4) + 1 - 2 * (sequence - firstWanted)),
    };
  }
  return aimed as unknown as Command;
}

/** Any command that can be encoded, changes of one key by several ops of a transaction included. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: unstamped },
  {
    weight: 4,
    arbitrary: fc.tuple(unstamped, stamp).map(
      ([command, given]) => ({ ...command, stamp: given }) as Command,
    ),
  },
  { weight: 2, arbitrary: fc.constant<Command>({ type: "openSession" }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("closeSession" as const), session: id }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: "noop" }) },
);
