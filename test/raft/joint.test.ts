/**
 * Several changes of members at once: joint consensus, the extended Raft paper's section 6 and Ongaro's
 * thesis, 4.3, a test for each fact.
 */
import { describe, expect, test } from "vitest";

import { type Config, configOf, LEAVE_JOINT } from "../../src/raft/index.ts";
import {
  bytes,
  candidateOf,
  change,
  commit,
  configEntry,
  entriesOf,
  followerOf,
  inShort,
  leaderOf,
  Peer,
  settledLeaderOf,
} from "./peer.ts";

const JOINT: Config = { ...configOf([1, 2, 3]), outgoing: [1, 4, 5] };
const AUTO_JOINT: Config = { ...JOINT, autoLeave: true };

describe("4.3: joint consensus", () => {
  test("4.3: several changes at once, or a wish, go through a joint configuration", () => {
    const both = settledLeaderOf();
    const wished = settledLeaderOf();
    both.raft.proposeChange(change("explicit", ["addVoter", 4], ["remove", 3]));
    wished.raft.proposeChange(change("explicit", ["addVoter", 4]));
    commit(both, 2);
    commit(wished, 2);

    expect(both.raft.config).toMatchObject({ voters: [1, 2, 4], outgoing: [1, 2, 3], autoLeave: false });
    expect(wished.raft.config).toMatchObject({ voters: [1, 2, 3, 4], outgoing: [1, 2, 3] });
  });

  test.each([
    [[2], false],
    [[2, 3], false],
    [[4, 5], false],
    [[2, 4], true],
    [[3, 5], true],
  ])("4.3: entries need a majority of the old and of the new voters: 1 with %j: %s", (acks, isCommitted) => {
    const peer = settledLeaderOf({ config: JOINT });
    peer.raft.propose([bytes("x")]);

    commit(peer, ...acks);

    expect(peer.raft.commitIndex).toBe(isCommitted ? 2 : 1);
  });

  test.each([
    [[2, 3], "candidate"],
    [[4, 5], "candidate"],
    [[2, 4], "leader"],
    [[3, 5], "leader"],
  ])("4.3: so do elections: 1 with %j makes a %s", (granted, role) => {
    const peer = candidateOf({ config: JOINT });

    for (const from of granted) peer.hears("voteResponse", from);

    expect(peer.raft.role).toBe(role);
  });

  test("4.3: one half that refuses is enough to lose", () => {
    const peer = candidateOf({ config: JOINT });

    for (const from of [4, 5]) peer.hears("voteResponse", from, { reject: true });

    expect(peer.raft.role).toBe("follower");
  });

  test("4.3: a candidate asks the voters of both halves, each once", () => {
    const peer = new Peer({ config: JOINT });

    peer.raft.campaign();

    expect(inShort(peer.work())).toEqual(["vote to 2", "vote to 3", "vote to 4", "vote to 5"]);
  });

  test.each([1, 2, 4])("4.3: peer %i of either half may lead", (id) => {
    const peer = leaderOf({ id, config: JOINT });

    expect(peer.raft.role).toBe("leader");
  });

  test("4.3: the leader leaves by itself once the joint configuration is applied", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4], ["remove", 3]));
    commit(peer, 2);
    expect(peer.raft.config).toMatchObject({ voters: [1, 2, 4], outgoing: [1, 2, 3], autoLeave: true });
    expect(peer.raft.lastIndex).toBe(3);

    commit(peer, 2, 4);

    expect(peer.raft.config).toEqual(configOf([1, 2, 4]));
  });

  test("4.3: the entry that leaves is committed by both halves", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4], ["addVoter", 5], ["remove", 2], ["remove", 3]));
    commit(peer, 2);

    commit(peer, 2, 3);
    expect(peer.raft.config.outgoing).toEqual([1, 2, 3]);
    commit(peer, 4);

    expect(peer.raft.config).toEqual(configOf([1, 4, 5]));
  });

  test("4.3: an explicit joint configuration stays until it is told to leave", () => {
    const peer = settledLeaderOf({ config: JOINT });
    for (let at = 0; at < 3; at += 1) {
      peer.raft.propose([bytes("x")]);
      commit(peer, 2, 4);
    }
    expect(peer.raft.config).toEqual(JOINT);

    peer.raft.proposeChange(LEAVE_JOINT);
    commit(peer, 2, 4);

    expect(peer.raft.config).toEqual(configOf([1, 2, 3]));
  });

  test("4.3: a new leader of a joint configuration leaves it, once it knows what is committed", () => {
    const peer = leaderOf({ config: AUTO_JOINT, terms: [1] });
    expect(peer.raft.lastIndex).toBe(2);

    commit(peer, 2, 4);
    expect(peer.raft.lastIndex).toBe(3);
    commit(peer, 2, 4);

    expect(peer.raft.config).toEqual(configOf([1, 2, 3]));
  });

  test("4.3: it does not even try before it has applied what it came with", () => {
    const options = { applyingBytesMax: 1 };
    const peer = leaderOf({ config: AUTO_JOINT, terms: [1, 1, 1], options });

    commit(peer, 2, 4);
    commit(peer, 2, 4);

    expect(peer.applied.map(({ kind }) => kind)).toEqual(["normal", "normal", "normal", "normal", "config"]);
  });

  test("4.3: a leader does not leave before the joint configuration's own entry is applied", () => {
    const joint = configEntry(1, 1, change("auto", ["addVoter", 4], ["remove", 3]));
    const peer = leaderOf({ entries: [joint], commitIndex: 1 });

    expect(peer.raft.config).toMatchObject({ outgoing: [1, 2, 3], autoLeave: true });
    expect(peer.terms).toEqual([1, 2]);
    commit(peer, 2, 3);

    expect(peer.terms).toEqual([1, 2, 2]);
  });

  test("4.3: followers leave nothing by themselves", () => {
    const peer = followerOf(2, { config: AUTO_JOINT, terms: [1] });

    peer.hears("append", 2, { index: 1, logTerm: 1, commitIndex: 1 });
    peer.work();

    expect([peer.raft.config, peer.raft.lastIndex]).toEqual([AUTO_JOINT, 1]);
  });

  test("4.3: an old voter that stays as a learner is one when the joint configuration is left", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4], ["addLearner", 3]));
    commit(peer, 2);
    expect(peer.raft.config).toMatchObject({ learners: [], learnersNext: [3], outgoing: [1, 2, 3] });

    commit(peer, 2, 3, 4);

    expect(peer.raft.config).toEqual(configOf([1, 2, 4], [3]));
  });

  test("4.3: a leader outside of the new voters steps down when the joint configuration is left", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4], ["remove", 1]));
    commit(peer, 2);
    expect(peer.raft.role).toBe("leader");

    commit(peer, 2, 4);

    expect(peer.raft.role).toBe("follower");
    expect(peer.raft.config).toEqual(configOf([2, 3, 4]));
  });

  test("4.3: leaving waits while leadership is handed over, and is tried again after", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4], ["remove", 3]));
    peer.raft.transferLeadership(2);
    commit(peer, 2);
    expect(peer.raft.lastIndex).toBe(2);

    // The transfer is given up after an election timeout; nothing else happens.
    peer.ticks(10);
    expect(peer.raft.lastIndex).toBe(3);
    commit(peer, 2, 4);

    expect(peer.raft.config).toEqual(configOf([1, 2, 4]));
  });

  test("4.3: a change that has another behind it is committed, whatever a disk has forgotten", () => {
    const enter = configEntry(2, 1, change("auto", ["addVoter", 4], ["remove", 3]));
    const leave = configEntry(3, 1, LEAVE_JOINT);
    const peer = new Peer({ entries: [...entriesOf([1]), enter, leave], commitIndex: 1 });

    expect(peer.raft.commitIndex).toBe(2);
    peer.raft.campaign();
    expect(peer.raft.role).toBe("follower");
    peer.work();

    expect(peer.raft.config).toEqual({ ...configOf([1, 2, 4]), outgoing: [1, 2, 3], autoLeave: true });
  });

  test("4.3: so it is when both arrive from a leader that does not know it yet", () => {
    const enter = configEntry(1, 1, change("auto", ["addVoter", 4], ["remove", 3]));
    const leave = configEntry(2, 1, LEAVE_JOINT);
    const peer = followerOf(2);

    peer.hears("append", 2, { entries: [enter, leave] });
    peer.work();

    expect(peer.raft.commitIndex).toBe(1);
    expect(peer.raft.config.outgoing).toEqual([1, 2, 3]);
  });

  test("4.3: a peer learns of its promotion from whoever asks for its vote and knows it committed", () => {
    const promote = configEntry(2, 1, change("implicit", ["addVoter", 4], ["addLearner", 3]));
    const peer = new Peer({
      id: 4,
      config: configOf([1, 2, 3], [4]),
      entries: [...entriesOf([1]), promote, ...entriesOf([1], 3)],
      commitIndex: 1,
    });
    peer.ticks(30);
    expect(peer.raft.role).toBe("follower");

    peer.hears("vote", 3, { term: 2, index: 2, logTerm: 1, knownIndex: 2, knownTerm: 1 });
    peer.work();
    peer.ticks(30);

    expect(peer.raft.config.voters).toEqual([1, 2, 4]);
    expect(peer.raft.role).toBe("candidate");
  });

  test("4.3: so does whoever asks, from an answer: it may hold on to voters that are none any more", () => {
    const enter = configEntry(2, 1, change("auto", ["addVoter", 4], ["remove", 2]));
    const leave = configEntry(3, 1, LEAVE_JOINT);
    const peer = new Peer({ entries: [...entriesOf([1]), enter, leave], commitIndex: 1 });
    peer.work();
    peer.raft.campaign();
    const refused = { reject: true, knownIndex: 3, knownTerm: 1 } as const;

    peer.hears("voteResponse", 2, refused);
    peer.work();

    expect(peer.raft.config).toEqual(configOf([1, 3, 4]));
  });

  test("4.3: what an asker of another log calls committed is not", () => {
    const peer = new Peer({ terms: [1, 1], commitIndex: 1 });

    peer.hears("vote", 2, { term: 3, index: 2, logTerm: 2, knownIndex: 2, knownTerm: 2 });

    expect(peer.raft.commitIndex).toBe(1);
  });
});
