/**
 * A storage that gives back something else than it was given. The invariant that notices names its numbers,
 * and the peer is stopped: every later call throws the same error, so that nothing wrong is passed on.
 */
import { describe, expect, test } from "vitest";

import {
  type Config,
  configOf,
  Entry,
  type LogReader,
  Raft,
  type StoredState,
} from "../../../src/raft/index.ts";
import { MemoryLog } from "../../../src/raft/log/memory-log.ts";
import { rejection } from "../../support/reject.ts";
import { bytes, chance, entriesOf, followerOf, leaderOf, message, type Peer, snapshotOf } from "../peer.ts";

const THREE = configOf([1, 2, 3]);

/** Every call that may change something. */
const CALLS: readonly (readonly [string, (raft: Raft) => unknown])[] = [
  ["tick", (raft) => raft.tick()],
  ["step", (raft) => raft.step(message("heartbeat", 2, 1, { term: 9 }))],
  ["propose", (raft) => raft.propose([bytes("x")])],
  [
    "proposeChange",
    (raft) => raft.proposeChange({ transition: "auto", changes: [{ kind: "remove", peerId: 3 }] }),
  ],
  ["readIndex", (raft) => raft.readIndex(7)],
  ["campaign", (raft) => raft.campaign()],
  ["transferLeadership", (raft) => raft.transferLeadership(2)],
  ["forgetLeader", (raft) => raft.forgetLeader()],
  ["reportUnreachable", (raft) => raft.reportUnreachable(2)],
  ["reportSnapshot", (raft) => raft.reportSnapshot(2, true)],
  ["setElectionTimeout", (raft) => raft.setElectionTimeout(10)],
  ["ready", (raft) => raft.ready()],
  ["persisted", (raft) => raft.persisted(1)],
  ["applyChange", (raft) => raft.applyChange(new Entry(9, 1, "config", bytes("")))],
  ["applied", (raft) => raft.applied(9)],
];

/** A leader of a log that is on its disk, whose storage answers otherwise from now on. */
function leaderWith(lie: Partial<LogReader>): Peer {
  const peer = leaderOf({ terms: [1, 1, 2, 2] });
  Object.assign(peer.log, lie);
  return peer;
}

/** Asks the leader for entries from 2 on. */
function needsEntries(peer: Peer): void {
  peer.hears("appendResponse", 2, { reject: true, index: 4, hint: 1, logTerm: 1 });
}

const LIES: readonly (readonly [string, (from: number, to: number) => readonly unknown[], object])[] = [
  [
    "wrong indexes",
    (from) => entriesOf([1, 2, 2, 3], from + 1),
    { wanted: 2, wantedTerm: 1, index: 3, term: 1 },
  ],
  ["a wrong term", (from) => entriesOf([1, 1, 2, 3], from), { wanted: 3, wantedTerm: 2, index: 3, term: 1 }],
  ["a later term", (from) => entriesOf([9], from), { wanted: 2, wantedTerm: 1, index: 2, term: 9 }],
  [
    "a gap",
    (from) => [...entriesOf([1], from), ...entriesOf([2], from + 2)],
    { wanted: 3, wantedTerm: 2, index: 4, term: 2 },
  ],
  ["nothing", () => [], { from: 2, to: 6, got: 0 }],
  ["too many", (from) => entriesOf([1, 2, 2, 3, 3], from), { from: 2, to: 6, got: 5 }],
  ["no entry where one is", (from) => [...entriesOf([1], from), undefined], { wanted: 3, wantedTerm: 2 }],
];

describe("entries that are read back", () => {
  test.each(LIES)("%s: the peer stops", async (_, entries, details) => {
    const peer = leaderWith({ entries: entries as LogReader["entries"] });

    const error = await rejection(() => needsEntries(peer), "INVARIANT");

    expect(error.details).toMatchObject(details);
  });

  test.each(CALLS)("after that, %s throws the very same error", async (_, call) => {
    const peer = leaderWith({ entries: () => [] });
    const error = await rejection(() => needsEntries(peer), "INVARIANT");

    expect(await rejection(() => call(peer.raft), "INVARIANT")).toBe(error);
  });

  test("after that, it can still be looked at, and has promised nothing new", async () => {
    const peer = leaderWith({ entries: () => [] });
    const before = peer.raft.status();
    await rejection(() => needsEntries(peer), "INVARIANT");

    const { term, commitIndex, lastIndex } = peer.raft.status();

    expect([term, commitIndex, lastIndex]).toEqual([before.term, before.commitIndex, before.lastIndex]);
  });

  test("an error that the storage throws stops the peer as well", () => {
    const peer = leaderWith({
      entries: () => {
        throw new RangeError("the disk is gone");
      },
    });

    expect(() => needsEntries(peer)).toThrow("the disk is gone");
    expect(() => peer.raft.tick()).toThrow("the disk is gone");
  });

  test("fewer than asked for are no lie: the rest is asked for later", () => {
    const peer = leaderWith({ entries: (from) => entriesOf([from < 3 ? 1 : 2], from) });

    needsEntries(peer);

    expect(peer.raft.ready().messages.map(({ index, entries }) => [index, entries.length])).toEqual([[1, 1]]);
  });

  test("a lie to a follower that applies stops it too", async () => {
    const peer = followerOf(2, { terms: [1, 1, 1] });
    peer.hears("heartbeat", 2, { commitIndex: 3 });
    Object.assign(peer.log, { entries: () => entriesOf([2], 1) });

    const error = await rejection(() => peer.raft.ready(), "INVARIANT");

    expect(error.details).toEqual({ wanted: 1, wantedTerm: 1, index: 1, term: 2 });
    expect(await rejection(() => peer.raft.ready(), "INVARIANT")).toBe(error);
  });
});

