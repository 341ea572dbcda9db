/**
 * Keeping the lead: Ongaro's thesis, 9.6 (pre-vote), 6.2 (a leader without a quorum steps
 * down), 6.4.1 (reads by lease), 4.2.3 and the paper's section 6 (disruptive peers), a test for each fact.
 */
import { describe, expect, test } from "vitest";

import { configOf, type Message } from "../../src/raft/index.ts";
import { candidateOf, followerOf, inShort, leaderOf, ofType, only, Peer, settledLeaderOf } from "./peer.ts";

const PRE_VOTE = { options: { preVote: true } } as const;
const CHECK_QUORUM = { options: { checkQuorum: true } } as const;
const BOTH = { options: { preVote: true, checkQuorum: true } } as const;

describe("9.6: asking", () => {
  test("9.6: a pre-candidate asks about the next term and stays in its own", () => {
    const peer = followerOf(2, { ...PRE_VOTE, terms: [1], term: 4, voters: [1, 2, 3] });

    peer.ticks(10);
    const ready = peer.raft.ready();

    expect([peer.raft.role, peer.raft.term, peer.raft.leader]).toEqual(["preCandidate", 4, 0]);
    expect(inShort(ready.messages)).toEqual(["preVote to 2", "preVote to 3"]);
    expect(ready.messages[0]).toMatchObject({ term: 5, index: 1, logTerm: 1, force: false });
    expect(ready.hardState).toBeUndefined();
  });

  test("9.6: a pre-candidate that a majority would elect campaigns in the next term", () => {
    const peer = candidateOf(PRE_VOTE);

    peer.hears("preVoteResponse", 2, { term: 1 });

    expect([peer.raft.role, peer.raft.term, peer.raft.status().votedFor]).toEqual(["candidate", 1, 1]);
    expect(inShort(peer.work())).toEqual(["vote to 2", "vote to 3"]);
  });

  test("9.6: grants of a minority start no election, however often it asks", () => {
    const peer = candidateOf({ ...PRE_VOTE, voters: [1, 2, 3, 4, 5] });

    for (let round = 0; round < 20; round += 1) {
      peer.hears("preVoteResponse", 2, { term: 1 });
      peer.ticks(10);
      peer.work();
    }

    expect([peer.raft.role, peer.raft.term]).toEqual(["preCandidate", 0]);
  });

  test("9.6: a round of asking begins without the grants of the one before", () => {
    const peer = candidateOf({ ...PRE_VOTE, voters: [1, 2, 3, 4, 5] });
    peer.hears("preVoteResponse", 2, { term: 1 });

    peer.ticks(10);
    peer.work();
    peer.hears("preVoteResponse", 3, { term: 1 });

    expect(peer.raft.role).toBe("preCandidate");
  });

  test("9.6: a pre-candidate asks again after another timeout, not before", () => {
    const peer = followerOf(2, PRE_VOTE);
    peer.ticks(10);
    peer.work();

    peer.ticks(9);
    expect(peer.work()).toEqual([]);
    peer.ticks(1);

    expect(inShort(peer.work())).toEqual(["preVote to 2", "preVote to 3"]);
  });

  test("9.6: a majority of refusals sends a pre-candidate back to following, in its term", () => {
    const peer = candidateOf({ ...PRE_VOTE, term: 3 });

    peer.hears("preVoteResponse", 2, { reject: true });
    peer.hears("preVoteResponse", 3, { reject: true });

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 3]);
  });

  test("9.6: a refusal from a later term is where that term is learned", () => {
    const peer = candidateOf({ ...PRE_VOTE, term: 3 });

    peer.hears("preVoteResponse", 2, { reject: true, term: 8 });

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 8]);
  });

  test("9.6: a pre-candidate that hears its term's leader follows it again", () => {
    const peer = candidateOf({ ...PRE_VOTE, term: 3 });

    peer.hears("heartbeat", 2);

    expect([peer.raft.role, peer.raft.leader, peer.raft.term]).toEqual(["follower", 2, 3]);
  });

  test("9.6: a real vote is no answer to a pre-candidate, and a late grant is none to a candidate", () => {
    const asking = candidateOf({ ...PRE_VOTE, term: 3 });
    const campaigning = candidateOf({ ...PRE_VOTE, voters: [1, 2, 3, 4, 5] });
    campaigning.hears("preVoteResponse", 2, { term: 1 });
    campaigning.hears("preVoteResponse", 3, { term: 1 });
    campaigning.work();

    asking.hears("voteResponse", 2);
    campaigning.hears("preVoteResponse", 4, { term: 1 });
    campaigning.hears("preVoteResponse", 5, { term: 1 });

    expect(asking.raft.role).toBe("preCandidate");
    expect(campaigning.raft.role).toBe("candidate");
  });

  test("9.6: a lone voter leads without waiting for anybody", () => {
    const peer = candidateOf({ ...PRE_VOTE, voters: [1] });

    expect([peer.raft.role, peer.raft.term]).toEqual(["leader", 1]);
  });
});

