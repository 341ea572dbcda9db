/** Terms and elections: the extended Raft paper, sections 5.1 and 5.2, a test for each fact. */
import { describe, expect, test } from "vitest";

import { configOf, type MessageType, Raft } from "../../src/raft/index.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import {
  candidateOf,
  chance,
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

const PRE_VOTE = { preVote: true } as const;

const ROLES: readonly (readonly [string, () => Peer])[] = [
  ["follower", () => followerOf(2, { terms: [1], term: 3 })],
  ["pre-candidate", () => candidateOf({ terms: [1], term: 3, options: PRE_VOTE })],
  ["candidate", () => candidateOf({ terms: [1], term: 2 })],
  ["leader", () => settledLeaderOf({ terms: [1], term: 2 })],
];

const TYPES: readonly MessageType[] = [
  "append",
  "appendResponse",
  "heartbeat",
  "heartbeatResponse",
  "vote",
  "voteResponse",
];

const ROLES_AND_TYPES = ROLES.flatMap(([role, stage]) => TYPES.map((type) => [role, type, stage] as const));

describe("5.1: terms", () => {
  test.each(ROLES_AND_TYPES)("5.1: a %s that gets a later term's %s takes that term on", (_, type, stage) => {
    const peer = stage();

    peer.hears(type, 2, { term: 7 });
    peer.work();

    expect(peer.raft.term).toBe(7);
    expect(peer.raft.role).toBe("follower");
    expect(peer.log.stored().hardState.term).toBe(7);
  });

  test.each(ROLES_AND_TYPES)("5.1: a %s lets an earlier term's %s change nothing", (_, type, stage) => {
    const peer = stage();
    const { refusals: before, ...state } = peer.raft.status();

    const refusal = peer.hears(type, 2, { term: 2, index: 1, logTerm: 1, entries: [] });

    const { refusals, ...after } = peer.raft.status();
    expect(refusal).toBe("stale");
    expect(refusals.stale).toBe(before.stale + 1);
    expect(after).toEqual(state);
    // With pre-vote on, the sender is told the later term.
    expect(peer.work().filter((sent) => sent.type !== "appendResponse")).toEqual([]);
  });

  test("5.1: a new term forgets the vote of the one before", () => {
    const peer = new Peer({ term: 1, votedFor: 3 });

    peer.hears("heartbeat", 2, { term: 2 });

    expect(peer.raft.status().votedFor).toBe(0);
  });

  test("5.1: an answer in a term leaves after the disk knows that term", () => {
    const peer = new Peer({ term: 1 });
    peer.hears("append", 2, { term: 4, entries: entriesOf([4]) });

    const ready = peer.raft.ready();

    expect(ready.hardState).toEqual({ term: 4, votedFor: 0, commitIndex: 0 });
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toEqual([]);
    expect(only(ready.messagesAfterSync, "appendResponse").term).toBe(4);
  });

  test("5.1: a restarted peer is in the term that it was in", () => {
    const peer = followerOf(2, { term: 5 });

    expect(peer.restarted().raft.term).toBe(5);
  });
});

