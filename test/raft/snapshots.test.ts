/** Snapshots and compaction: the extended Raft paper, section 7, a test for each fact. */
import { describe, expect, test } from "vitest";

import { type Config, configOf, type Message, type Snapshot } from "../../src/raft/index.ts";
import {
  bytes,
  candidateOf,
  entriesOf,
  followerOf,
  inShort,
  leaderOf,
  ofType,
  only,
  Peer,
  settledLeaderOf,
  snapshotOf,
  type Stage,
} from "./peer.ts";

const THREE = configOf([1, 2, 3]);
const PARTS = ["a", "b", "c", "d", "e", "f"];

/** The message with one part of a snapshot. */
function part(snapshot: Snapshot, at = 0): Partial<Message> {
  const { index, term, config, parts } = snapshot;
  return {
    snapshot: { index, term, config, part: at, parts: parts.length, data: parts[at] as Uint8Array },
  };
}

/** A leader that has entries from 6 on; peer 2 lacks them all and is known to be alive. */
function compactedLeader(parts: string[] = ["state"], stage: Stage = {}): Peer {
  const peer = leaderOf({ snapshot: snapshotOf(5, 1, THREE, parts), terms: [1], ...stage });
  peer.acks(3);
  peer.work();
  return peer;
}

function lacksAll(peer: Peer, from = 2): Message[] {
  peer.hears("appendResponse", from, { reject: true, index: 6, hint: 0 });
  return peer.work();
}

describe("7: a leader that has forgotten what a follower needs", () => {
  test("7: it sends its snapshot, with the term and the members as of its index", () => {
    const [sent, ...others] = lacksAll(compactedLeader());

    expect(others).toEqual([]);
    expect(sent).toMatchObject({ type: "snapshot", to: 2, term: 2 });
    expect(sent?.snapshot).toEqual({
      index: 5,
      term: 1,
      config: THREE,
      part: 0,
      parts: 1,
      data: bytes("state"),
    });
  });

  test("7: it goes on by appends where the entry before is the snapshot's last", () => {
    const peer = compactedLeader();

    peer.hears("appendResponse", 2, { reject: true, index: 6, hint: 5, logTerm: 1 });

    expect(only(peer.work(), "append", 2)).toMatchObject({ index: 5, logTerm: 1 });
  });

  test("7: while the snapshot travels no appends are sent, afterwards they go on behind it", () => {
    const peer = compactedLeader();
    lacksAll(peer);
    peer.raft.propose([bytes("x")]);
    expect(peer.work().filter(({ to }) => to === 2)).toEqual([]);

    peer.acks(2, 5);

    const append = only(peer.work(), "append", 2);
    expect([append.index, append.entries.length]).toEqual([5, 3]);
    expect(peer.raft.status().progress[1]).toMatchObject({ state: "replicate", matchIndex: 5 });
  });

  test("7: an acknowledgement of entries below what is left does not end the snapshot", () => {
    const peer = compactedLeader();
    lacksAll(peer);

    peer.acks(2, 3);

    expect(peer.raft.status().progress[1]).toMatchObject({ state: "snapshot", matchIndex: 3 });
  });

  test("7: when the log was compacted again meanwhile, the next snapshot follows", () => {
    const peer = compactedLeader();
    lacksAll(peer);
    peer.log.keep(snapshotOf(7, 2, THREE, ["newer"]));
    peer.log.compact(7);

    peer.acks(2, 5);
    expect(peer.raft.status().progress[1]).toMatchObject({ matchIndex: 5, pendingSnapshot: 7 });
    expect(only(peer.work(), "snapshot").snapshot).toMatchObject({ index: 7, term: 2 });
    peer.acks(2, 7);

    expect(peer.raft.status().progress[1]).toMatchObject({ state: "replicate", matchIndex: 7 });
  });

  test("7: a peer that is not heard of is sent none", () => {
    const peer = leaderOf({ snapshot: snapshotOf(5, 1, THREE), terms: [1] });

    peer.raft.reportUnreachable(2);
    peer.ticks(3);

    expect(ofType(peer.work(), "snapshot")).toEqual([]);
  });

  test("7: while none is at hand, nothing is sent, and a later sign of life brings it", () => {
    const peer = compactedLeader();
    const { snapshot } = peer.log;
    Object.assign(peer.log, { snapshot: () => undefined });
    expect(lacksAll(peer)).toEqual([]);

    Object.assign(peer.log, { snapshot });
    peer.hears("heartbeatResponse", 2);

    expect(inShort(peer.work())).toEqual(["snapshot to 2"]);
  });

  test.each([
    [true, 6],
    [false, 1],
  ])("7: a transport that knows whether it arrived (%s) says where to go on", (hasArrived, nextIndex) => {
    const peer = compactedLeader();
    lacksAll(peer);

    peer.raft.reportSnapshot(2, hasArrived);

    const progress = peer.raft.status().progress[1];
    expect(progress).toMatchObject({ state: "probe", nextIndex, isThrottled: true, pendingSnapshot: 0 });
  });

  test("7: after one that failed, a sign of life brings the next", () => {
    const peer = compactedLeader();
    lacksAll(peer);
    peer.raft.reportSnapshot(2, false);
    expect(peer.work()).toEqual([]);

    peer.hears("heartbeatResponse", 2);

    expect(inShort(peer.work())).toEqual(["snapshot to 2"]);
  });
});

