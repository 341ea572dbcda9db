/**
 * How clients are answered: the extended Raft paper, section 8 (the entry that opens a term, reads that see
 * every write), and Ongaro's thesis, 6.4 (read index, batches, reads at followers).
 */
import { describe, expect, test } from "vitest";

import { configOf, type Message } from "../../src/raft/index.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import {
  bytes,
  candidateOf,
  change,
  commit,
  followerOf,
  inShort,
  leaderOf,
  ofType,
  only,
  Peer,
  settledLeaderOf,
} from "./peer.ts";

/** Asks, and sends the round out. Returns what was sent. */
function ask(peer: Peer, ...contexts: readonly number[]): Message[] {
  for (const context of contexts) peer.raft.readIndex(context);
  return peer.work();
}

function answers(peer: Peer, from: number, context: number): void {
  peer.hears("heartbeatResponse", from, { context });
  peer.work();
}

describe("8: a term opens with an entry of its own", () => {
  test("8: a new leader appends an empty entry of its term", () => {
    const peer = leaderOf({ terms: [1, 1], term: 4 });

    expect(peer.terms).toEqual([1, 1, 5]);
    expect(peer.log.entries(3, 4, 1_000)[0]?.data).toHaveLength(0);
  });

  test("8: reads wait until that entry is committed", () => {
    const peer = leaderOf({ terms: [1], commitIndex: 1 });

    expect(ask(peer, 7)).toEqual([]);
    peer.acks(2);
    const beats = ofType(peer.work(), "heartbeat");
    answers(peer, 2, beats[0]?.context ?? 0);

    expect(peer.reads).toEqual([{ context: 7, index: 2 }]);
  });

  test("8: even a lone voter's read waits for it", () => {
    const peer = new Peer({ voters: [1], terms: [1], commitIndex: 1 });
    peer.raft.campaign();
    peer.carryOut(peer.raft.ready());

    peer.raft.readIndex(7);
    expect(peer.raft.ready().reads).toEqual([]);
    expect(peer.raft.commitIndex).toBe(1);
  });
});