describe("5.2: how an election begins", () => {
  test("5.2: a peer starts as a follower that knows no leader", () => {
    const { raft } = new Peer({ terms: [1, 2], term: 2 });

    expect([raft.role, raft.leader, raft.term]).toEqual(["follower", 0, 2]);
  });

  test("5.2: heartbeats keep a follower from campaigning", () => {
    const peer = followerOf(2);

    for (let round = 0; round < 10; round += 1) {
      peer.ticks(9);
      peer.hears("heartbeat", 2);
    }

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("5.2: appends keep a follower from campaigning as well", () => {
    const peer = followerOf(2);

    peer.ticks(9);
    peer.hears("append", 2);
    peer.ticks(9);

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("5.2: a follower that hears nothing for its election timeout campaigns", () => {
    const peer = followerOf(2);

    peer.ticks(9);
    expect(peer.raft.role).toBe("follower");
    peer.ticks(1);

    expect(peer.raft.role).toBe("candidate");
  });

  test("5.2: a candidate raises its term, votes for itself and asks all other voters", () => {
    const peer = followerOf(2, { terms: [1, 1], voters: [1, 2, 3, 4, 5] });

    peer.ticks(10);
    const sent = peer.work();

    expect([peer.raft.term, peer.raft.leader]).toEqual([2, 0]);
    expect(peer.raft.status().votedFor).toBe(1);
    expect(inShort(sent)).toEqual(["vote to 2", "vote to 3", "vote to 4", "vote to 5"]);
    expect(sent.every(({ term, index, logTerm }) => term === 2 && index === 2 && logTerm === 1)).toBe(true);
  });

  test("5.2: a peer that is no member of its own configuration does not campaign", () => {
    const peer = new Peer({ id: 9, term: 1 });

    peer.ticks(100);
    peer.raft.campaign();

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("5.2: a peer that takes on a later term waits anew", () => {
    const peer = followerOf(2, { terms: [1] });

    peer.ticks(9);
    peer.hears("vote", 3, { term: 2 });
    peer.ticks(9);

    expect([peer.raft.role, peer.raft.leader, peer.raft.term]).toEqual(["follower", 0, 2]);
  });

  test("5.2: a peer that gave its vote waits anew before it campaigns itself", () => {
    const peer = new Peer({ term: 1 });

    peer.ticks(9);
    peer.hears("vote", 2, { term: 1 });
    peer.ticks(9);
    expect(peer.raft.role).toBe("follower");
    peer.ticks(1);

    expect(peer.raft.role).toBe("candidate");
  });
});

describe("5.2: whom a peer votes for", () => {
  test("5.2: the first who asks in a term gets the vote, and no other", () => {
    const peer = new Peer({ term: 1 });

    peer.hears("vote", 2, { term: 2 });
    peer.hears("vote", 3, { term: 2 });

    const answers = ofType(peer.work(), "voteResponse");
    expect(answers.map(({ to, reject, term }) => [to, reject, term])).toEqual([
      [2, false, 2],
      [3, true, 2],
    ]);
    expect(peer.raft.status().votedFor).toBe(2);
  });

  test("5.2: whoever got the vote gets it again when the answer was lost", () => {
    const peer = new Peer({ term: 2, votedFor: 2 });

    peer.hears("vote", 2);

    expect(only(peer.work(), "voteResponse").reject).toBe(false);
  });

  test("5.2: a vote is kept over a restart", () => {
    const peer = new Peer({ term: 1 });
    peer.hears("vote", 2, { term: 2 });
    peer.work();

    const again = peer.restarted();
    again.hears("vote", 3, { term: 2 });

    expect(only(again.work(), "voteResponse").reject).toBe(true);
  });

  test("5.2: a vote leaves after the disk knows it", () => {
    const peer = new Peer({ term: 2 });
    peer.hears("vote", 3);

    const ready = peer.raft.ready();

    expect(ready.hardState).toEqual({ term: 2, votedFor: 3, commitIndex: 0 });
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toEqual([]);
    expect(only(ready.messagesAfterSync, "voteResponse").reject).toBe(false);
  });

  test("5.2: a candidate has voted, and refuses others of its term", () => {
    const peer = candidateOf({ term: 1 });

    peer.hears("vote", 3, { index: 9, logTerm: 2 });

    expect(only(peer.work(), "voteResponse")).toMatchObject({ to: 3, reject: true });
  });

  test("5.2: a follower that knows its term's leader gives no vote in that term", () => {
    const peer = followerOf(2);

    peer.hears("vote", 3);

    expect(only(peer.work(), "voteResponse").reject).toBe(true);
  });
});

describe("5.2: how an election ends", () => {
  test.each([
    [1, 0, "leader"],
    [2, 0, "candidate"],
    [2, 1, "leader"],
    [3, 0, "candidate"],
    [3, 1, "leader"],
    [4, 1, "candidate"],
    [4, 2, "leader"],
    [5, 1, "candidate"],
    [5, 2, "leader"],
    [7, 2, "candidate"],
    [7, 3, "leader"],
  ])("5.2: of %i voters, the own vote and %i more make a %s", (count, granted, role) => {
    const voters = Array.from({ length: count }, (_, at) => at + 1);
    const peer = candidateOf({ voters });

    for (let from = 2; from < 2 + granted; from += 1) peer.hears("voteResponse", from);

    expect(peer.raft.role).toBe(role);
  });

  test("5.2: the own vote counts once it is on the own disk", () => {
    const peer = new Peer();
    peer.raft.campaign();
    const ready = peer.raft.ready();

    peer.hears("voteResponse", 2);
    expect(peer.raft.role).toBe("candidate");
    peer.carryOut(ready);

    expect(peer.raft.role).toBe("leader");
  });

  test("5.2: a vote is asked for when the disk has the term and the log that the question claims", () => {
    const peer = followerOf(2, { terms: [1], options: { overlapsWrites: true } });
    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([1], 2) });
    peer.raft.campaign();

    const ready = peer.raft.ready();

    expect(ofType(ready.messages, "vote")).toEqual([]);
    expect(ofType(ready.messagesAfterSync, "vote").map(({ term, index }) => [term, index])).toEqual([
      [2, 2],
      [2, 2],
    ]);
    expect(ready).toMatchObject({ mustSync: true, hardState: { term: 2, votedFor: 1 } });
    expect(ready.entries.map(({ index }) => index)).toEqual([2]);
  });

  test("5.2: a lone voter leads once its vote is on its disk", () => {
    const peer = new Peer({ voters: [1] });
    peer.raft.campaign();
    const ready = peer.raft.ready();

    expect(peer.raft.role).toBe("candidate");
    expect(ready.hardState).toEqual({ term: 1, votedFor: 1, commitIndex: 0 });
    peer.carryOut(ready);

    expect(peer.raft.role).toBe("leader");
  });

  test("5.2: a vote that comes twice counts once", () => {
    const peer = candidateOf({ voters: [1, 2, 3, 4, 5] });

    peer.hears("voteResponse", 2);
    peer.hears("voteResponse", 2);

    expect(peer.raft.role).toBe("candidate");
  });

  test("5.2: a refusal is not taken back by a grant of the same peer", () => {
    const peer = candidateOf();

    peer.hears("voteResponse", 2, { reject: true });
    peer.hears("voteResponse", 2);

    expect(peer.raft.role).toBe("candidate");
  });

  test("5.2: votes of the election before do not count", () => {
    const peer = candidateOf({ term: 1 });

    peer.ticks(10);
    peer.work();
    peer.hears("voteResponse", 2, { term: 2 });

    expect([peer.raft.role, peer.raft.term]).toEqual(["candidate", 3]);
  });

  test("5.2: an election starts without the votes of the one before", () => {
    const peer = candidateOf({ voters: [1, 2, 3, 4, 5] });
    peer.hears("voteResponse", 2);

    peer.ticks(10);
    peer.work();
    peer.hears("voteResponse", 3);

    expect([peer.raft.role, peer.raft.term]).toEqual(["candidate", 2]);
  });

  test("5.2: a vote of a peer outside of the group does not count", () => {
    const peer = candidateOf();

    expect(peer.hears("voteResponse", 9)).toBe("stranger");
    expect(peer.raft.role).toBe("candidate");
  });

  test("5.2: a candidate that a majority refuses follows, in the same term", () => {
    const peer = candidateOf();

    peer.hears("voteResponse", 2, { reject: true });
    expect(peer.raft.role).toBe("candidate");
    peer.hears("voteResponse", 3, { reject: true });

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
    expect(peer.raft.status().votedFor).toBe(1);
  });

  test("5.2: a new leader tells everybody at once", () => {
    const peer = candidateOf({ voters: [1, 2, 3, 4], learners: [5] });
    peer.hears("voteResponse", 2);
    peer.hears("voteResponse", 3);

    expect(inShort(peer.raft.ready().messages)).toEqual([
      "append to 2",
      "append to 3",
      "append to 4",
      "append to 5",
    ]);
  });

  test.each([
    ["append", {}],
    ["heartbeat", {}],
    [
      "snapshot",
      { snapshot: { ...snapshotOf(5, 1, configOf([1, 2, 3])), part: 0, parts: 1, data: new Uint8Array() } },
    ],
  ] as const)("5.2: a candidate follows whoever leads its term, told by %s", (type, fields) => {
    const peer = candidateOf();

    peer.hears(type, 3, fields);

    expect([peer.raft.role, peer.raft.leader, peer.raft.term]).toEqual(["follower", 3, 1]);
    expect(peer.raft.status().votedFor).toBe(1);
  });

  test("5.2: a candidate goes on when an earlier term's leader speaks", () => {
    const peer = candidateOf({ term: 4 });

    peer.hears("append", 2, { term: 4 });

    expect([peer.raft.role, peer.raft.term]).toEqual(["candidate", 5]);
  });

  test("5.2: when nobody wins, the candidate begins a new term after another timeout", () => {
    const peer = candidateOf({ voters: [1, 2, 3, 4] });
    peer.hears("voteResponse", 2);
    peer.hears("voteResponse", 3, { reject: true });

    peer.ticks(9);
    expect(peer.raft.term).toBe(1);
    peer.ticks(1);

    expect([peer.raft.role, peer.raft.term]).toEqual(["candidate", 2]);
    expect(inShort(peer.work())).toEqual(["vote to 2", "vote to 3", "vote to 4"]);
  });

  test("5.2: a leader does not campaign", () => {
    const peer = settledLeaderOf();

    peer.ticks(50);
    peer.raft.campaign();
    peer.hears("timeoutNow", 2);

    expect([peer.raft.role, peer.raft.term]).toEqual(["leader", 1]);
  });

  test.each(["append", "heartbeat"] as const)("5.2: a leader refuses another's %s in its term", (type) => {
    const peer = settledLeaderOf();

    expect(peer.hears(type, 2)).toBe("leader");
    expect(peer.raft.role).toBe("leader");
  });

  test("5.2: a follower refuses a second leader in its term", () => {
    const peer = followerOf(2);

    expect(peer.hears("append", 3, { entries: entriesOf([1]) })).toBe("leader");
    expect([peer.raft.leader, peer.raft.lastIndex]).toEqual([2, 0]);
  });

  test("5.2: a leader sends heartbeats each heartbeat interval", () => {
    const peer = leaderOf({ options: { heartbeatTicks: 3 } });

    for (let round = 0; round < 3; round += 1) {
      peer.ticks(2);
      expect(peer.work()).toEqual([]);
      peer.ticks(1);
      expect(inShort(peer.work())).toEqual(["heartbeat to 2", "heartbeat to 3"]);
    }
  });
});

describe("5.2: election timeouts", () => {
  test.each([
    [0, 10],
    [0.5, 15],
    [0.999, 19],
  ])("5.2: a draw of %d makes a timeout of %i ticks", (share, ticks) => {
    const peer = new Peer({ options: { random: chance(share) } });

    peer.ticks(ticks - 1);
    expect(peer.raft.role).toBe("follower");
    peer.ticks(1);

    expect(peer.raft.role).toBe("candidate");
  });

  test("5.2: each timeout between electionTicks and twice that is drawn, anew for each election", () => {
    const peer = new Peer({ options: { random: seededRandom(7) } });
    const drawn = new Set<number>();

    for (let election = 0; election < 300; election += 1) {
      drawn.add(peer.raft.status().electionTimeout);
      peer.ticks(peer.raft.status().electionTimeout);
    }

    expect(peer.raft.term).toBe(300);
    expect([...drawn].toSorted((a, b) => a - b)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  test("5.2: the driver may set the timeout of this once", () => {
    const peer = new Peer();

    peer.raft.setElectionTimeout(2);
    peer.ticks(2);

    expect(peer.raft).toBeInstanceOf(Raft);
    expect(peer.raft.role).toBe("candidate");
    expect(peer.raft.status().electionTimeout).toBe(10);
  });
});
