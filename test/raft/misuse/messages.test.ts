/**
 * Bad messages: of unknown type or version, from strangers, of the future, with numbers that are none, with
 * entries out of order. Each is refused with its reason and counted, and the peer is as it was.
 */
import { describe, expect, test } from "vitest";

import { configOf, Entry, type Message, REFUSALS, type Refusal } from "../../../src/raft/index.ts";
import {
  bytes,
  candidateOf,
  entriesOf,
  followerOf,
  message,
  type Peer,
  settledLeaderOf,
  snapshotOf,
} from "../peer.ts";

const ROLES: readonly (readonly [string, () => Peer])[] = [
  ["follower", () => followerOf(2, { terms: [1, 1], term: 3, commitIndex: 1 })],
  ["pre-candidate", () => candidateOf({ terms: [1, 1], term: 3, options: { preVote: true } })],
  ["candidate", () => candidateOf({ terms: [1, 1], term: 2 })],
  ["leader", () => settledLeaderOf({ terms: [1, 1], term: 2 })],
];

type Fields = Readonly<Record<string, unknown>>;

const NOT_COUNTS: readonly unknown[] = [
  -1,
  0.5,
  NaN,
  Infinity,
  2 ** 53,
  "7",
  null,
  undefined,
  7n,
  true,
  [],
  {},
  new Date(0),
];

/** What is no list of entries after (index 2, term 1). */
const BAD_ENTRIES: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["undefined", undefined],
  ["a string", "entries"],
  ["a look-alike", { length: 1, 0: new Entry(3, 1, "normal", bytes("x")) }],
  ["a null in it", [null]],
  ["a hole in it", Array<Entry>(1)],
  ["a number in it", [3]],
  ["a gap", entriesOf([1], 4)],
  ["a repetition", [...entriesOf([1], 3), ...entriesOf([1], 3)]],
  ["the wrong order", entriesOf([1, 1], 3).toReversed()],
  ["a term that falls", entriesOf([3, 2], 3)],
  ["a term below the one before", entriesOf([0], 3)],
  ["a term beyond the sender's", entriesOf([4], 3)],
  ["half a term", [new Entry(3, 1.5, "normal", bytes("x"))]],
  ["an unknown kind", [{ index: 3, term: 1, kind: "odd", data: bytes("x") }]],
  ["data that is a string", [{ index: 3, term: 1, kind: "normal", data: "x" }]],
  ["data that is a list", [{ index: 3, term: 1, kind: "normal", data: [1] }]],
  ["no data", [{ index: 3, term: 1, kind: "normal" }]],
];

const PART = { index: 9, term: 2, config: configOf([1, 2, 3]), part: 0, parts: 1, data: bytes("state") };

const BAD_PARTS: readonly (readonly [string, unknown])[] = [
  ["none", undefined],
  ["null", null],
  ["a number", 7],
  ["index 0", { ...PART, index: 0 }],
  ["half an index", { ...PART, index: 1.5 }],
  ["term 0", { ...PART, term: 0 }],
  ["a term beyond the sender's", { ...PART, term: 4 }],
  ["no parts", { ...PART, parts: 0 }],
  ["a part beyond them", { ...PART, part: 1 }],
  ["a negative part", { ...PART, part: -1 }],
  ["too many parts", { ...PART, parts: 2 ** 21 }],
  ["no data", { ...PART, data: undefined }],
  ["no members", { ...PART, config: configOf([]) }],
  ["null for members", { ...PART, config: null }],
  ["members that are no list", { ...PART, config: { ...PART.config, voters: "1,2,3" } }],
  ["members out of order", { ...PART, config: { ...PART.config, voters: [3, 1] } }],
  ["members with a hole", { ...PART, config: { ...PART.config, voters: Object.assign([1], { length: 2 }) } }],
  ["members that are words", { ...PART, config: { ...PART.config, voters: ["1"] } }],
  ["an impossible group", { ...PART, config: { ...PART.config, learners: [1] } }],
  ["a switch that is none", { ...PART, config: { ...PART.config, autoLeave: "no" } }],
];

/** A message that is well but for the fields given. */
const APPEND: Fields = { type: "append", index: 2, logTerm: 1, entries: [] };

