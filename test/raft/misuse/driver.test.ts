/**
 * A driver that does not do what a Ready asks, or not in its order: each invariant that it can run into,
 * with its numbers; and what may happen in any order, which is no misuse.
 */
import { describe, expect, test } from "vitest";

import { type ConfigChange, configOf, encodeChange, Entry, type Ready } from "../../../src/raft/index.ts";
import { partOf } from "../../../src/raft/log/snapshot.ts";
import { rejection } from "../../support/reject.ts";
import { bytes, entriesOf, followerOf, Peer, settledLeaderOf, snapshotOf } from "../peer.ts";

const ADD_4: ConfigChange = { transition: "auto", changes: [{ kind: "addVoter", peerId: 4 }] };

function changeAt(index: number, change: ConfigChange = ADD_4): Entry {
  return new Entry(index, 1, "config", encodeChange(change));
}

/** A follower that was just handed out these entries, and what it was handed. */
function handedOut(entries: readonly Entry[], overlapsWrites = false): { peer: Peer; ready: Ready } {
  // Without the rule that a change behind another proves that one committed, all are handed out at once.
  const peer = followerOf(2, { entries, options: { overlapsWrites, validateChanges: false } });
  peer.hears("heartbeat", 2, { commitIndex: entries.length });
  const ready = peer.raft.ready();
  peer.log.write(ready);
  if (ready.write > 0) peer.raft.persisted(ready.write);
  return { peer, ready };
}

describe("writes", () => {
  /** Three writes are under way. */
  function underWay(): Peer {
    const peer = followerOf(2, { options: { overlapsWrites: true } });
    for (const index of [1, 2, 3]) {
      peer.hears("append", 2, {
        index: index - 1,
        logTerm: Math.min(index - 1, 1),
        entries: entriesOf([1], index),
      });
      peer.log.write(peer.raft.ready());
    }
    return peer;
  }

  test.each([
    ["that was never begun", 9],
    ["number 0", 0],
    ["that is no number", NaN],
  ])("a write %s is not on the disk", async (_, write) => {
    const error = await rejection(() => underWay().raft.persisted(write), "INVARIANT");

    expect(error.details).toMatchObject({ write, begun: 3 });
  });

  test("a write is on the disk once", async () => {
    const peer = underWay();
    peer.raft.persisted(2);

    const error = await rejection(() => peer.raft.persisted(2), "INVARIANT");

    expect(error.details).toEqual({ write: 2, oldest: 3, begun: 3 });
  });

  test("writes finish in order: an earlier one than the last that finished is none", async () => {
    const peer = underWay();
    peer.raft.persisted(2);

    expect((await rejection(() => peer.raft.persisted(1), "INVARIANT")).details).toMatchObject({ oldest: 3 });
  });

  test("one that is on the disk says that those before are as well", () => {
    const peer = underWay();

    peer.raft.persisted(3);
    peer.hears("heartbeat", 2, { commitIndex: 3 });

    expect(peer.raft.ready().committed).toHaveLength(3);
  });

  test("with writes that overlap, nothing is handed out that is not on the disk", () => {
    const peer = underWay();
    peer.hears("heartbeat", 2, { commitIndex: 3 });

    expect(peer.raft.ready().committed).toEqual([]);
    peer.raft.persisted(2);
    expect(peer.raft.ready().committed.map(({ index }) => index)).toEqual([1, 2]);
  });

  test("a write that a later leader's entries overtook makes none of them safe", () => {
    const peer = underWay();
    peer.hears("append", 3, { term: 2, index: 1, logTerm: 1, entries: entriesOf([2], 2), commitIndex: 2 });

    peer.raft.persisted(3);
    const ready = peer.raft.ready();
    expect(ready.committed).toEqual([]);
    expect(ready.entries.map(({ index, term }) => [index, term])).toEqual([[2, 2]]);
    peer.carryOut(ready);
    peer.work();

    expect(peer.terms).toEqual([1, 2]);
  });

  test("without anything to write there is no write to wait for", () => {
    const peer = settledLeaderOf();
    peer.ticks(1);

    const ready = peer.raft.ready();

    expect([ready.write, ready.mustSync, ready.hardState, ready.entries]).toEqual([0, false, undefined, []]);
    expect(ready.messages).toHaveLength(2);
  });

  test("a commit index alone is written without a sync", () => {
    const peer = followerOf(2, { terms: [1] });
    peer.hears("heartbeat", 2, { commitIndex: 1 });

    const ready = peer.raft.ready();

    expect(ready.hardState).toEqual({ term: 1, votedFor: 0, commitIndex: 1 });
    expect(ready.mustSync).toBe(false);
  });
});

