/**
 * Why what is committed stays: the extended Raft paper, sections 5.4 (which candidates may win, what counting
 * commits), 5.5 (peers that come and go) and 5.6 (time decides nothing about safety), a test for each fact.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Message } from "../../src/raft/index.ts";
import { rejection } from "../support/reject.ts";
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
} from "./peer.ts";

describe("5.4.1: who may win an election", () => {
  test.each([
    ["an equal log", [1, 2], 2, 2, true],
    ["a longer log of the same last term", [1, 2], 3, 2, true],
    ["a shorter log of the same last term", [1, 2, 2], 2, 2, false],
    ["a shorter log of a later last term", [1, 2, 2], 1, 3, true],
    ["a longer log of an earlier last term", [1, 3], 9, 2, false],
    ["an empty log against an empty one", [], 0, 0, true],
    ["an empty log against one with an entry", [1], 0, 0, false],
  ])("5.4.1: a vote for %s", (_, terms, index, logTerm, isGranted) => {
    const peer = new Peer({ terms, term: 5 });

    peer.hears("vote", 2, { term: 6, index, logTerm });

    expect(only(peer.work(), "voteResponse")).toMatchObject({ reject: !isGranted, term: 6 });
    expect(peer.raft.status().votedFor).toBe(isGranted ? 2 : 0);
  });

  test("5.4.1: a peer that refused an old log is free for another candidate of the term", () => {
    const peer = new Peer({ terms: [1, 2], term: 2 });

    peer.hears("vote", 2, { term: 3, index: 1, logTerm: 1 });
    peer.hears("vote", 3, { term: 3, index: 2, logTerm: 2 });

    expect(ofType(peer.work(), "voteResponse").map(({ reject }) => reject)).toEqual([true, false]);
  });

  test("5.4.1: a candidate says how far its log reaches, entries that wait for the disk included", () => {
    const peer = followerOf(2, { terms: [1], term: 4 });
    peer.hears("append", 2, { index: 1, logTerm: 1, entries: entriesOf([3, 4], 2) });

    peer.raft.campaign();

    const asked = ofType(peer.raft.ready().messagesAfterSync, "vote");
    expect(asked.map(({ index, logTerm }) => [index, logTerm])).toEqual([
      [3, 4],
      [3, 4],
    ]);
  });

  test("5.4.1: a refused vote does not hold back the peer's own campaign", () => {
    const peer = new Peer({ terms: [1, 2], term: 2 });

    peer.ticks(9);
    peer.hears("vote", 2, { index: 1, logTerm: 1 });
    peer.ticks(1);

    expect(peer.raft.role).toBe("candidate");
  });
});

describe("5.4.2: what counting commits", () => {
  test("5.4.2: an entry of an earlier term is not committed by counting", () => {
    const peer = leaderOf({ terms: [1, 2] });

    peer.acks(2, 2);
    peer.acks(3, 2);

    expect(peer.raft.status().progress.map(({ matchIndex }) => matchIndex)).toEqual([3, 2, 2]);
    expect(peer.raft.commitIndex).toBe(0);
  });

  test("5.4.2: an entry of the own term commits those before it", () => {
    const peer = leaderOf({ terms: [1, 2] });

    peer.acks(2, 2);
    peer.acks(2, 3);

    expect(peer.raft.commitIndex).toBe(3);
  });

  test("5.4.2: figure 8: an entry that a majority has may be replaced while no later term is committed", () => {
    // S1 led in term 2, lost, and leads in term 4: entry 2 of term 2 reaches a majority.
    const s1 = leaderOf({ terms: [1, 2], term: 3, voters: [1, 2, 3, 4, 5], commitIndex: 1 });
    s1.acks(2, 2);
    s1.acks(3, 2);
    expect(s1.raft.commitIndex).toBe(1);

    // S5, with an entry of term 3, wins the votes of S2, S3 and S4 and replaces it everywhere.
    const s2 = new Peer({ id: 2, terms: [1, 2], term: 4, voters: [1, 2, 3, 4, 5], commitIndex: 1 });
    s2.hears("vote", 5, { term: 5, index: 2, logTerm: 3 });
    expect(only(s2.work(), "voteResponse").reject).toBe(false);
    s2.hears("append", 5, { index: 1, logTerm: 1, entries: entriesOf([3, 5], 2), commitIndex: 3 });

    expect(s2.terms).toEqual([1, 3, 5]);
    expect(s2.raft.commitIndex).toBe(3);
  });

  test("5.4.2: entries keep their term when a later leader sends them", () => {
    const peer = leaderOf({ terms: [1, 2, 2], term: 6 });

    peer.hears("appendResponse", 2, { reject: true, index: 3, hint: 0 });

    const { entries, term } = only(peer.work(), "append", 2);
    expect([entries.map((entry) => entry.term), term]).toEqual([[1, 2, 2, 7], 7]);
  });

  test("5.4.2: what a peer acknowledged in an earlier term counts for nothing in a later one", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("x"), bytes("y")]);
    peer.work();
    peer.acks(2);
    peer.hears("append", 3, { term: 2, index: 3, logTerm: 1, entries: entriesOf([2, 2, 2], 4) });
    peer.work();
    peer.raft.campaign();
    peer.work();
    peer.hears("voteResponse", 3);
    peer.work();

    expect(peer.raft.role).toBe("leader");
    expect(peer.raft.status().progress.map(({ matchIndex }) => matchIndex)).toEqual([7, 0, 0]);
    expect(peer.raft.commitIndex).toBe(3);
  });

  test("5.4.2: a new leader learns by its own first entry what is committed", () => {
    const peer = leaderOf({ terms: [1, 1, 1], commitIndex: 1 });

    expect(peer.raft.commitIndex).toBe(1);
    peer.acks(3);

    expect(peer.raft.commitIndex).toBe(4);
  });
});

describe("5.4.3: what later leaders have", () => {
  /** Logs of five peers: each a start of some longer log, with growing terms. */
  const logs = fc.array(
    fc
      .array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 })
      .map((terms) => terms.toSorted((a, b) => a - b)),
    { minLength: 5, maxLength: 5 },
  );

  test("5.4.3: whoever lacks what the last leader committed wins no election", () => {
    fc.assert(
      fc.property(
        logs,
        fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 3, maxLength: 3 }),
        (all, quorum) => {
          // A leader of term 5 brought its entry to a quorum, which makes their logs equal to its own.
          const [first = 0] = quorum;
          const committed = [...(all[first] as number[]), 5];
          const after = all.map((terms, at) => (quorum.includes(at) ? committed : terms));
          for (const [id, terms] of after.entries()) {
            if (quorum.includes(id)) continue;
            const votes = after.filter((theirs, at) => at === id || grants(theirs, terms)).length;
            expect(votes).toBeLessThan(3);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test("5.4.3: a leader keeps whatever it has, committed or not", () => {
    const peer = leaderOf({ terms: [1, 2, 3], commitIndex: 1 });

    peer.acks(2);
    peer.work();

    expect(peer.applied.map(({ term }) => term)).toEqual([1, 2, 3, 4]);
  });

  /** Whether a peer with one log votes for a candidate with another. */
  function grants(ownTerms: readonly number[], candidateTerms: readonly number[]): boolean {
    const peer = new Peer({ terms: ownTerms, term: 5 });
    const [index, logTerm] = [candidateTerms.length, candidateTerms.at(-1) ?? 0];
    peer.hears("vote", 2, { term: 6, index, logTerm });
    return !only(peer.work(), "voteResponse").reject;
  }
});

describe("5.5: peers that come and go", () => {
  test("5.5: a candidate that gets no answers asks again, in a later term", () => {
    const peer = candidateOf();

    peer.ticks(10);

    expect(peer.work().map(({ type, to, term }) => [type, to, term])).toEqual([
      ["vote", 2, 2],
      ["vote", 3, 2],
    ]);
  });

  test("5.5: a leader tells a silent follower of itself for ever", () => {
    const peer = leaderOf();

    const sent: Message[] = [];
    for (let at = 0; at < 100; at += 1) {
      peer.raft.tick();
      sent.push(...peer.work());
    }

    expect(ofType(sent, "heartbeat").filter(({ to }) => to === 3)).toHaveLength(100);
  });

  test("5.5: a follower that comes back is brought up to date", () => {
    const peer = settledLeaderOf();
    peer.raft.propose([bytes("a"), bytes("b")]);
    peer.work();
    peer.acks(2);
    peer.work();
    const crashed = new Peer({ id: 3, terms: [1], term: 1 });

    peer.hears("heartbeatResponse", 3);
    for (const sent of peer.work()) if (sent.to === 3) crashed.raft.step(sent);
    peer.raft.step(only(crashed.work(), "appendResponse"));
    for (const sent of peer.work()) if (sent.to === 3) crashed.raft.step(sent);

    expect(crashed.raft.lastIndex).toBe(3);
  });

  test("5.5: a message that comes twice does no harm", () => {
    const peer = followerOf(2, { terms: [1] });
    const append = { index: 1, logTerm: 1, commitIndex: 2, entries: entriesOf([1], 2) };

    for (let at = 0; at < 3; at += 1) {
      peer.hears("append", 2, append);
      peer.work();
    }

    expect(peer.raft.lastIndex).toBe(2);
    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2]);
  });

  test("5.5: a restarted peer has the term, the vote and the log that it promised", () => {
    const peer = new Peer();
    peer.hears("vote", 3, { term: 2 });
    peer.hears("append", 3, { term: 2, entries: entriesOf([1, 2]), commitIndex: 1 });
    peer.work();

    const { raft } = peer.restarted();

    expect(raft.status()).toMatchObject({ term: 2, votedFor: 3, lastIndex: 2, lastTerm: 2, commitIndex: 1 });
    expect([raft.role, raft.leader]).toEqual(["follower", 0]);
  });

  test("5.5: a restarted leader follows, and may lead again in a later term", () => {
    const peer = settledLeaderOf({ terms: [1], term: 3 }).restarted();

    expect([peer.raft.role, peer.raft.term]).toEqual(["follower", 4]);
    peer.ticks(10);
    peer.work();
    peer.hears("voteResponse", 2);

    expect([peer.raft.role, peer.raft.term]).toEqual(["leader", 5]);
  });

  test("5.5: a restarted candidate does not vote for another in the term it asked votes in", () => {
    const peer = candidateOf({ term: 3 }).restarted();

    peer.hears("vote", 2, { term: 4, index: 9, logTerm: 3 });

    expect(only(peer.work(), "voteResponse").reject).toBe(true);
  });

  test("5.5: entries that were applied before a restart are not handed out again when the driver says so", () => {
    const { log } = settledLeaderOf({ terms: [1] });
    const stored = { ...log.stored(), appliedIndex: 1 };
    const peer = new Peer({}, Object.assign(log, { stored: () => stored }));

    peer.work();

    expect(peer.applied.map(({ index }) => index)).toEqual([2]);
  });
});

describe("5.6: time", () => {
  test("5.6: heartbeats come more often than elections, or the options are refused", async () => {
    const options = { electionTicks: 3, heartbeatTicks: 3 };

    const error = await rejection(() => new Peer({ options }), "INVALID_OPTION");

    expect(error.details).toEqual({ name: "electionTicks", value: 3 });
  });

  test("5.6: ticks alone commit nothing and end no term but by an election", () => {
    const peer = leaderOf({ terms: [1] });

    peer.ticks(1_000);
    peer.work();

    expect([peer.raft.commitIndex, peer.raft.term, peer.raft.role]).toEqual([0, 2, "leader"]);
  });

  test("5.6: a peer that slept through many elections takes the vote of none back", () => {
    const peer = new Peer({ term: 1 });
    peer.hears("vote", 2, { term: 2 });
    peer.work();

    peer.hears("vote", 3, { term: 2 });
    peer.hears("vote", 3, { term: 9 });
    peer.hears("vote", 2, { term: 2 });

    expect(inShort(peer.work())).toEqual(["voteResponse to 3", "voteResponse to 3"]);
    expect([peer.raft.term, peer.raft.status().votedFor]).toEqual([9, 3]);
  });
});
