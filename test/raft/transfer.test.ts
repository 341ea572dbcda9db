/** Passing on the lead: Ongaro's thesis, 3.10, a test for each fact. */
import { describe, expect, test } from "vitest";

import { bytes, candidateOf, followerOf, inShort, ofType, only, Peer, settledLeaderOf } from "./peer.ts";

const BOTH = { options: { preVote: true, checkQuorum: true } } as const;

describe("3.10: leadership transfer", () => {
  test("3.10: a peer that is up to date is told to campaign at once", () => {
    const peer = settledLeaderOf();

    expect(peer.raft.transferLeadership(2)).toBeUndefined();

    expect(inShort(peer.work())).toEqual(["timeoutNow to 2"]);
    expect(peer.raft.status().transferee).toBe(2);
  });

  test("3.10: a peer that lags is brought up to date first", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(3);
    peer.work();

    peer.raft.transferLeadership(2);
    expect(inShort(peer.work())).toEqual(["append to 2"]);
    peer.acks(2, 1);
    expect(ofType(peer.work(), "timeoutNow")).toEqual([]);
    peer.acks(2);

    expect(only(peer.work(), "timeoutNow").to).toBe(2);
  });

  test("3.10: meanwhile the leader takes no proposals, of its own or forwarded", () => {
    const peer = settledLeaderOf();
    peer.raft.transferLeadership(2);
    peer.work();

    const proposed = peer.raft.propose([bytes("x")]);
    peer.hears("propose", 3, {
      context: 77,
      entries: [{ index: 0, term: 0, kind: "normal", data: bytes("y") }],
    });

    expect(proposed).toEqual({ outcome: "refused", reason: "transferring" });
    expect(only(peer.work(), "proposeRefused")).toMatchObject({ to: 3, context: 77 });
    expect(peer.raft.lastIndex).toBe(1);
  });

  test.each([
    ["without pre-vote", {}],
    ["with pre-vote and check-quorum", BOTH],
  ])("3.10: whoever is told campaigns at once, with votes that no lease stops: %s", (_, stage) => {
    const peer = followerOf(2, { ...stage, term: 3 });

    peer.hears("timeoutNow", 2);

    expect([peer.raft.role, peer.raft.term]).toEqual(["candidate", 4]);
    expect(ofType(peer.work(), "vote").map(({ to, force }) => [to, force])).toEqual([
      [2, true],
      [3, true],
    ]);
  });

  test("3.10: an election of silence asks for no votes against the lease", () => {
    const peer = new Peer();

    peer.ticks(10);

    expect(ofType(peer.work(), "vote").map(({ force }) => force)).toEqual([false, false]);
  });

  test("3.10: a transfer that has not worked after an election timeout is given up", () => {
    const peer = settledLeaderOf();
    peer.ticks(5);
    peer.raft.transferLeadership(2);

    peer.ticks(9);
    expect(peer.raft.propose([bytes("x")]).outcome).toBe("refused");
    peer.ticks(1);

    expect(peer.raft.status().transferee).toBe(0);
    expect(peer.raft.propose([bytes("x")]).outcome).toBe("appended");
  });

  test("3.10: asking for the same transfer again gives it no more time", () => {
    const peer = settledLeaderOf();
    peer.raft.transferLeadership(2);

    peer.ticks(9);
    peer.raft.transferLeadership(2);
    peer.ticks(1);

    expect(peer.raft.status().transferee).toBe(0);
  });

  test("3.10: a second target takes the first one's place", () => {
    const peer = settledLeaderOf();
    peer.raft.transferLeadership(2);
    peer.work();

    peer.raft.transferLeadership(3);

    expect(inShort(peer.work())).toEqual(["timeoutNow to 3"]);
    expect(peer.raft.status().transferee).toBe(3);
  });

  test("3.10: naming the leader itself ends a transfer", () => {
    const peer = settledLeaderOf();
    peer.raft.transferLeadership(2);

    expect(peer.raft.transferLeadership(1)).toBeUndefined();

    expect(peer.raft.status().transferee).toBe(0);
  });

  test.each([
    ["a learner", 4],
    ["a stranger", 9],
  ])("3.10: leadership does not go to %s", (_, to) => {
    const peer = settledLeaderOf({ learners: [4] });

    expect(peer.raft.transferLeadership(to)).toBe("notVoter");
    expect([peer.raft.status().transferee, peer.work()]).toEqual([0, []]);
  });

  test("3.10: a follower passes the wish on to its leader", () => {
    const peer = followerOf(2);
    const leader = settledLeaderOf({ id: 2 });

    expect(peer.raft.transferLeadership(1)).toBeUndefined();
    const [wish] = peer.work();
    leader.raft.step(wish as NonNullable<typeof wish>);

    expect(inShort(leader.work())).toEqual(["timeoutNow to 1"]);
  });

  test("3.10: a peer that does not lead hands nothing over", () => {
    const peer = followerOf(2);

    peer.hears("transferLeader", 3, { context: 3 });

    expect([peer.work(), peer.raft.status().transferee]).toEqual([[], 0]);
  });

  test("3.10: without a leader there is nothing to hand over", () => {
    expect(new Peer().raft.transferLeadership(2)).toBe("noLeader");
    expect(candidateOf().raft.transferLeadership(2)).toBe("noLeader");
  });

  test("3.10: a learner that is told to campaign does not", () => {
    const peer = followerOf(2, { id: 4, learners: [4] });

    peer.hears("timeoutNow", 2);

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 1]);
  });

  test("3.10: the old leader follows the new term", () => {
    const peer = settledLeaderOf(BOTH);
    peer.raft.transferLeadership(2);
    peer.work();

    peer.hears("vote", 2, { term: 2, index: 1, logTerm: 1, force: true });

    expect([peer.raft.role, peer.raft.term, peer.raft.status().transferee]).toEqual(["follower", 2, 0]);
    expect(only(peer.work(), "voteResponse").reject).toBe(false);
  });
});
