/**
 * Who belongs to the group: the extended Raft paper, section 6, and Ongaro's thesis, 4.1 (one change at a
 * time), 4.2.1 (learners) and 4.2.2 (a leader that is removed), a test for each fact. As in etcd, a
 * configuration is in force from where its entry is applied, not from where it is appended.
 */
import { describe, expect, test } from "vitest";

import { type Config, configOf, decodeChange, Entry, LEAVE_JOINT, Raft } from "../../src/raft/index.ts";
import {
  bytes,
  chance,
  change,
  commit,
  configEntry,
  entriesOf,
  followerOf,
  inShort,
  leaderOf,
  ofType,
  only,
  Peer,
  settledLeaderOf,
} from "./peer.ts";

const JOINT: Config = { ...configOf([1, 2, 3]), outgoing: [1, 4, 5] };

describe("4.1: one change at a time", () => {
  test("4.1: a change is an entry of the log, and in force once it is applied", () => {
    const peer = settledLeaderOf();

    const proposed = peer.raft.proposeChange(change("auto", ["addVoter", 4]));
    peer.work();
    expect(proposed).toEqual({ outcome: "appended", firstIndex: 2, term: 1 });
    expect(peer.raft.config.voters).toEqual([1, 2, 3]);
    commit(peer, 2);

    expect(peer.raft.config).toEqual(configOf([1, 2, 3, 4]));
    expect(decodeChange(peer.applied[1]?.data as Uint8Array)).toEqual(change("auto", ["addVoter", 4]));
  });

  test("4.1: no second change enters the log before the first is applied", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4]));

    const second = peer.raft.proposeChange(change("auto", ["remove", 3]));

    expect(second).toMatchObject({ outcome: "refused", reason: "changePending" });
    commit(peer, 2, 3);
    expect(peer.raft.config.voters).toEqual([1, 2, 3, 4]);
    expect(peer.applied.map(({ kind }) => kind)).toEqual(["normal", "config", "normal"]);
    expect(peer.raft.proposeChange(change("auto", ["remove", 3])).outcome).toBe("appended");
  });

  test("4.1: a refused change leaves an empty entry, so that what came with it keeps its place", () => {
    const peer = settledLeaderOf();
    const [first, second] = [change("auto", ["addVoter", 4]), change("auto", ["addVoter", 5])];
    const entries = [configEntry(0, 0, first), configEntry(0, 0, second), ...entriesOf([0])];

    peer.hears("propose", 2, { entries, context: 5 });

    const sent = only(peer.work(), "append", 2);
    expect(sent.entries.map(({ kind, data }) => [kind, data.length > 0])).toEqual([
      ["config", true],
      ["normal", false],
      ["normal", true],
    ]);
  });

  test("4.1: a committed change that waits to be applied still stands in the way of the next", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4]));
    peer.work();
    peer.acks(2);

    expect(peer.raft.commitIndex).toBe(2);
    expect(peer.raft.proposeChange(change("auto", ["remove", 3]))).toMatchObject({ reason: "changePending" });
  });

  test("4.1: a new leader takes no change before it has applied what it came with", () => {
    const peer = leaderOf({ entries: [configEntry(1, 1, change("auto", ["addVoter", 4]))] });

    const early = peer.raft.proposeChange(change("auto", ["remove", 3]));
    commit(peer, 2);
    const late = peer.raft.proposeChange(change("auto", ["remove", 3]));

    expect(early).toMatchObject({ reason: "changePending" });
    expect(late.outcome).toBe("appended");
  });

  test("4.1: a peer that adds itself to a vote waits for its own entry's quorum, of the old voters", () => {
    const peer = settledLeaderOf({ voters: [1, 2] });
    peer.raft.proposeChange(change("auto", ["addVoter", 3]));
    peer.work();

    peer.hears("appendResponse", 3, { index: 2 });
    expect(peer.raft.commitIndex).toBe(1);
    peer.acks(2);

    expect(peer.raft.commitIndex).toBe(2);
  });

  test("4.1: a voter more needs a larger majority", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4]));
    commit(peer, 2, 3);
    peer.raft.propose([bytes("x")]);
    peer.work();

    peer.acks(2);
    expect(peer.raft.commitIndex).toBe(2);
    peer.acks(4);

    expect(peer.raft.commitIndex).toBe(3);
  });

  test("4.1: a voter less commits at once what the rest already has", () => {
    const peer = settledLeaderOf({ voters: [1, 2, 3, 4] });
    peer.raft.proposeChange(change("auto", ["remove", 4]));
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2, 3);
    peer.acks(3, 2);
    expect(peer.raft.commitIndex).toBe(2);

    peer.work();

    expect(peer.raft.config.voters).toEqual([1, 2, 3]);
    expect(peer.raft.commitIndex).toBe(3);
  });

  test("4.1: a newcomer is sent the log at once", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addVoter", 4]));
    peer.work();
    peer.acks(2);

    expect(ofType(peer.work(), "append").some(({ to, entries }) => to === 4 && entries.length > 0)).toBe(
      true,
    );
  });

  test("4.1: a removed peer is sent nothing more, and what it says is not believed", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["remove", 3]));
    commit(peer, 2);

    peer.raft.propose([bytes("x")]);
    peer.ticks(5);

    expect(peer.work().filter(({ to }) => to === 3)).toEqual([]);
    expect(peer.hears("appendResponse", 3, { index: 3 })).toBe("stranger");
    expect(peer.raft.commitIndex).toBe(2);
  });

  test("4.1: every peer comes to the same configuration from the same log", () => {
    const entries = [
      configEntry(1, 1, change("auto", ["addVoter", 4])),
      configEntry(2, 1, change("auto", ["remove", 2])),
      configEntry(3, 1, change("auto", ["addLearner", 2])),
      configEntry(4, 1, change("auto", ["remove", 77])),
      new Entry(5, 1, "config", bytes("no change at all")),
    ];
    const peer = followerOf(3, { entries });

    peer.hears("append", 3, { index: 5, logTerm: 1, commitIndex: 5 });
    peer.work();

    expect(peer.raft.config).toEqual(configOf([1, 3, 4], [2]));
  });

  test("4.1: a peer that has not applied a committed change does not campaign", () => {
    const peer = followerOf(2, { entries: [configEntry(1, 1, change("auto", ["remove", 1]))] });
    peer.hears("append", 2, { index: 1, logTerm: 1, commitIndex: 1 });

    peer.ticks(30);
    peer.hears("timeoutNow", 2);

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("4.1: a restarted peer has the configuration of the disk and applies what follows", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addLearner", 4]));
    commit(peer, 2);

    const again = peer.restarted();
    expect(again.raft.config).toEqual(configOf([1, 2, 3]));
    again.work();

    expect(again.raft.config).toEqual(configOf([1, 2, 3], [4]));
  });
});

