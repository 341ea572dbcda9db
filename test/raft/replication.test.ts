/** The log and how it travels: the extended Raft paper, section 5.3, a test for each fact. */
import { describe, expect, test } from "vitest";

import { configOf, Entry, type Message } from "../../src/raft/index.ts";
import {
  bytes,
  entriesOf,
  followerOf,
  inShort,
  leaderOf,
  ofType,
  only,
  Peer,
  settledLeaderOf,
  snapshotOf,
} from "./peer.ts";

const FIVE = [1, 2, 3, 4, 5];

/** Carries messages between two peers until they are silent. Returns how many appends were refused. */
function converse(one: Peer, other: Peer): number {
  let refused = 0;
  for (let round = 0; round < 100; round += 1) {
    const sent = [...one.work(), ...other.work()];
    const between = sent.filter(({ to }) => to === one.raft.peerId || to === other.raft.peerId);
    if (between.length === 0) return refused;
    for (const each of between) {
      if (each.type === "appendResponse" && each.reject) refused += 1;
      (each.to === one.raft.peerId ? one : other).raft.step(each);
    }
  }
  throw new Error("they never fall silent");
}

describe("5.3: what a leader does with commands", () => {
  test("5.3: a command becomes an entry of the leader's term and goes to all others at once", () => {
    const peer = settledLeaderOf({ terms: [1], voters: FIVE });

    const proposed = peer.raft.propose([bytes("x")]);
    const { messages, entries } = peer.raft.ready();

    expect(proposed).toEqual({ outcome: "appended", firstIndex: 3, term: 2 });
    expect(entries).toEqual([new Entry(3, 2, "normal", bytes("x"))]);
    expect(inShort(messages)).toEqual(["append to 2", "append to 3", "append to 4", "append to 5"]);
    expect(messages.every((one) => one.entries[0] === entries[0])).toBe(true);
  });

  test("5.3: an append names the entry before its own, and the leader's commit index", () => {
    const peer = settledLeaderOf({ terms: [1] });

    peer.raft.propose([bytes("x"), bytes("y")]);

    const { messages } = peer.raft.ready();
    expect(only(messages, "append", 2)).toMatchObject({ index: 2, logTerm: 2, commitIndex: 2, term: 2 });
    expect(only(messages, "append", 2).entries).toHaveLength(2);
  });

  test.each([
    [1, 0, true],
    [2, 0, false],
    [2, 1, true],
    [3, 0, false],
    [3, 1, true],
    [4, 1, false],
    [4, 2, true],
    [5, 1, false],
    [5, 2, true],
  ])("5.3: of %i voters, the leader and %i more commit an entry: %s", (count, acks, isCommitted) => {
    const peer = settledLeaderOf({ voters: Array.from({ length: count }, (_, at) => at + 1) });
    peer.raft.propose([bytes("x")]);
    peer.work();

    for (let from = 2; from < 2 + acks; from += 1) peer.acks(from);
    peer.work();

    expect(peer.raft.commitIndex).toBe(isCommitted ? 2 : 1);
    expect(peer.applied.length).toBe(isCommitted ? 2 : 1);
  });

  test("5.3: the leader counts itself once its own disk has the entry", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    const ready = peer.raft.ready();

    peer.acks(2);
    expect(peer.raft.commitIndex).toBe(1);
    peer.carryOut(ready);

    expect(peer.raft.commitIndex).toBe(2);
  });

  test("5.3: an acknowledgement that comes twice counts once", () => {
    const peer = settledLeaderOf({ voters: FIVE });
    peer.raft.propose([bytes("x")]);
    peer.work();

    peer.acks(2);
    peer.acks(2);

    expect(peer.raft.commitIndex).toBe(1);
  });

  test("5.3: a committed entry commits all that lie before it, of whatever term", () => {
    const peer = leaderOf({ terms: [1, 1, 2], voters: [1, 2, 3] });

    peer.acks(2);
    peer.work();

    expect(peer.raft.commitIndex).toBe(4);
    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
  });

  test("5.3: the state machine gets committed entries in order, once", () => {
    const peer = leaderOf({ terms: [1] });
    for (const text of ["a", "b", "c"]) peer.raft.propose([bytes(text)]);
    peer.work();

    for (const index of [3, 3, 2, 5]) peer.acks(2, index);
    peer.work();
    peer.acks(3);
    peer.work();

    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5]);
  });

  test("5.3: followers learn the commit index from the next append or at once", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    peer.work();

    peer.acks(2);

    const appends = ofType(peer.work(), "append");
    expect(appends.map(({ to, commitIndex, entries }) => [to, commitIndex, entries.length])).toEqual([
      [2, 2, 0],
      [3, 2, 0],
    ]);
  });

  test("5.3: a heartbeat tells no follower a commit index beyond what it is known to have", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2);
    peer.work();

    peer.ticks(1);

    const beats = ofType(peer.work(), "heartbeat");
    expect(beats.map(({ to, commitIndex }) => [to, commitIndex])).toEqual([
      [2, 2],
      [3, 1],
    ]);
  });

  test("5.3: a leader commits by a majority and leaves a slow follower behind", () => {
    const peer = settledLeaderOf();

    for (let at = 0; at < 20; at += 1) {
      peer.raft.propose([bytes("x")]);
      peer.work();
      peer.acks(2);
    }

    expect(peer.raft.commitIndex).toBe(21);
  });

  test("5.3: a follower that missed appends gets them after its next sign of life", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.raft.reportUnreachable(3);

    peer.hears("heartbeatResponse", 3);

    const again = only(peer.work(), "append", 3);
    expect([again.index, again.entries.length]).toEqual([1, 1]);
  });

  test("5.3: a leader only appends to its own log", () => {
    const peer = leaderOf({ terms: [1, 2, 2, 5] });

    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([6], 2) });
    peer.hears("appendResponse", 2, { reject: true, index: 4, hint: 1, logTerm: 1 });

    expect(peer.terms).toEqual([1, 2, 2, 5, 6]);
  });
});