describe("6.4: reads by the leader", () => {
  test("6.4: a read goes out as a round of heartbeats and is answered when a quorum answered", () => {
    const peer = settledLeaderOf({ voters: [1, 2, 3, 4, 5] });

    const sent = ask(peer, 7);
    expect(inShort(sent)).toEqual(["heartbeat to 2", "heartbeat to 3", "heartbeat to 4", "heartbeat to 5"]);
    const [{ context } = { context: 0 }] = sent;
    answers(peer, 2, context);
    expect(peer.reads).toEqual([]);
    answers(peer, 3, context);

    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4: one peer that answers twice is one", () => {
    const peer = settledLeaderOf({ voters: [1, 2, 3, 4, 5] });
    ask(peer, 7);

    answers(peer, 2, 1);
    answers(peer, 2, 1);

    expect(peer.reads).toEqual([]);
  });

  test("6.4: a read's index is the commit index when it was asked", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2);

    answers(peer, 2, 1);

    expect(peer.raft.commitIndex).toBe(2);
    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4: it is the commit index, applied or not", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x")]);
    peer.work();
    peer.acks(2);

    peer.raft.readIndex(7);
    const ready = peer.raft.ready();
    peer.hears("heartbeatResponse", 2, { context: 1 });

    expect(ready.committed).toHaveLength(1);
    expect(peer.raft.appliedIndex).toBe(1);
    expect(peer.raft.ready().reads).toEqual([{ context: 7, index: 2 }]);
  });

  test("6.4: an answer to a round confirms nothing that was asked after it", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);
    ask(peer, 8);

    answers(peer, 2, 1);
    expect(peer.reads.map(({ context }) => context)).toEqual([7]);
    answers(peer, 3, 2);

    expect(peer.reads.map(({ context }) => context)).toEqual([7, 8]);
  });

  test("6.4: answers to different rounds are no quorum for the later one", () => {
    const peer = settledLeaderOf({ voters: [1, 2, 3, 4, 5] });
    ask(peer, 7);
    ask(peer, 8);

    answers(peer, 2, 2);
    answers(peer, 3, 1);
    expect(peer.reads.map(({ context }) => context)).toEqual([7]);
    answers(peer, 4, 2);

    expect(peer.reads.map(({ context }) => context)).toEqual([7, 8]);
  });

  test("6.4: an answer to a later round confirms the earlier ones as well", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);
    ask(peer, 8);

    answers(peer, 2, 2);

    expect(peer.reads.map(({ context }) => context)).toEqual([7, 8]);
  });

  test("6.4: an answer to a heartbeat without a round confirms nothing", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);

    answers(peer, 2, 0);

    expect(peer.reads).toEqual([]);
  });

  test("6.4: an answer to a round that never was confirms nothing", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);

    answers(peer, 2, 99);
    expect(peer.reads).toEqual([]);
    ask(peer, 8);
    answers(peer, 3, 1);

    expect(peer.reads.map(({ context }) => context)).toEqual([7]);
  });

  test("6.4: all reads since the last Ready share one round", () => {
    const peer = settledLeaderOf();

    const sent = ask(peer, 7, 8, 9);
    answers(peer, 2, 1);

    expect(sent).toHaveLength(2);
    expect(peer.reads.map(({ context }) => context)).toEqual([7, 8, 9]);
  });

  test("6.4: a lost round is carried by the heartbeats that follow", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);

    peer.ticks(1);

    expect(ofType(peer.work(), "heartbeat").map(({ context }) => context)).toEqual([1, 1]);
  });

  test("6.4: a late answer of an earlier term confirms nothing in a later one", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);
    peer.hears("vote", 2, { term: 2, index: 1, logTerm: 1 });
    peer.work();
    peer.ticks(10);
    peer.work();
    peer.hears("voteResponse", 2);
    peer.work();
    peer.acks(3);
    peer.work();
    ask(peer, 8);

    expect(peer.hears("heartbeatResponse", 3, { term: 1, context: 1 })).toBe("stale");

    expect([peer.raft.role, peer.raft.term]).toEqual(["leader", 3]);
    expect(peer.reads).toEqual([]);
    expect(peer.refusedReads).toEqual([7]);
  });

  test("6.4: rounds that were answered in an earlier lead confirm none of a later one", () => {
    const peer = settledLeaderOf({ voters: [1, 2, 3, 4, 5] });
    for (const context of [1, 2, 3]) ask(peer, context);
    answers(peer, 2, 3);
    answers(peer, 3, 3);
    peer.hears("heartbeat", 3, { term: 2 });
    peer.work();
    peer.raft.campaign();
    peer.work();
    for (const from of [4, 5]) peer.hears("voteResponse", from);
    peer.work();
    for (const from of [4, 5]) peer.acks(from);
    peer.work();

    ask(peer, 7);
    answers(peer, 4, 1);
    expect(peer.raft.role).toBe("leader");
    expect(peer.reads.map(({ context }) => context)).toEqual([1, 2, 3]);
    answers(peer, 5, 1);

    expect(peer.reads.at(-1)).toEqual({ context: 7, index: 2 });
  });

  test("6.4: a leader that is deposed refuses what it has not confirmed", () => {
    const peer = settledLeaderOf();
    ask(peer, 7);
    peer.raft.readIndex(8);

    peer.hears("heartbeat", 2, { term: 5 });
    peer.work();

    expect(peer.refusedReads).toEqual([7, 8]);
    expect(peer.reads).toEqual([]);
  });

  test("6.4: learners' answers count for nothing", () => {
    const peer = settledLeaderOf({ learners: [4, 5] });
    ask(peer, 7);

    answers(peer, 4, 1);
    answers(peer, 5, 1);

    expect(peer.reads).toEqual([]);
  });

  test("6.4: in a joint configuration both halves confirm", () => {
    const peer = settledLeaderOf({ config: { ...configOf([1, 2, 3]), outgoing: [1, 4, 5] } });
    ask(peer, 7);

    answers(peer, 2, 1);
    answers(peer, 3, 1);
    expect(peer.reads).toEqual([]);
    answers(peer, 4, 1);

    expect(peer.reads).toHaveLength(1);
  });

  test("6.4: open reads are answered when the leader is left as the only voter", () => {
    const peer = settledLeaderOf();
    peer.raft.proposeChange(change("auto", ["remove", 2], ["remove", 3]));
    commit(peer, 2);
    ask(peer, 7);
    expect(peer.reads).toEqual([]);

    commit(peer, 2);

    expect(peer.raft.config).toEqual(configOf([1]));
    expect(peer.reads.map(({ context }) => context)).toEqual([7]);
  });

  test("6.4: a lone voter answers at once", () => {
    const peer = settledLeaderOf({ voters: [1] });

    ask(peer, 7);

    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4: the lone voter of one half is not alone", () => {
    const peer = settledLeaderOf({ config: { ...configOf([1]), outgoing: [1, 2, 3] } });

    ask(peer, 7);

    expect(peer.reads).toEqual([]);
  });

  test("6.4: without a leader no read is taken", () => {
    expect(new Peer().raft.readIndex(7)).toBe("noLeader");
    expect(candidateOf().raft.readIndex(7)).toBe("noLeader");
  });
});