describe("9.6: answering", () => {
  test("9.6: a grant changes neither term nor vote, and goes to any number of askers", () => {
    const peer = new Peer({ ...PRE_VOTE, term: 3, votedFor: 2 });
    const before = peer.raft.status();

    peer.hears("preVote", 2, { term: 4 });
    peer.hears("preVote", 3, { term: 4 });

    expect(peer.raft.status()).toEqual(before);
    const answers = ofType(peer.work(), "preVoteResponse");
    expect(answers.map(({ to, reject, term }) => [to, reject, term])).toEqual([
      [2, false, 4],
      [3, false, 4],
    ]);
  });

  test("9.6: an asker with an old log is refused", () => {
    const peer = new Peer({ ...PRE_VOTE, terms: [1, 2], term: 2 });

    peer.hears("preVote", 2, { term: 3, index: 5, logTerm: 1 });

    expect(only(peer.work(), "preVoteResponse")).toMatchObject({ reject: true, term: 2 });
  });

  test("9.6: an asker that is behind is told the term", () => {
    const peer = new Peer({ ...PRE_VOTE, term: 7 });

    expect(peer.hears("preVote", 2, { term: 3 })).toBe("stale");

    expect(only(peer.work(), "preVoteResponse")).toMatchObject({ reject: true, term: 7 });
  });

  test("9.6: an asker about the present term gets what it would get for its vote", () => {
    const peer = new Peer({ ...PRE_VOTE, term: 4, votedFor: 3 });

    peer.hears("preVote", 2, { term: 4 });
    peer.hears("preVote", 3, { term: 4 });

    const answers = ofType(peer.work(), "preVoteResponse");
    expect(answers.map(({ to, reject }) => [to, reject])).toEqual([
      [2, true],
      [3, false],
    ]);
  });

  test("9.6: a grant does not put off the own campaign", () => {
    const peer = new Peer({ ...PRE_VOTE, term: 3 });

    peer.ticks(9);
    peer.hears("preVote", 2, { term: 4 });
    peer.ticks(1);

    expect(peer.raft.role).toBe("preCandidate");
  });

  test("9.6: a peer in a later term that its leader cannot reach otherwise makes that leader step down", () => {
    const stuck = new Peer({ ...PRE_VOTE, id: 3, term: 9 });
    const leader = settledLeaderOf({ ...PRE_VOTE, terms: [1], term: 4 });

    stuck.hears("append", 1, { term: 5, index: 2, logTerm: 5 });
    leader.raft.step(only(stuck.work(), "appendResponse"));

    expect([leader.raft.role, leader.raft.term]).toEqual(["follower", 9]);
  });
});