describe("5.3: what a follower takes", () => {
  test.each([
    ["nothing before", [], 0, 0, false],
    ["the entry", [1, 2], 2, 2, false],
    ["an earlier entry", [1, 2], 1, 1, false],
    ["another term there", [1, 2], 2, 3, true],
    ["an earlier term there", [2, 2], 2, 1, true],
    ["no entry there", [1, 2], 3, 3, true],
  ])("5.3: an append after what the follower has is taken, another refused: %s", (...row) => {
    const [, terms, index, logTerm, reject] = row;
    const peer = followerOf(2, { terms, term: 3 });

    peer.hears("append", 2, { index, logTerm, entries: entriesOf([3], index + 1) });

    expect(only(peer.work(), "appendResponse")).toMatchObject({ reject, index: reject ? index : index + 1 });
    expect(peer.raft.lastIndex).toBe(reject ? terms.length : index + 1);
  });

  test.each([
    [[1, 1, 1], 2, [2], [1, 1, 2]],
    [[1, 1, 1], 1, [2], [1, 2]],
    [[1, 1, 1], 0, [2, 2], [2, 2]],
    [[1, 2, 2, 2], 1, [2, 3], [1, 2, 3]],
  ])("5.3: the log %j gives way where entries after %i conflict: %j", (terms, index, news, expected) => {
    const peer = followerOf(2, { terms, term: 3 });

    peer.hears("append", 2, { index, logTerm: terms[index - 1] ?? 0, entries: entriesOf(news, index + 1) });

    expect(peer.terms).toEqual(expected);
    expect(peer.log.lastIndex()).toBe(expected.length);
  });

  test("5.3: a late append of entries that are there cuts nothing off", () => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1] });

    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([1], 2) });

    expect(peer.terms).toEqual([1, 1, 1, 1]);
    expect(peer.raft.lastIndex).toBe(4);
  });

  test("5.3: an empty append cuts nothing off", () => {
    const peer = followerOf(2, { terms: [1, 1, 1] });

    peer.hears("append", 2, { index: 1, logTerm: 1 });

    expect(peer.raft.lastIndex).toBe(3);
  });

  test("5.3: the same append twice leaves the same log and the same answer", () => {
    const peer = followerOf(2, { terms: [1], term: 2 });
    const append = { index: 1, logTerm: 1, entries: entriesOf([2, 2], 2) };

    peer.hears("append", 2, append);
    const first = peer.work();
    peer.hears("append", 2, append);

    expect(peer.work()).toEqual(first);
    expect(peer.terms).toEqual([1, 2, 2]);
  });

  test("5.3: an acknowledgement names the last entry that is known to be the leader's", () => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1] });

    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([1], 2) });

    expect(only(peer.work(), "appendResponse").index).toBe(2);
  });

  test("5.3: an acknowledgement leaves after the entries are on the disk", () => {
    const peer = followerOf(2);
    peer.hears("append", 2, { entries: entriesOf([1]) });

    const ready = peer.raft.ready();

    expect(ready.entries).toHaveLength(1);
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toEqual([]);
    expect(inShort(ready.messagesAfterSync)).toEqual(["appendResponse to 2"]);
  });

  test.each([
    ["the last entry it got", 3, [1, 1], 1, 3],
    ["no more than it got", 9, [1, 1], 1, 3],
    ["no more than the leader says", 2, [1, 1], 1, 2],
  ])("5.3: a follower commits %s", (_, commitIndex, news, index, expected) => {
    const peer = followerOf(2, { terms: [1, 1, 1, 1] });

    peer.hears("append", 2, { index, logTerm: 1, commitIndex, entries: entriesOf(news, index + 1) });
    peer.work();

    expect(peer.raft.commitIndex).toBe(expected);
    expect(peer.applied).toHaveLength(expected);
  });

  test("5.3: a follower never lowers its commit index", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], commitIndex: 3 });

    peer.hears("append", 2, { index: 3, logTerm: 1, commitIndex: 1 });
    peer.hears("heartbeat", 2, { commitIndex: 2 });

    expect(peer.raft.commitIndex).toBe(3);
  });

  test("5.3: a heartbeat's commit index is taken", () => {
    const peer = followerOf(2, { terms: [1, 1, 1] });

    peer.hears("heartbeat", 2, { commitIndex: 2 });

    expect(peer.raft.commitIndex).toBe(2);
  });

  test("5.3: an append below what is committed is answered with the commit index", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], commitIndex: 3 });

    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([1], 2) });

    expect(only(peer.work(), "appendResponse")).toMatchObject({ index: 3, reject: false });
  });

  test("5.3: an append below what is committed replaces nothing", () => {
    const peer = followerOf(2, { terms: [1, 1, 1], commitIndex: 2, term: 2 });

    peer.hears("append", 2, { index: 0, logTerm: 0, entries: entriesOf([2, 2]) });

    expect(peer.terms).toEqual([1, 1, 1]);
  });
});