describe("6.4: reads by a follower", () => {
  test("6.4: a follower asks the leader, and answers by its own state up to the index it gets", () => {
    const peer = followerOf(2, { terms: [1] });
    const leader = settledLeaderOf({ id: 2, terms: [0, 1].slice(1), term: 0 + 1 });

    const [request] = ask(peer, 7, 8);
    expect(inShort([request as Message])).toEqual(["readIndex to 2"]);
    leader.raft.step(request as Message);
    leader.work();
    answers(leader, 3, 1);
    peer.hears("readIndexResponse", 2, { context: (request as Message).context, index: 2 });
    peer.work();

    expect(peer.reads).toEqual([
      { context: 7, index: 2 },
      { context: 8, index: 2 },
    ]);
  });

  test("6.4: a leader answers a follower when a quorum has confirmed the round", () => {
    const peer = settledLeaderOf();
    peer.hears("readIndex", 2, { context: 555 });
    expect(ofType(peer.work(), "readIndexResponse")).toEqual([]);

    peer.hears("heartbeatResponse", 3, { context: 1 });

    expect(only(peer.work(), "readIndexResponse")).toMatchObject({
      to: 2,
      context: 555,
      index: 1,
      reject: false,
    });
    expect(peer.reads).toEqual([]);
  });

  test("6.4: a peer that does not lead refuses to answer for the leader", () => {
    const peer = followerOf(3);

    peer.hears("readIndex", 2, { context: 555 });

    expect(only(peer.work(), "readIndexResponse")).toMatchObject({ to: 2, context: 555, reject: true });
  });

  test("6.4: a refusal from the leader refuses the whole batch", () => {
    const peer = followerOf(2);
    const [request] = ask(peer, 7, 8);

    peer.hears("readIndexResponse", 2, { context: (request as Message).context, reject: true });
    peer.work();

    expect(peer.refusedReads).toEqual([7, 8]);
  });

  test("6.4: an answer that comes twice, or to what was never asked, answers nothing", () => {
    const peer = followerOf(2);
    const [request] = ask(peer, 7);
    const { context } = request as Message;

    peer.hears("readIndexResponse", 2, { context: context + 1, index: 1 });
    peer.hears("readIndexResponse", 2, { context, index: 1 });
    peer.hears("readIndexResponse", 2, { context, index: 9 });
    peer.work();

    expect(peer.reads).toEqual([{ context: 7, index: 1 }]);
  });

  test("6.4: two batches have two ids", () => {
    const peer = followerOf(2);

    const [first] = ask(peer, 7);
    const [second] = ask(peer, 7);

    expect(first?.context).not.toBe(second?.context);
  });

  test("6.4: ids from before a restart are not used again", () => {
    const random = seededRandom(11);
    const peer = followerOf(2, { options: { random } });
    const before = new Set(Array.from({ length: 50 }, () => ask(peer, 7)[0]?.context));

    const again = peer.restarted({ options: { random } });
    again.hears("heartbeat", 2);
    again.work();
    const after = Array.from({ length: 50 }, () => ask(again, 7)[0]?.context);

    expect(after.filter((id) => before.has(id))).toEqual([]);
  });

  test("6.4: a batch that nobody answers for an election timeout is refused", () => {
    const peer = followerOf(2);
    ask(peer, 7);

    for (let at = 0; at < 9; at += 1) {
      peer.ticks(1);
      peer.hears("heartbeat", 2);
    }
    peer.work();
    expect(peer.refusedReads).toEqual([]);
    peer.ticks(1);
    peer.work();

    expect(peer.refusedReads).toEqual([7]);
  });

  test("6.4: a follower answers a heartbeat with the round that it carried", () => {
    const peer = followerOf(2);

    peer.hears("heartbeat", 2, { context: 41 });

    const { messages } = peer.raft.ready();
    expect(only(messages, "heartbeatResponse", 2)).toMatchObject({ term: 1, context: 41 });
  });

  test.each(["forgets its leader", "campaigns", "asks whether it could win"])(
    "6.4: a follower that %s refuses what it has asked the leader for",
    (what) => {
      const peer = followerOf(2, { options: { preVote: what.startsWith("asks") } });
      ask(peer, 7);

      if (what.startsWith("forgets")) peer.raft.forgetLeader();
      else peer.raft.campaign();
      peer.work();

      expect(peer.refusedReads).toEqual([7]);
    },
  );

  test("6.4: a batch that was asked of one leader is not answered by the next", () => {
    const peer = followerOf(2);
    const [request] = ask(peer, 7);

    peer.hears("heartbeat", 3, { term: 2 });
    peer.hears("readIndexResponse", 3, { context: (request as Message).context, index: 1 });
    peer.work();

    expect([peer.reads, peer.refusedReads]).toEqual([[], [7]]);
  });

  test("6.4: what still waits when the leader is lost is refused", () => {
    const peer = followerOf(2);
    peer.raft.readIndex(7);

    peer.raft.forgetLeader();
    peer.work();

    expect(peer.refusedReads).toEqual([7]);
  });
});