describe("the state machine", () => {
  test.each([
    ["beyond the commit index", 4],
    ["no number", NaN],
  ])("it has not applied %s", async (_, index) => {
    const { peer } = handedOut(entriesOf([1, 1, 1]));

    await rejection(() => peer.raft.applied(index), "INVARIANT");
  });

  test("it has not applied what it was not given", async () => {
    const peer = followerOf(2, { terms: [1, 1, 1] });
    peer.hears("heartbeat", 2, { commitIndex: 3 });

    const error = await rejection(() => peer.raft.applied(2), "INVARIANT");

    expect(error.details).toMatchObject({ index: 2, handedOut: 0 });
  });

  test("what it has applied it may say again, which changes nothing", () => {
    const { peer } = handedOut(entriesOf([1, 1, 1]));
    peer.raft.applied(3);

    peer.raft.applied(3);
    peer.raft.applied(1);

    expect(peer.raft.appliedIndex).toBe(3);
    expect(peer.raft.hasReady()).toBe(false);
  });

  test("it is given nothing twice, applied or not", () => {
    const { peer, ready } = handedOut(entriesOf([1, 1, 1]));

    expect(ready.committed).toHaveLength(3);
    peer.ticks(1);
    expect(peer.raft.ready().committed).toEqual([]);
    peer.raft.applied(3);

    expect(peer.raft.ready().committed).toEqual([]);
  });

  test("it is given more when a batch is done, not while it would be too much", () => {
    const options = { applyingBytesMax: 17, overlapsWrites: true };
    const peer = followerOf(2, { terms: [1, 1, 1], options });
    peer.hears("heartbeat", 2, { commitIndex: 3 });

    expect(peer.raft.ready().committed.map(({ index }) => index)).toEqual([1]);
    expect(peer.raft.ready().committed).toEqual([]);
    peer.raft.applied(1);

    expect(peer.raft.ready().committed.map(({ index }) => index)).toEqual([2]);
  });
});