describe("snapshots that are read back", () => {
  function needsSnapshot(lie: object): Peer {
    const peer = leaderOf({ snapshot: snapshotOf(5, 1, THREE), terms: [1] });
    Object.assign(peer.log, { snapshot: () => ({ ...snapshotOf(5, 1, THREE, ["a", "b"]), ...lie }) });
    return peer;
  }

  test.each([
    ["of what is not committed", { index: 6, term: 1 }, { index: 6, committed: 5 }],
    ["of index 0", { index: 0 }, { index: 0 }],
    ["with another term", { term: 7 }, { index: 5, term: 7, known: 1 }],
    ["without parts", { parts: [] }, { index: 5, parts: 0 }],
    ["with a part that is missing", { parts: [bytes("a"), undefined] }, { index: 5, part: 1, parts: 2 }],
  ])("%s: the peer stops", async (_, lie, details) => {
    const peer = needsSnapshot(lie);

    const error = await rejection(
      () => peer.hears("appendResponse", 2, { reject: true, index: 6, hint: 0 }),
      "INVARIANT",
    );

    expect(error.details).toMatchObject(details);
    expect(await rejection(() => peer.raft.tick(), "INVARIANT")).toBe(error);
  });
});

describe("what a peer finds when it starts", () => {
  function start(lie: Partial<LogReader>, stored: Partial<StoredState> = {}): Raft {
    const log = new MemoryLog(THREE);
    log.write({
      hardState: { term: 3, votedFor: 0, commitIndex: 1 },
      entries: entriesOf([1, 2, 3]),
      snapshot: undefined,
    });
    const reader = Object.assign(log, lie);
    return new Raft({ peerId: 1, random: chance(0) }, reader, { ...log.stored(), ...stored });
  }

  const joint: Config = { ...THREE, learners: [1] };

  test.each([
    ["a first index beyond the last", { firstIndex: () => 9 }, {}, { first: 9, last: 3 }],
    ["a first index of 0", { firstIndex: () => 0 }, {}, { first: 0, last: 3 }],
    ["half a last index", { lastIndex: () => 2.5 }, {}, { first: 1, last: 2.5 }],
    ["a term that it does not know", { term: () => undefined }, {}, { index: 0 }],
    ["half a term", { term: () => 0.5 }, {}, { index: 0, term: 0.5 }],
    [
      "terms that fall",
      { term: (index: number) => (index === 0 ? 0 : 4 - index) },
      {},
      { index: 2, term: 2, lastTerm: 3 },
    ],
    [
      "a term below the log's",
      {},
      { hardState: { term: 2, votedFor: 0, commitIndex: 1 } },
      { term: 2, lastTerm: 3 },
    ],
    ["no term", {}, { hardState: { term: NaN, votedFor: 0, commitIndex: 1 } }, { lastTerm: 3 }],
    [
      "a commit beyond the log",
      {},
      { hardState: { term: 3, votedFor: 0, commitIndex: 4 } },
      { index: 4, lastIndex: 3 },
    ],
    ["more applied than the log holds", {}, { appliedIndex: 4 }, { index: 4, lastIndex: 3 }],
    ["an impossible group", {}, { config: joint }, { problem: "nobody is a voter and a learner" }],
  ])("%s: the peer does not start", async (_, lie, stored, details) => {
    const error = await rejection(() => start(lie, stored), "INVARIANT");

    expect(error.details).toMatchObject(details);
  });

  test("a storage that tells the truth starts", () => {
    expect(start({}).status()).toMatchObject({ term: 3, lastIndex: 3, commitIndex: 1 });
  });

  test("what was applied had been committed, whatever the commit index that reached the disk", () => {
    expect(start({}, { appliedIndex: 2 }).status()).toMatchObject({ commitIndex: 2, appliedIndex: 2 });
  });
});

describe("the log in memory asks the same of its driver", () => {
  function log(): MemoryLog {
    const memory = new MemoryLog(THREE);
    memory.restore(snapshotOf(5, 1, THREE));
    memory.append(entriesOf([1, 1, 1], 6));
    return memory;
  }

  test.each([
    ["entries below the first", () => log().entries(5, 7, 100), { from: 5, firstIndex: 6 }],
    ["entries beyond the last", () => log().entries(6, 10, 100), { to: 10, lastIndex: 8 }],
    ["no entries", () => log().entries(7, 7, 100), { from: 7, to: 7 }],
    ["an append with a gap", () => log().append(entriesOf([1], 10)), { first: 10, lastIndex: 8 }],
    ["an append below the snapshot", () => log().append(entriesOf([1], 5)), { first: 5 }],
    ["a snapshot beyond the log", () => log().keep(snapshotOf(9, 1, THREE)), { index: 9, lastIndex: 8 }],
    ["a snapshot that goes back", () => log().keep(snapshotOf(4, 1, THREE)), { index: 4, before: 5 }],
    ["compaction beyond the snapshot", () => log().compact(6), { index: 6, snapshot: 5 }],
    ["compaction that goes back", () => log().compact(4), { index: 4 }],
  ])("%s", async (_, act, details) => {
    expect((await rejection(act, "INVARIANT")).details).toMatchObject(details);
  });

  test("entries that are put over others replace all from there on", () => {
    const memory = log();

    memory.append(entriesOf([2], 7));

    expect([memory.lastIndex(), memory.term(6), memory.term(7), memory.term(8)]).toEqual([
      7,
      1,
      2,
      undefined,
    ]);
    expect([memory.term(5), memory.term(4)]).toEqual([1, undefined]);
  });
});