describe("6 and 4.2.3: while a leader is heard, nobody is helped to depose it", () => {
  test.each([
    ["vote", CHECK_QUORUM],
    ["preVote", BOTH],
  ] as const)("4.2.3: a %s is refused without an answer and without a new term", (type, stage) => {
    const peer = followerOf(2, { ...stage, term: 3 });
    const before = peer.raft.status();

    expect(peer.hears(type, 3, { term: 8, index: 5, logTerm: 3 })).toBe("lease");

    expect(peer.raft.status()).toEqual({ ...before, refusals: { ...before.refusals, lease: 1 } });
    expect(peer.work()).toEqual([]);
  });

  test("4.2.3: the shortest election timeout after the last sign of the leader, the vote is given", () => {
    const peer = followerOf(2, { options: { checkQuorum: true, random: { ...chanceOfMost() } }, term: 3 });

    peer.ticks(10);
    peer.hears("vote", 3, { term: 4 });

    expect(only(peer.work(), "voteResponse")).toMatchObject({ reject: false, term: 4 });
  });

  test("4.2.3: a leader that hears its quorum is not deposed by a removed peer", () => {
    const peer = settledLeaderOf(CHECK_QUORUM);

    expect(peer.hears("vote", 9, { term: 50, index: 9, logTerm: 1 })).toBe("lease");
    expect([peer.raft.role, peer.raft.term]).toEqual(["leader", 1]);
  });

  test("4.2.3: without check-quorum a later term's vote does depose it", () => {
    const peer = settledLeaderOf();

    peer.hears("vote", 9, { term: 50, index: 9, logTerm: 1 });

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 50]);
  });

  test("4.2.3: a vote that the leader itself asked for is given", () => {
    const peer = followerOf(2, { ...CHECK_QUORUM, term: 3 });

    peer.hears("vote", 3, { term: 4, force: true });

    expect(only(peer.work(), "voteResponse")).toMatchObject({ reject: false, term: 4 });
  });

  test("6.2: a follower that is told that its leader is gone helps at once", () => {
    const peer = followerOf(2, { ...CHECK_QUORUM, term: 3 });

    peer.raft.forgetLeader();
    peer.hears("vote", 3, { term: 4 });

    expect(only(peer.work(), "voteResponse").reject).toBe(false);
  });

  test("6.2: a leader does not forget itself", () => {
    const peer = settledLeaderOf();

    peer.raft.forgetLeader();

    expect([peer.raft.role, peer.raft.leader]).toEqual(["leader", 1]);
  });

  test("6.4.1: with reads by lease, nobody forgets a leader", () => {
    const peer = followerOf(2, { options: { checkQuorum: true, reads: "lease" }, term: 3 });

    peer.raft.forgetLeader();

    expect(peer.raft.leader).toBe(2);
  });

  function chanceOfMost(): { below: (n: number) => number; fraction: () => number; hex: () => string } {
    return { below: (n) => n - 1, fraction: () => 0, hex: () => "" };
  }
});