describe("changes of members", () => {
  test("a change is not left out", async () => {
    const { peer } = handedOut([...entriesOf([1]), changeAt(2)]);
    peer.raft.applied(1);

    const error = await rejection(() => peer.raft.applied(2), "INVARIANT");

    expect(error.details).toMatchObject({ index: 2, change: 2 });
  });

  test("a change is not applied twice", async () => {
    const { peer } = handedOut([changeAt(1)]);
    peer.raft.applyChange(changeAt(1));

    const error = await rejection(() => peer.raft.applyChange(changeAt(1)), "INVARIANT");

    expect(error.details).toMatchObject({ index: 1, kind: "config" });
  });

  test("a driver that drops what a snapshot has overtaken goes on", () => {
    const peer = followerOf(2, { options: { overlapsWrites: true, validateChanges: false } });
    peer.hears("append", 2, { entries: [changeAt(1), changeAt(2)], commitIndex: 2 });
    const written = peer.raft.ready();
    peer.log.write(written);
    peer.raft.persisted(written.write);
    expect(peer.raft.ready().committed).toHaveLength(2);
    const config = configOf([1, 2, 3, 9]);
    peer.hears("snapshot", 2, { snapshot: partOf(snapshotOf(20, 1, config), 0) });
    peer.carryOut(peer.raft.ready());

    peer.hears("append", 2, { index: 20, logTerm: 1, entries: [changeAt(21)], commitIndex: 21 });
    peer.work();

    expect(peer.raft.appliedIndex).toBe(21);
  });

  test("one change does not overtake another", async () => {
    const { peer } = handedOut([changeAt(1), changeAt(2)]);

    const error = await rejection(() => peer.raft.applyChange(changeAt(2)), "INVARIANT");

    expect(error.details).toMatchObject({ index: 2, next: 1 });
  });

  test("a change that was not handed out is not in force", async () => {
    const peer = followerOf(2, { entries: [changeAt(1)] });

    const error = await rejection(() => peer.raft.applyChange(changeAt(1)), "INVARIANT");

    expect(error.details).toMatchObject({ index: 1 });
    expect(peer.raft.config).toEqual(configOf([1, 2, 3]));
  });

  test("an entry that is no change is not applied as one", async () => {
    const { peer } = handedOut(entriesOf([1]));

    await rejection(() => peer.raft.applyChange(new Entry(1, 1, "normal", bytes("x"))), "INVARIANT");
  });

  /** A change is being applied when a snapshot comes that has it, and later ones, in it. */
  function overtaken(): Peer {
    const { peer } = handedOut([changeAt(1)], true);
    const snapshot = snapshotOf(9, 1, configOf([1, 2, 5]));
    const part = { ...snapshot, part: 0, parts: 1, data: bytes("s") };
    peer.hears("snapshot", 2, { snapshot: part });
    return peer;
  }

  test("a change that a snapshot has overtaken does not change the snapshot's members", () => {
    const waiting = overtaken();
    const stored = overtaken();
    stored.work();

    for (const peer of [waiting, stored]) {
      expect(peer.raft.applyChange(changeAt(1))).toEqual(configOf([1, 2, 5]));
      peer.raft.applied(1);
      peer.work();
      expect(peer.raft.config).toEqual(configOf([1, 2, 5]));
      expect(peer.raft.appliedIndex).toBe(9);
    }
  });

  test("a change that a snapshot has overtaken may be left out", () => {
    const peer = overtaken();
    peer.work();
    peer.hears("append", 2, { index: 9, logTerm: 1, entries: entriesOf([1], 10), commitIndex: 10 });

    peer.work();

    expect(peer.applied.map(({ index }) => index)).toEqual([10]);
    expect(peer.raft.appliedIndex).toBe(10);
  });
});

describe("arguments of calls", () => {
  test.each([
    ["no commands", []],
    ["too many commands", Array.from({ length: 65_537 }, () => bytes(""))],
    ["a command that is a string", ["x"]],
    ["a command that is null", [null]],
  ])("%s are refused, and the peer goes on", async (_, commands) => {
    const peer = settledLeaderOf();

    await rejection(() => peer.raft.propose(commands as Uint8Array[]), "INVALID_ARGUMENT");

    expect(peer.raft.propose([bytes("x")]).outcome).toBe("appended");
  });

  test.each([
    ["an unknown transition", { transition: "sudden", changes: [] }],
    ["peer 0", { transition: "auto", changes: [{ kind: "remove", peerId: 0 }] }],
    ["an unknown kind", { transition: "auto", changes: [{ kind: "promote", peerId: 2 }] }],
  ])("a change with %s is refused, and the peer goes on", async (_, change) => {
    const peer = settledLeaderOf();

    const error = await rejection(() => peer.raft.proposeChange(change as ConfigChange), "INVALID_ARGUMENT");

    expect(error.details).toEqual({ change });
    expect(peer.raft.proposeChange(ADD_4).outcome).toBe("appended");
  });

  test("what the transport reports of strangers, or to a follower, changes nothing", () => {
    const leader = settledLeaderOf();
    const follower = followerOf(2);
    const before = [leader.raft.status(), follower.raft.status()];

    for (const { raft } of [leader, follower]) {
      raft.reportUnreachable(9);
      raft.reportSnapshot(9, true);
    }
    leader.raft.reportSnapshot(2, false);
    follower.raft.reportUnreachable(2);

    expect([leader.raft.status(), follower.raft.status()]).toEqual(before);
  });

  test("a Ready tells of a change of role once", () => {
    const peer = new Peer();
    peer.raft.campaign();

    expect(peer.raft.ready().roleChange).toEqual({ role: "candidate", leader: 0, term: 1 });
    expect(peer.raft.ready().roleChange).toBeUndefined();
    peer.hears("heartbeat", 3, { term: 2 });

    expect(peer.raft.ready().roleChange).toEqual({ role: "follower", leader: 3, term: 2 });
  });
});