describe("7: a snapshot in parts", () => {
  const snapshot = snapshotOf(5, 1, THREE, PARTS);

  function parts(messages: readonly Message[]): number[] {
    return ofType(messages, "snapshot").map((sent) => sent.snapshot?.part ?? -1);
  }

  test("7: a few parts leave ahead of their answers, each answer brings more", () => {
    const peer = compactedLeader(PARTS, { options: { snapshotPartsMax: 2 } });

    expect(parts(lacksAll(peer))).toEqual([0, 1]);
    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 1 });
    expect(parts(peer.work())).toEqual([2]);
    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 3 });

    expect(parts(peer.work())).toEqual([3, 4]);
  });

  test("7: parts that nobody acknowledges are sent again after a while", () => {
    const peer = compactedLeader(PARTS, { options: { snapshotPartsMax: 2, snapshotResendTicks: 7 } });
    lacksAll(peer);
    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 1 });
    peer.work();

    peer.ticks(6);
    expect(parts(peer.work())).toEqual([]);
    peer.ticks(1);

    expect(parts(peer.work())).toEqual([1, 2]);
  });

  test("7: a part that a later one has overtaken is sent again, once", () => {
    const peer = compactedLeader(PARTS, { options: { snapshotPartsMax: 3 } });
    lacksAll(peer);
    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 1, context: 1 });
    expect(parts(peer.work())).toEqual([3]);

    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 1, context: 3 });
    peer.hears("snapshotResponse", 2, { index: 5, logTerm: 1, hint: 1, context: 4 });

    expect(parts(peer.work())).toEqual([1]);
  });

  test.each([
    ["another index", { index: 4, logTerm: 1, hint: 1 }],
    ["another term", { index: 5, logTerm: 2, hint: 1 }],
    ["more parts than can be wanted", { index: 5, logTerm: 1, hint: 6 }],
  ])("7: an answer about %s moves nothing", (_, fields) => {
    const peer = compactedLeader(PARTS, { options: { snapshotPartsMax: 2 } });
    lacksAll(peer);

    peer.hears("snapshotResponse", 2, fields);

    expect(peer.work()).toEqual([]);
  });

  test("7: a follower asks for part after part, and takes the whole", () => {
    const peer = followerOf(2);
    const wanted: number[] = [];
    for (let at = 0; at < 5; at += 1) {
      peer.hears("snapshot", 2, part(snapshot, at));
      wanted.push(only(peer.work(), "snapshotResponse").hint);
    }
    peer.hears("snapshot", 2, part(snapshot, 5));

    expect(wanted).toEqual([1, 2, 3, 4, 5]);
    expect(only(peer.work(), "appendResponse").index).toBe(5);
    expect(peer.log.snapshot()?.parts).toEqual(snapshot.parts);
  });

  test("7: parts that come out of turn, or twice, are kept once, and answered with the first that is wanted", () => {
    const peer = followerOf(2);

    for (const at of [0, 2, 0, 1, 5, 4, 3]) peer.hears("snapshot", 2, part(snapshot, at));
    const answers = ofType(peer.work(), "snapshotResponse");

    expect(answers.map(({ hint, context }) => [hint, context])).toEqual([
      [1, 1],
      [1, 3],
      [1, 1],
      [3, 2],
      [3, 6],
      [3, 5],
    ]);
    expect(peer.log.snapshot()?.parts).toEqual(snapshot.parts);
  });

  test("7: parts of another snapshot begin anew", () => {
    const peer = followerOf(2, { term: 2 });
    for (const at of [0, 1, 2]) peer.hears("snapshot", 2, part(snapshot, at));
    peer.hears("snapshot", 2, part(snapshotOf(6, 1, THREE, PARTS), 0));
    peer.work();

    peer.hears("snapshot", 2, part(snapshotOf(6, 1, THREE, PARTS), 1));
    peer.hears("snapshot", 2, part(snapshotOf(6, 2, THREE, PARTS), 2));

    expect(ofType(peer.work(), "snapshotResponse").map(({ index, hint }) => [index, hint])).toEqual([
      [6, 2],
      [6, 0],
    ]);
  });

  test("7: parts of an earlier term's leader are not continued by the next leader's", () => {
    const peer = followerOf(2);
    peer.hears("snapshot", 2, part(snapshot, 0));
    peer.work();

    peer.hears("snapshot", 3, { term: 2, ...part(snapshot, 1) });

    expect(only(peer.work(), "snapshotResponse").hint).toBe(0);
  });
});