describe("6.2: a leader without a quorum", () => {
  test("6.2: a leader that hears no quorum for an election timeout steps down, in its term", () => {
    const peer = settledLeaderOf(CHECK_QUORUM);

    peer.ticks(10);
    expect(peer.raft.role).toBe("leader");
    peer.ticks(9);
    expect(peer.raft.role).toBe("leader");
    peer.work();
    peer.ticks(1);

    expect([peer.raft.role, peer.raft.leader, peer.raft.term]).toEqual(["follower", 0, 1]);
    expect(peer.work()).toEqual([]);
  });

  test.each([
    ["appendResponse", { index: 1 }],
    ["heartbeatResponse", {}],
    ["snapshotResponse", {}],
  ] as const)("6.2: a %s is a sign of life", (type, fields) => {
    const peer = settledLeaderOf(CHECK_QUORUM);

    for (let round = 0; round < 5; round += 1) {
      peer.ticks(10);
      peer.hears(type, 2, fields);
    }

    expect(peer.raft.role).toBe("leader");
  });

  test("6.2: a minority's signs of life are not enough", () => {
    const peer = settledLeaderOf({ ...CHECK_QUORUM, voters: [1, 2, 3, 4, 5] });

    for (let round = 0; round < 2; round += 1) {
      peer.hears("heartbeatResponse", 2);
      peer.ticks(10);
    }

    expect(peer.raft.role).toBe("follower");
  });

  test("6.2: learners are no part of the quorum", () => {
    const peer = settledLeaderOf({ ...CHECK_QUORUM, learners: [4, 5] });

    for (let round = 0; round < 2; round += 1) {
      for (const from of [4, 5]) peer.hears("heartbeatResponse", from);
      peer.ticks(10);
    }

    expect(peer.raft.role).toBe("follower");
  });

  test("6.2: a joint configuration needs a quorum of both halves", () => {
    const config = { ...configOf([1, 2, 3]), outgoing: [1, 4, 5] };
    const peer = settledLeaderOf({ ...CHECK_QUORUM, config });

    for (let round = 0; round < 2; round += 1) {
      for (const from of [2, 3]) peer.hears("heartbeatResponse", from);
      peer.ticks(10);
    }

    expect(peer.raft.role).toBe("follower");
  });

  test("6.2: without check-quorum a leader leads until it hears of a later term", () => {
    const peer = leaderOf();

    peer.ticks(500);

    expect(peer.raft.role).toBe("leader");
  });
});

/** Asks, and sends the round out, if there is one. Returns what was sent. */
function ask(peer: Peer, context: number): Message[] {
  peer.raft.readIndex(context);
  return peer.work();
}

/** A tick's heartbeat goes out, and 2 answers it. */
function beat(peer: Peer): void {
  peer.ticks(1);
  const [sent] = ofType(peer.work(), "heartbeat");
  peer.hears("heartbeatResponse", 2, { context: sent?.context ?? 0 });
  peer.work();
}

describe("6.4.1: reads by lease", () => {
  const LEASE = { options: { reads: "lease", checkQuorum: true } } as const;

  /** A leader whose heartbeat was just answered by a quorum. */
  function leased(): Peer {
    const peer = settledLeaderOf(LEASE);
    beat(peer);
    return peer;
  }

  test("6.4.1: a leader that just heard its quorum answers at once", () => {
    const peer = leased();

    expect(ask(peer, 7)).toEqual([]);

    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4.1: before it heard a quorum, it asks", () => {
    const peer = settledLeaderOf(LEASE);

    expect(ofType(ask(peer, 7), "heartbeat")).toHaveLength(2);
    expect(peer.reads).toEqual([]);
  });

  test("6.4.1: a lease ends a tick before an election timeout from when it was asked for", () => {
    const peer = leased();

    peer.ticks(8);
    ask(peer, 7);
    peer.ticks(1);
    ask(peer, 8);

    expect(peer.raft.role).toBe("leader");
    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4.1: a leader that told another to campaign has no lease in this term any more", () => {
    const peer = leased();
    peer.raft.transferLeadership(2);
    peer.ticks(10);
    peer.hears("heartbeatResponse", 2);
    beat(peer);

    ask(peer, 7);

    expect(peer.raft.role).toBe("leader");
    expect(peer.reads).toEqual([]);
  });

  test("6.4.1: not before an entry of its own term is committed", () => {
    const peer = leaderOf({ ...LEASE, terms: [1], commitIndex: 1 });

    beat(peer);
    ask(peer, 7);
    expect(peer.reads).toEqual([]);
    peer.acks(2);
    peer.work();

    expect(peer.reads).toEqual([{ context: 7, index: 2 }]);
  });

  test("6.4.1: a leader that hears nobody answers nothing any more", () => {
    const peer = settledLeaderOf(LEASE);

    peer.ticks(20);

    expect(peer.raft.readIndex(7)).toBe("noLeader");
  });
});