describe("4.1: changes that are refused", () => {
  test.each([
    ["a removal of the last voter", configOf([1]), change("auto", ["remove", 1]), "at least one voter"],
    ["leaving what is not joint", configOf([1]), LEAVE_JOINT, "only a joint configuration is left"],
    ["a change while joint", JOINT, change("auto", ["remove", 2]), "left first"],
    ["a joint change while joint", JOINT, change("implicit", ["remove", 2]), "left first"],
  ])("%s", (_, config, what, problem) => {
    const peer = settledLeaderOf({ config });

    const proposed = peer.raft.proposeChange(what);

    expect(proposed).toMatchObject({ outcome: "refused", problem: expect.stringContaining(problem) });
    commit(peer, 2, 3, 4, 5);
    expect(peer.raft.config).toEqual(config);
  });

  test("4.1: a change that does not decode is refused by the leader", () => {
    const peer = settledLeaderOf();

    peer.hears("propose", 2, { entries: [new Entry(0, 0, "config", bytes("odd"))], context: 8 });

    expect(only(peer.work(), "proposeRefused").context).toBe(8);
  });

  test("4.1: told not to check, a leader appends any change; one that cannot be changes nothing", () => {
    const peer = settledLeaderOf({ options: { validateChanges: false } });

    expect(peer.raft.proposeChange(LEAVE_JOINT).outcome).toBe("appended");
    expect(peer.raft.proposeChange(change("auto", ["addVoter", 4])).outcome).toBe("appended");
    commit(peer, 2);

    expect(peer.raft.config).toEqual(configOf([1, 2, 3, 4]));
  });

  test("4.1: a follower passes a change on, and the leader's refusal comes back", () => {
    const peer = followerOf(2);
    const leader = settledLeaderOf({ id: 2 });

    const proposed = peer.raft.proposeChange(LEAVE_JOINT);
    for (const sent of peer.work()) leader.raft.step(sent);
    peer.raft.step(only(leader.work(), "proposeRefused"));
    peer.work();

    expect(proposed.outcome).toBe("forwarded");
    expect(peer.refusedProposals).toEqual(proposed.outcome === "forwarded" ? [proposed.context] : []);
  });
});