describe("7: a follower that gets a snapshot", () => {
  test("7: it replaces log and state, and the members are the snapshot's", () => {
    const peer = followerOf(2, { terms: [1, 1], term: 3 });
    const config: Config = configOf([1, 2], [3]);

    peer.hears("snapshot", 2, part(snapshotOf(9, 2, config)));
    const sent = peer.work();

    expect(peer.raft.status()).toMatchObject({ firstIndex: 10, lastIndex: 9, lastTerm: 2 });
    expect(peer.raft.status()).toMatchObject({ commitIndex: 9, appliedIndex: 9, config });
    expect(only(sent, "appendResponse")).toMatchObject({ index: 9, reject: false });
    expect(peer.log.lastIndex()).toBe(9);
  });

  test("7: its acknowledgement leaves after the snapshot is on the disk", () => {
    const peer = followerOf(2);
    peer.hears("snapshot", 2, part(snapshotOf(9, 1, THREE)));

    const ready = peer.raft.ready();

    expect(ready.snapshot?.index).toBe(9);
    expect(ready.mustSync).toBe(true);
    expect(ready.hardState?.commitIndex).toBe(9);
    expect(ready.messages).toEqual([]);
    expect(inShort(ready.messagesAfterSync)).toEqual(["appendResponse to 2"]);
  });

  test("7: appends go on behind it, even before it is on the disk", () => {
    const peer = followerOf(2, { options: { overlapsWrites: true } });
    peer.hears("snapshot", 2, part(snapshotOf(9, 1, THREE)));
    const first = peer.raft.ready();
    peer.hears("append", 2, { index: 9, logTerm: 1, entries: entriesOf([1], 10), commitIndex: 10 });
    const second = peer.raft.ready();

    expect(second.committed).toEqual([]);
    peer.carryOut(first);
    peer.carryOut(second);
    peer.work();

    expect(peer.applied.map(({ index }) => index)).toEqual([10]);
    expect(peer.terms).toEqual([1]);
  });

  test("7: while it is being stored, the peer does not campaign", () => {
    const peer = followerOf(2);
    peer.hears("snapshot", 2, part(snapshotOf(9, 1, THREE)));

    peer.ticks(30);
    expect(peer.raft.role).toBe("follower");
    peer.work();
    peer.ticks(30);

    expect(peer.raft.role).toBe("candidate");
  });

  test.each([
    ["below", 2],
    ["at", 3],
  ])("7: one %s the commit index changes nothing, and is answered with that index", (_, index) => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1], commitIndex: 3 });

    peer.hears("snapshot", 2, part(snapshotOf(index, 1, THREE)));

    expect(only(peer.work(), "appendResponse")).toMatchObject({ index: 3, reject: false });
    expect(peer.raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 4, commitIndex: 3 });
  });

  test("7: one below what the own snapshot stands for changes nothing either", () => {
    const peer = followerOf(2, { snapshot: snapshotOf(5, 1, THREE), terms: [1] });

    peer.hears("snapshot", 2, part(snapshotOf(3, 1, THREE)));

    expect(only(peer.work(), "appendResponse")).toMatchObject({ index: 5, reject: false });
    expect(peer.raft.status()).toMatchObject({ firstIndex: 6, lastIndex: 6, commitIndex: 5 });
  });

  test("7: one whose last entry the log has keeps the log, and commits it so far", () => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1] });

    peer.hears("snapshot", 2, part(snapshotOf(3, 1, THREE)));

    expect(only(peer.work(), "appendResponse").index).toBe(3);
    expect(peer.raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 4, commitIndex: 3 });
    expect(peer.applied).toHaveLength(3);
  });

  test("7: one whose last entry conflicts with the log replaces all of it", () => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1], term: 2 });

    peer.hears("snapshot", 2, part(snapshotOf(3, 2, THREE)));
    peer.work();

    expect(peer.raft.status()).toMatchObject({ firstIndex: 4, lastIndex: 3, lastTerm: 2, commitIndex: 3 });
  });

  test("7: one from before this peer was added is taken, and makes it no member", () => {
    const peer = followerOf(2);

    peer.hears("snapshot", 2, part(snapshotOf(9, 1, configOf([2, 3]))));
    expect(only(peer.work(), "appendResponse").index).toBe(9);
    peer.ticks(30);

    expect([peer.raft.config, peer.raft.role]).toEqual([configOf([2, 3]), "follower"]);
  });

  test("7: it is a sign of the leader", () => {
    const peer = followerOf(2);

    peer.ticks(9);
    peer.hears("snapshot", 2, part(snapshotOf(9, 1, THREE)));
    peer.work();
    peer.ticks(9);

    expect(peer.raft.role).toBe("follower");
  });

  test("7: a learner takes one as well, and stays what it says", () => {
    const peer = followerOf(2, { id: 4, config: configOf([]) });

    peer.hears("snapshot", 2, part(snapshotOf(9, 1, configOf([1, 2, 3], [4]))));
    peer.work();

    expect(peer.raft.status()).toMatchObject({ isLearner: true, lastIndex: 9 });
  });

  test("7: what was committed before, and is in the snapshot, is not applied again", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], term: 2 });
    peer.hears("append", 2, { index: 3, logTerm: 1, commitIndex: 2 });
    peer.work();

    peer.hears("snapshot", 2, part(snapshotOf(9, 2, THREE)));
    peer.work();
    peer.hears("append", 2, { index: 9, logTerm: 2, entries: entriesOf([2], 10), commitIndex: 10 });
    peer.work();

    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 10]);
  });

  test("7: entries that were being applied when it came count as applied by it", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], term: 2, options: { overlapsWrites: true } });
    peer.hears("append", 2, { index: 3, logTerm: 1, commitIndex: 3 });
    const applying = peer.raft.ready();
    expect(applying.committed).toHaveLength(3);
    peer.log.write(applying);
    peer.raft.persisted(applying.write);

    peer.hears("snapshot", 2, part(snapshotOf(9, 2, THREE)));
    peer.work();
    peer.raft.applied(3);

    expect(peer.raft.appliedIndex).toBe(9);
  });
});