const CASES: readonly (readonly [string, Fields, Refusal])[] = [
  ["no version", { ...APPEND, version: undefined }, "version"],
  ["another version", { ...APPEND, version: 2 }, "version"],
  ["the version as a string", { ...APPEND, version: "1" }, "version"],
  ["no type", { ...APPEND, type: undefined }, "type"],
  ["an unknown type", { ...APPEND, type: "appendix" }, "type"],
  ["a type that all objects have", { ...APPEND, type: "constructor" }, "type"],
  ["another receiver", { ...APPEND, to: 2 }, "address"],
  ["no receiver", { ...APPEND, to: undefined }, "address"],
  ["itself for the sender", { ...APPEND, from: 1 }, "address"],
  ["nobody for the sender", { ...APPEND, from: 0 }, "address"],
  ["a sender that is no number", { ...APPEND, from: "2" }, "address"],
  ...["term", "index", "logTerm", "commitIndex", "hint", "context"].flatMap((field) =>
    NOT_COUNTS.map((value): readonly [string, Fields, Refusal] => [
      `${field}: ${typeof value} ${String(value)}`,
      { ...APPEND, [field]: value },
      "number",
    ]),
  ),
  ["reject: 1", { ...APPEND, reject: 1 }, "number"],
  ["force: null", { ...APPEND, force: null }, "number"],
  ["no term", { ...APPEND, term: 0, index: 0, logTerm: 0 }, "term"],
  ["a term on what has none", { type: "readIndex", term: 3 }, "term"],
  ["a term of the far future", { ...APPEND, term: 2 ** 32 + 4 }, "term"],
  ["the largest term", { ...APPEND, term: Number.MAX_SAFE_INTEGER }, "term"],
  ["an entry's term beyond the sender's", { ...APPEND, logTerm: 4 }, "term"],
  ["a vote for a log of the future", { type: "vote", index: 2, logTerm: 4 }, "term"],
  ...BAD_ENTRIES.map(([what, entries]): readonly [string, Fields, Refusal] => [
    `entries: ${what}`,
    { ...APPEND, entries },
    "entries",
  ]),
  [
    "an index that grows beyond all numbers",
    { ...APPEND, index: 2 ** 53 - 1, entries: entriesOf([1], 2 ** 53) },
    "entries",
  ],
  ["entries in a vote", { type: "vote", entries: entriesOf([1]) }, "entries"],
  ["no entries in a proposal", { type: "propose", term: 0 }, "entries"],
  ["a hole in a proposal", { type: "propose", term: 0, entries: Array<Entry>(2) }, "entries"],
  ["words in a proposal", { type: "propose", term: 0, entries: ["x"] }, "entries"],
  [
    "too many entries",
    {
      ...APPEND,
      entries: entriesOf(
        Array.from({ length: 65_537 }, () => 1),
        3,
      ),
    },
    "size",
  ],
  [
    "too large a proposal",
    { type: "propose", term: 0, entries: entriesOf(Array.from({ length: 65_537 }, () => 1)) },
    "size",
  ],
  ["a snapshot in an append", { ...APPEND, snapshot: PART }, "snapshot"],
  ["null for a snapshot", { ...APPEND, snapshot: null }, "snapshot"],
  ...BAD_PARTS.map(([what, snapshot]): readonly [string, Fields, Refusal] => [
    `a snapshot: ${what}`,
    { type: "snapshot", snapshot },
    "snapshot",
  ]),
  ["a hint beyond what was refused", { type: "appendResponse", reject: true, index: 2, hint: 3 }, "number"],
  ["leadership for nobody", { type: "transferLeader", term: 0, context: 0 }, "number"],
  ["an answer from a stranger", { type: "appendResponse", from: 9, index: 2 }, "stranger"],
  ["a stranger's vote", { type: "voteResponse", from: 9 }, "stranger"],
  ["a stranger's later term in an answer", { type: "heartbeatResponse", from: 9, term: 8 }, "stranger"],
];

function badMessage(fields: Fields): Message {
  const { type, from = 2, ...rest } = fields;
  const base = message("append", 2, 1, { term: 3 });
  return Object.assign(base, { type, from }, rest);
}

describe.each(ROLES)("a %s refuses, counts and stays as it was:", (_, stage) => {
  test.each(CASES)("%s", (_what, fields, reason) => {
    const peer = stage();
    peer.work();
    const { refusals: before, ...state } = peer.raft.status();

    expect(peer.raft.step(badMessage(fields))).toBe(reason);

    const { refusals, ...after } = peer.raft.status();
    expect(after).toEqual(state);
    expect(refusals).toEqual({ ...before, [reason]: before[reason] + 1 });
    expect(peer.raft.hasReady()).toBe(false);
  });

  test.each([null, undefined, 7, "append", () => undefined, Symbol.iterator])("%s", (what) => {
    const peer = stage();

    expect(peer.raft.step(what as unknown as Message)).toBe("type");
    expect(peer.raft.status().refusals.type).toBe(1);
  });

  test.each([[[]], [{}], [Object.create(null)]])("%j", (what) => {
    expect(stage().raft.step(what as Message)).toBe("version");
  });
});

describe("what is well made and yet cannot be", () => {
  test("a heartbeat about entries that this peer never had is refused", () => {
    const peer = followerOf(2, { terms: [1, 1] });

    expect(peer.hears("heartbeat", 2, { commitIndex: 3 })).toBe("beyondLog");

    expect(peer.raft.commitIndex).toBe(0);
  });

  test("an acknowledgement of entries that the leader never had is refused", () => {
    const peer = settledLeaderOf();

    expect(peer.hears("appendResponse", 2, { index: 2 })).toBe("beyondLog");

    expect(peer.raft.status().progress[1]?.matchIndex).toBe(1);
  });

  test("a snapshot of a committed index and another term changes nothing", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], term: 3, commitIndex: 3 });
    const snapshot = { ...PART, ...snapshotOf(2, 3, PART.config), part: 0, parts: 1 };

    expect(peer.hears("snapshot", 2, { snapshot })).toBeUndefined();

    expect(peer.terms).toEqual([1, 1, 1]);
  });

  test("a leader of a far term is followed at the limit, not beyond", () => {
    const options = { termLeapMax: 100 };

    expect(followerOf(2, { term: 3, options }).hears("heartbeat", 3, { term: 103 })).toBeUndefined();
    expect(followerOf(2, { term: 3, options }).hears("heartbeat", 3, { term: 104 })).toBe("term");
  });

  test("the limit of entries is an option", () => {
    const peer = followerOf(2, { options: { entriesMax: 2 } });

    expect(peer.hears("append", 2, { entries: entriesOf([1, 1, 1]) })).toBe("size");
    expect(peer.hears("append", 2, { entries: entriesOf([1, 1]) })).toBeUndefined();
  });

  test("the status has a count for each reason there is", () => {
    expect(Object.keys(followerOf(2).raft.status().refusals)).toEqual([...REFUSALS]);
  });
});