describe("5.3: finding where the logs agree", () => {
  test.each([
    ["one that is short", [1, 1], 5, 3, 2, 1],
    ["one with another term at the end", [1, 1, 2, 2], 4, 3, 4, 2],
    ["one with later terms at the end", [1, 1, 4, 4, 4], 4, 3, 2, 1],
    ["one with later terms alone", [5, 5, 5], 3, 3, 0, 0],
  ])("5.3: a refusal hints where terms may agree: %s", (...row) => {
    const [, terms, index, logTerm, hint, hintTerm] = row;
    const peer = followerOf(2, { terms, term: 6 });

    peer.hears("append", 2, { index, logTerm, entries: entriesOf([6], index + 1) });

    expect(only(peer.work(), "appendResponse")).toMatchObject({
      reject: true,
      index,
      hint,
      logTerm: hintTerm,
    });
  });

  test("5.3: a leader that is refused goes back to where the follower's terms may agree", () => {
    const peer = leaderOf({ terms: [1, 1, 3, 3, 3, 5] });

    peer.hears("appendResponse", 2, { reject: true, index: 6, hint: 6, logTerm: 2 });

    const append = only(peer.work(), "append", 2);
    expect([append.index, append.logTerm, append.entries.length]).toEqual([2, 1, 5]);
  });

  test("5.3: a leader goes back no further than the hint, when that may agree", () => {
    const peer = leaderOf({ terms: [1, 1, 3, 3, 3, 5] });

    peer.hears("appendResponse", 2, { reject: true, index: 6, hint: 4, logTerm: 3 });

    expect(only(peer.work(), "append", 2).index).toBe(4);
  });

  test("5.3: a refusal that comes late is not believed", () => {
    const peer = settledLeaderOf({ terms: [1, 1, 1] });

    peer.hears("appendResponse", 2, { reject: true, index: 3, hint: 0 });

    expect(peer.raft.status().progress[1]).toMatchObject({ state: "replicate", matchIndex: 4, nextIndex: 5 });
    expect(peer.work()).toEqual([]);
  });

  // Figure 7 of the paper: the leader of term 8, and what six followers may look like.
  const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  test.each([
    ["a", [1, 1, 1, 4, 4, 5, 5, 6, 6], 1],
    ["b", [1, 1, 1, 4], 1],
    ["c", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], 0],
    ["d", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], 0],
    ["e", [1, 1, 1, 4, 4, 4, 4], 1],
    ["f", [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], 1],
  ])("5.3: follower %s of figure 7 ends with the leader's log", (_, terms, refusals) => {
    const follower = new Peer({ id: 2, terms, term: 7 });
    const leader = leaderOf({ terms: LEADER, term: 7 });
    leader.hears("heartbeatResponse", 2);

    const refused = converse(leader, follower);

    expect(follower.terms).toEqual([...LEADER, 8]);
    expect(refused).toBe(refusals);
    expect(follower.raft.commitIndex).toBe(11);
  });

  test("5.3: logs that differ in many terms are brought in line in a few round trips", () => {
    const shared = Array.from({ length: 10 }, () => 1);
    const theirs = Array.from({ length: 200 }, (_, at) => 2 + 2 * Math.floor(at / 50));
    const ours = Array.from({ length: 200 }, (_, at) => 3 + 2 * Math.floor(at / 50));
    const follower = new Peer({ id: 2, terms: [...shared, ...theirs], term: 20 });
    const leader = leaderOf({ terms: [...shared, ...ours], term: 20 });
    leader.hears("heartbeatResponse", 2);

    const refused = converse(leader, follower);

    expect(follower.terms).toEqual([...shared, ...ours, 21]);
    expect(refused).toBeLessThanOrEqual(5);
  });

  test("5.3: equal index and term mean equal logs before, since a gap is never taken", () => {
    const follower = followerOf(2, { terms: [1, 1], term: 4 });

    follower.hears("append", 2, { index: 3, logTerm: 4, entries: entriesOf([4], 4) });
    follower.hears("append", 2, { index: 2, logTerm: 1, entries: entriesOf([4, 4], 3) });

    expect(follower.terms).toEqual([1, 1, 4, 4]);
  });
});