describe("7: compaction", () => {
  test("7: a peer compacts on its own, and its log goes on", () => {
    const peer = settledLeaderOf({ terms: [1, 1, 1] });
    peer.log.keep(snapshotOf(4, 2, THREE));
    peer.log.compact(3);
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2);
    peer.work();

    expect(peer.raft.status()).toMatchObject({ firstIndex: 4, lastIndex: 5, commitIndex: 5 });
    expect(peer.terms).toEqual([2, 2]);
  });

  test("7: a restarted peer begins at its snapshot", () => {
    const peer = settledLeaderOf({ terms: [1, 1, 1] });
    peer.log.keep(snapshotOf(4, 2, configOf([1, 2, 3], [4])));
    peer.log.compact(4);

    const { raft, applied, ...again } = peer.restarted();

    expect(again.log.lastIndex()).toBe(4);
    expect(raft.status()).toMatchObject({ term: 2, commitIndex: 4, appliedIndex: 4, lastTerm: 2 });
    expect(raft.config).toEqual(configOf([1, 2, 3], [4]));
    expect(applied).toEqual([]);
  });

  test("7: a group may be founded on a snapshot of term 1", () => {
    const peer = leaderOf({ snapshot: snapshotOf(5, 1, THREE), term: 0 });

    expect([peer.raft.term, peer.raft.lastIndex]).toEqual([1, 6]);
  });

  test("7: a restarted peer with a snapshot votes by what the snapshot stands for", () => {
    const peer = new Peer({ snapshot: snapshotOf(5, 3, THREE), term: 3 });

    peer.hears("vote", 2, { term: 4, index: 9, logTerm: 2 });
    peer.hears("vote", 3, { term: 4, index: 5, logTerm: 3 });

    expect(ofType(peer.work(), "voteResponse").map(({ reject }) => reject)).toEqual([true, false]);
  });

  test("7: a candidate names its snapshot's last entry when that is all that it has", () => {
    const peer = candidateOf({ snapshot: snapshotOf(5, 3, THREE) });

    peer.ticks(10);

    expect(peer.work()[0]).toMatchObject({ type: "vote", index: 5, logTerm: 3, term: 5 });
  });
});