describe("4.2.1: learners", () => {
  test("4.2.1: a learner gets the log, and its answers commit nothing", () => {
    const peer = settledLeaderOf({ learners: [4, 5] });
    peer.raft.propose([bytes("x")]);

    expect(inShort(peer.work())).toEqual(["append to 2", "append to 3", "append to 4", "append to 5"]);
    peer.acks(4);
    peer.acks(5);
    expect(peer.raft.commitIndex).toBe(1);
    peer.acks(2);

    expect(peer.raft.commitIndex).toBe(2);
  });

  test("4.2.1: a learner does not campaign", () => {
    const peer = followerOf(1, { id: 4, learners: [4] });

    peer.ticks(100);
    peer.raft.campaign();

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("4.2.1: nobody asks a learner for its vote, and its vote does not count", () => {
    const peer = new Peer({ learners: [4, 5] });
    peer.raft.campaign();

    expect(inShort(peer.work())).toEqual(["vote to 2", "vote to 3"]);
    peer.hears("voteResponse", 4);
    peer.hears("voteResponse", 5);

    expect(peer.raft.role).toBe("candidate");
  });

  test("4.2.1: a learner that is asked votes: it may be a voter already and not know it", () => {
    const peer = new Peer({ id: 4, learners: [4] });

    peer.hears("vote", 2, { term: 1 });

    expect(only(peer.work(), "voteResponse").reject).toBe(false);
  });

  test("4.2.1: a learner that has caught up becomes a voter and keeps what the leader knows of it", () => {
    const peer = settledLeaderOf({ learners: [4] });
    peer.raft.proposeChange(change("auto", ["addVoter", 4]));
    commit(peer, 2, 4);

    const progress = peer.raft.status().progress.find(({ peerId }) => peerId === 4);
    expect(progress).toMatchObject({ isLearner: false, matchIndex: 2, state: "replicate" });
    expect(peer.raft.config).toEqual(configOf([1, 2, 3, 4]));
  });

  test("4.2.1: a voter may become a learner and loses its vote", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addLearner", 3]));
    commit(peer, 2, 3);
    peer.raft.propose([bytes("x")]);
    peer.work();

    peer.acks(3);
    expect(peer.raft.commitIndex).toBe(2);
    peer.acks(2);

    expect(peer.raft.commitIndex).toBe(3);
  });

  test("4.2.1: a learner knows that it is one", () => {
    expect(new Peer({ id: 4, learners: [4] }).raft.status().isLearner).toBe(true);
    expect(new Peer({ id: 1, learners: [4] }).raft.status().isLearner).toBe(false);
  });
});

describe("4.2.2: a leader that is removed", () => {
  test("4.2.2: it leads until its removal is applied, then follows nobody", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["remove", 1]));
    peer.work();
    expect(peer.raft.role).toBe("leader");
    commit(peer, 2);

    expect([peer.raft.role, peer.raft.leader]).toEqual(["follower", 0]);
    expect(peer.raft.config.voters).toEqual([2, 3]);
  });

  test("4.2.2: afterwards it neither campaigns nor takes proposals and reads", () => {
    const peer = settledLeaderOf();
    peer.raft.readIndex(5);
    peer.raft.proposeChange(change("auto", ["remove", 1]));
    commit(peer, 2);

    peer.ticks(100);

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
    expect(peer.raft.propose([bytes("x")])).toEqual({ outcome: "refused", reason: "noLeader" });
    expect(peer.raft.readIndex(6)).toBe("noLeader");
  });

  test("4.2.2: the others have learned of the commit before it steps down", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["remove", 1]));
    peer.work();
    peer.acks(2);

    expect(
      ofType(peer.raft.ready().messages, "append").map(({ to, commitIndex }) => [to, commitIndex]),
    ).toEqual([
      [2, 2],
      [3, 2],
    ]);
  });

  test("4.2.2: a leader that becomes a learner steps down as well", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["addLearner", 1]));
    commit(peer, 2);

    expect([peer.raft.role, peer.raft.status().isLearner]).toEqual(["follower", true]);
  });

  test("4.2.2: told to stay, it takes no proposals and does not count itself", () => {
    const peer = settledLeaderOf({ options: { stepDownOnRemoval: false } });
    peer.raft.proposeChange(change("auto", ["remove", 1]));
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2, 2);
    commit(peer, 2);

    expect(peer.raft.role).toBe("leader");
    expect(peer.raft.propose([bytes("y")])).toEqual({ outcome: "refused", reason: "removed" });
    expect(peer.raft.commitIndex).toBe(2);
    peer.acks(3);

    expect(peer.raft.commitIndex).toBe(3);
  });

  test("3.10: a transfer to a peer that loses its vote is given up", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["remove", 3]));
    peer.raft.transferLeadership(3);
    commit(peer, 2);

    expect(peer.raft.status().transferee).toBe(0);
  });
});

describe("6: a group begins", () => {
  test("6: a new peer knows nobody, campaigns never, and follows whoever leads", () => {
    const peer = new Peer({ id: 7, config: configOf([]) });
    peer.ticks(50);
    expect(peer.raft.role).toBe("follower");

    peer.hears("append", 2, { term: 3, entries: entriesOf([1, 3]), commitIndex: 2 });

    expect(only(peer.work(), "appendResponse")).toMatchObject({ index: 2, reject: false });
    expect([peer.raft.leader, peer.raft.commitIndex]).toEqual([2, 2]);
  });

  test("6: the members are those of the last snapshot, until later changes are applied", () => {
    const peer = followerOf(2);
    const { log } = peer;

    const raft = new Raft({ peerId: 1, random: chance(0) }, log, {
      ...log.stored(),
      config: configOf([1, 2], [3]),
    });

    expect(raft.config).toEqual(configOf([1, 2], [3]));
  });
});
