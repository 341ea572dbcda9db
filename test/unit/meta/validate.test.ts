import { describe, expect, test } from "vitest";

import {
  type Command, commandLimits, encodeCommand, LEASE_TTL_MS_MAX, type Op, RANGE_LIMIT_MAX, SEQUENCE_MAX,
  validateCommand,
} from "../../../src/meta/index.ts";
import { bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

async function messageOf(command: unknown): Promise<string> {
  return (await rejection(() => validateCommand(command as Command), "INVALID_ARGUMENT")).message;
}

function transaction(...thenOps: readonly Op[]): Command {
  return { type: "transaction", compares: [], thenOps, elseOps: [] };
}

function putOp(key: string, value = bytes("")): Op {
  return { type: "put", key, value };
}

describe("a valid command", () => {
  test.each<[string, Command]>([
    ["noop", { type: "noop" }],
    [
      "put",
      {
        ...put("k", "v", { lease: 1, ifRevision: 0 }),
        stamp: { session: 1, sequence: SEQUENCE_MAX, firstWanted: 1 },
      } as Command,
    ],
    [
      "put with explicit undefined",
      { type: "put", key: "k", value: bytes(""), lease: undefined, stamp: undefined },
    ],
    ["delete", { type: "delete", key: "k" }],
    ["deleteRange", { type: "deleteRange", range: { from: "a", to: undefined } }],
    ["transaction", {
      type: "transaction",
      compares: [{ target: "value", key: "k", operator: "=", operand: bytes("v") }],
      thenOps: [putOp("a"), { type: "delete", key: "b" }, { type: "deleteRange", range: { prefix: "c" } }],
      elseOps: [
        { type: "get", key: "a" }, putOp("a"), { type: "get", key: "a" },
        { type: "range", range: { prefix: "" }, limit: RANGE_LIMIT_MAX },
      ],
    }],
    ["grantLease", { type: "grantLease", ttlMs: LEASE_TTL_MS_MAX }],
    ["renewLease", { type: "renewLease", lease: 1 }],
    ["revokeLease", { type: "revokeLease", lease: 1 }],
    ["expireLease", { type: "expireLease", lease: 1, term: 1, renewal: 1 }],
    ["openSession", { type: "openSession" }],
    ["closeSession", { type: "closeSession", session: 1 }],
    ["compact", { type: "compact", revision: 1 }],
  ])("comes back encoded: %s", (_, command) => {
    expect(validateCommand(command)).toEqual(encodeCommand(command));
  });
});

const NO_COMMANDS: readonly [string, unknown, RegExp][] = [
  ["that is nothing", undefined, /^command: must be an object, got undefined$/],
  ["that is null", null, /must be an object, got null/],
  ["of no type", {}, /type must be one of noop, put, .*, got undefined/],
  ["of an unknown type", { type: "toString" }, /type must be one of .*, got "toString"/],
  [
    "with a field that is none",
    { ...put("k"), ifRevison: 1 },
    /unknown field "ifRevison" \(known: stamp, key,/,
  ],
  ["with a stamp on opening a session", { type: "openSession", stamp: {} }, /unknown field "stamp"/],
  [
    "with a number as its key",
    { ...put("k"), key: 7 },
    /put: a key must be well-formed text, not empty, got 7/,
  ],
  ["with an empty key", put(""), /a key must be well-formed text, not empty, got ""/],
  ["with half a pair in its key", put("a\ud83d"), /a key must be well-formed text/],
  [
    "with a text as its value",
    { type: "put", key: "k", value: "v" },
    /value must be a Uint8Array, got "v"/,
  ],
  ["with lease 0", put("k", "", { lease: 0 }), /lease must be a whole number of at least 1, got 0/],
  [
    "with half a revision",
    put("k", "", { ifRevision: 0.5 }),
    /ifRevision must be a whole number from 0 .* got 0.5/,
  ],
  [
    "with revision 2^53 - 1",
    { type: "delete", key: "k", ifRevision: 2 ** 53 - 1 },
    /ifRevision must be a whole/,
  ],
  [
    "with ttlMs 0",
    { type: "grantLease", ttlMs: 0 },
    /ttlMs must be a whole number from 1 to 31536000000, got 0/,
  ],
  ["with ttlMs of more than a year", { type: "grantLease", ttlMs: LEASE_TTL_MS_MAX + 1 }, /ttlMs must be/],
  [
    "without a lease",
    { type: "renewLease" },
    /renewLease: lease must be a whole number of at least 1, got undefined/,
  ],
  ["without a term", { type: "expireLease", lease: 1, renewal: 1 }, /term must be/],
  ["without a renewal", { type: "expireLease", lease: 1, term: 1 }, /renewal must be/],
  ["without a session", { type: "closeSession" }, /session must be/],
  [
    "with revision 0",
    { type: "compact", revision: 0 },
    /revision must be a whole number of at least 1, got 0/,
  ],
  ["without a range", { type: "deleteRange" }, /deleteRange: a range is/],
  [
    "with a range of nothing",
    { type: "deleteRange", range: { from: "b", to: "b" } },
    /from must come before to/,
  ],
  [
    "with a field that is none in its range",
    { type: "deleteRange", range: { from: "a", t0: "b" } },
    /deleteRange: a range: unknown field "t0" \(known: prefix, from, to\)/,
  ],
  [
    "with a field that is none in its stamp",
    { ...put("k"), stamp: { session: 1, sequence: 1, firstWanted: 1, frstWanted: 1 } },
    /put: stamp: unknown field "frstWanted"/,
  ],
  ["with a stamp that is none", { ...put("k"), stamp: 1 }, /put: stamp: must be an object, got 1/],
  [
    "with sequence 0",
    { ...put("k"), stamp: { session: 1, sequence: 0, firstWanted: 1 } },
    /stamp.sequence must be/,
  ],
  [
    "with the greatest number as its sequence",
    { ...put("k"), stamp: { session: 1, sequence: SEQUENCE_MAX + 1, firstWanted: 1 } },
    /stamp.sequence must be/,
  ],
  [
    "that wants a later answer",
    { ...put("k"), stamp: { session: 1, sequence: 2, firstWanted: 3 } },
    /stamp.firstWanted must be a whole number from 1 to 2, got 3/,
  ],
];

describe("a command is refused", () => {
  test.each(NO_COMMANDS)("%s", async (_, command, message) => {
    expect(await messageOf(command)).toMatch(message);
  });
});

const comparing = (more: object): unknown => ({
  type: "transaction",
  compares: [{ target: "version", key: "k", operator: "=", operand: 1, ...more }],
  thenOps: [],
  elseOps: [],
});

const NO_TRANSACTIONS: readonly [string, unknown, RegExp][] = [
  [
    "without a list",
    { type: "transaction", compares: [], thenOps: [] },
    /elseOps must be an array, got undefined/,
  ],
  [
    "with an unknown target",
    comparing({ target: "age" }),
    /transaction: compares\[0\]: target must be one of value, rev/,
  ],
  ["with an unknown operator", comparing({ operator: "==" }), /operator must be one of = != < >, got "=="/],
  [
    "with bytes for a number",
    comparing({ operand: bytes("1") }),
    /operand must be a whole number of at least 0/,
  ],
  ["with a number for bytes", comparing({ target: "value" }), /operand must be a Uint8Array, got 1/],
  ["with a field that is none", comparing({ lease: 1 }), /compares\[0\]: unknown field "lease"/],
  ["with an empty key to compare", comparing({ key: "" }), /a key must be well-formed/],
  [
    "with a comparison that is none",
    { ...transaction(), compares: [7] },
    /compares\[0\]: must be an object, got 7/,
  ],
  ["with an op that is none", transaction("put" as never), /thenOps\[0\]: must be an object, got "put"/],
  [
    "with an unknown op",
    transaction({ type: "compact" } as never),
    /type must be one of put, delete, .* got "compact"/,
  ],
  [
    "with a condition in an op",
    transaction({ ...putOp("k"), ifRevision: 1 } as never),
    /unknown field "ifRevision"/,
  ],
  [
    "with limit 0",
    transaction({ type: "range", range: { prefix: "" }, limit: 0 }),
    /limit must be a whole number from 1/,
  ],
  [
    "with a limit beyond the bound",
    transaction({ type: "range", range: { prefix: "" }, limit: RANGE_LIMIT_MAX + 1 }),
    /limit/,
  ],
  [
    "with an option that is no flag",
    transaction({ type: "range", range: { prefix: "" }, keysOnly: 1 } as never),
    /keysOnly must be true or false, got 1/,
  ],
  ["with a range op without a range", transaction({ type: "range" } as never), /a range is \{ prefix \}/],
  [
    "that puts one key twice",
    transaction(putOp("k"), putOp("k")),
    /thenOps\[1\]: changes a key that an op before/,
  ],
  [
    "that puts and deletes one key",
    transaction(putOp("k"), { type: "delete", key: "k" }),
    /thenOps\[1\]: changes/,
  ],
  [
    "that puts what it deletes by range",
    transaction({ type: "deleteRange", range: { prefix: "k" } }, putOp("k2")),
    /thenOps\[1\]/,
  ],
  [
    "that deletes by two ranges that meet",
    transaction(
      { type: "deleteRange", range: { prefix: "k" } },
      { type: "deleteRange", range: { from: "a", to: "kk" } },
    ),
    /thenOps\[1\]/,
  ],
];

describe("a transaction is refused", () => {
  test.each(NO_TRANSACTIONS)("%s", async (_, command, message) => {
    expect(await messageOf(command)).toMatch(message);
  });

  test("not for keys that are neighbours, nor for one key in both branches", () => {
    const neighbours = transaction(
      putOp("k"), putOp("k\0"), { type: "deleteRange", range: { from: "l", to: "m" } }, putOp("m"),
    );
    const both = { ...transaction(putOp("k")), elseOps: [putOp("k")] } as Command;

    expect([neighbours, both].map((command) => validateCommand(command).length > 0)).toEqual([true, true]);
  });
});

const limits = commandLimits({ keyBytesMax: 4, valueBytesMax: 8, opsMax: 2, commandBytesMax: 40 });
const compare = { target: "version", key: "k", operator: "=", operand: 1 } as const;
const gets = (count: number): Op[] => Array.from({ length: count }, () => ({ type: "get", key: "k" }));

/** What is allowed, what is one more, and the numbers of the error. */
const AT_LIMITS: readonly [string, Command, Command, object][] = [
  ["key bytes", put("aéa"), put("aéaa"), { bytes: 5, keyBytesMax: 4 }],
  [
    "bounds' bytes",
    { type: "deleteRange", range: { prefix: "😀" } },
    { type: "deleteRange", range: { prefix: "😀a" } },
    { bytes: 5, keyBytesMax: 4 },
  ],
  ["value bytes", put("k", "12345678"), put("k", "123456789"), { bytes: 9, valueBytesMax: 8 }],
  [
    "comparisons",
    { ...transaction(), compares: [compare, compare] } as Command,
    { ...transaction(), compares: [compare, compare, compare] } as Command,
    { count: 3, opsMax: 2 },
  ],
  ["ops", transaction(...gets(2)), transaction(...gets(3)), { count: 3, opsMax: 2 }],
  [
    "ops of the other branch",
    { ...transaction(), elseOps: gets(2) } as Command,
    { ...transaction(), elseOps: gets(3) } as Command,
    { count: 3, opsMax: 2 },
  ],
  [
    "bytes of the command",
    {
      ...transaction(putOp("k", bytes("12345678")), putOp("l", bytes("12345678"))),
      elseOps: [putOp("k", bytes("1234"))],
    } as Command,
    {
      ...transaction(putOp("k", bytes("12345678")), putOp("l", bytes("12345678"))),
      elseOps: [putOp("k", bytes("12345"))],
    } as Command,
    { bytes: 41, commandBytesMax: 40 },
  ],
];

describe("a limit lets through what has its size, and refuses one more:", () => {
  test.each(AT_LIMITS)("%s", async (_, allowed, refused, details) => {
    const error = await rejection(() => validateCommand(refused, limits), "INVALID_ARGUMENT");

    expect(error.details).toEqual(details);
    expect(validateCommand(allowed, limits).length).toBeLessThanOrEqual(40);
  });

  test("as they are by default", async () => {
    const [key, value] = ["k".repeat(1_024), new Uint8Array(1_048_576)];
    const half = { type: "put" as const, value: value.subarray(0, 786_000) };

    validateCommand({ type: "put", key, value });
    await rejection(() => validateCommand(put(`${key}k`)), "INVALID_ARGUMENT");
    await rejection(
      () => validateCommand({ type: "put", key, value: new Uint8Array(1_048_577) }),
      "INVALID_ARGUMENT",
    );
    await rejection(
      () => validateCommand(transaction({ ...half, key: "a" }, { ...half, key }, { ...half, key: "b" })),
      "INVALID_ARGUMENT",
    );
    const error = await rejection(() => validateCommand(transaction(...gets(129))), "INVALID_ARGUMENT");

    expect(error.details).toEqual({ count: 129, opsMax: 128 });
    expect(validateCommand(transaction(...gets(128))).length).toBeGreaterThan(0);
  });

  test("of the whole command is looked at before anything is encoded", async () => {
    const value = new Uint8Array(2 ** 20);
    const ops = Array.from({ length: 128 }, (_, at) => putOp(`k${at}`, value));
    const compares = ops.map(() => ({ target: "value", key: "k", operator: "=", operand: value }) as const);

    const errors = [transaction(...ops), { ...transaction(), compares } as Command].map((command) => {
      return rejection(() => validateCommand(command), "INVALID_ARGUMENT");
    });

    for (const error of await Promise.all(errors)) {
      expect(error.message).toMatch(/it takes at least \d+ bytes, 1572864 are allowed/);
      expect(error.details["bytes"]).toBeGreaterThan(128 * 2 ** 20);
    }
  });

  test("is itself a whole number from 1", async () => {
    const error = await rejection(() => commandLimits({ opsMax: 0 }), "INVALID_OPTION");

    expect(error.message).toBe(
      "command limits: option opsMax must be an integer from 1 to 4096, got 0",
    );
  });
});