describe("5.3: appends that leave ahead of their answers", () => {
  function proposeMany(peer: Peer, count: number): Message[] {
    for (let at = 0; at < count; at += 1) peer.raft.propose([bytes("12345")]);
    return ofType(peer.work(), "append").filter(({ to }) => to === 2);
  }

  test("5.3: a follower in step is sent append after append without waiting", () => {
    const appends = proposeMany(settledLeaderOf(), 4);

    expect(appends.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
  });

  test.each([
    ["messages", { inflightMessagesMax: 3 }],
    ["entries", { inflightEntriesMax: 3 }],
    ["bytes", { inflightBytesMax: 15 }],
  ])("5.3: no more %s are on their way than allowed, and an answer makes room", (_, options) => {
    const peer = settledLeaderOf({ options });

    expect(proposeMany(peer, 6).filter(({ entries }) => entries.length > 0)).toHaveLength(3);
    peer.acks(2, 2);

    const next = ofType(peer.work(), "append").filter(({ to, entries }) => to === 2 && entries.length > 0);
    expect(next.map(({ index }) => index)).toEqual([4]);
  });

  test("5.3: a follower whose log is unknown is sent one append until it answers", () => {
    const peer = leaderOf();

    expect(proposeMany(peer, 3)).toEqual([]);
    peer.acks(2, 1);

    const [append, ...others] = ofType(peer.work(), "append").filter(
      ({ to, entries }) => to === 2 && entries.length > 0,
    );
    expect([append?.index, append?.entries.length, others.length]).toEqual([1, 3, 0]);
  });

  test("5.3: a later acknowledgement covers the earlier ones", () => {
    const peer = settledLeaderOf();
    proposeMany(peer, 3);

    peer.acks(2, 4);
    peer.acks(2, 2);

    expect(peer.raft.status().progress[1]).toMatchObject({ matchIndex: 4, nextIndex: 5, inflights: 0 });
  });

  test("5.3: after a lost append the follower's refusal brings it again", () => {
    const peer = settledLeaderOf();
    proposeMany(peer, 3);

    peer.hears("appendResponse", 2, { reject: true, index: 2, hint: 1, logTerm: 1 });

    const append = ofType(peer.work(), "append").find(({ to }) => to === 2);
    expect([append?.index, append?.entries.length]).toEqual([1, 3]);
  });

  test("5.3: one append holds no more bytes than allowed, but one entry always", () => {
    const peer = leaderOf({ terms: [1, 1, 1, 1], options: { appendBytesMax: 40 } });
    peer.hears("appendResponse", 2, { reject: true, index: 4, hint: 0 });
    const big = settledLeaderOf({ options: { appendBytesMax: 1 } });
    big.raft.propose([bytes("x".repeat(1_000))]);

    expect(only(peer.work(), "append", 2).entries).toHaveLength(2);
    expect(only(big.work(), "append", 2).entries).toHaveLength(1);
  });

  test("5.3: a follower with entries that the leader has forgotten the start of is fed from what is left", () => {
    const peer = leaderOf({ snapshot: snapshotOf(5, 1, configOf([1, 2, 3])), terms: [1, 1] });

    peer.hears("appendResponse", 2, { reject: true, index: 7, hint: 5, logTerm: 1 });

    expect(only(peer.work(), "append", 2)).toMatchObject({ index: 5, logTerm: 1 });
  });
});
