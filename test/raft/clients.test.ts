/** Commands and who takes them: the extended Raft paper, section 8, a test for each fact. */
import { describe, expect, test } from "vitest";

import { bytes, candidateOf, entriesOf, followerOf, only, Peer, settledLeaderOf } from "./peer.ts";

describe("8: what is applied is what was agreed on", () => {
  test("8: commands are handed out as they were proposed", () => {
    const peer = settledLeaderOf();
    const texts = ["first", "second", ""];
    peer.raft.propose(texts.map(bytes));
    peer.work();
    peer.acks(3);
    peer.work();

    expect(peer.applied.slice(1).map(({ data }) => new TextDecoder().decode(data))).toEqual(texts);
  });

  test("8: a follower hands its clients' commands to the leader", () => {
    const peer = followerOf(2);
    const leader = settledLeaderOf({ id: 2 });

    const proposed = peer.raft.propose([bytes("x"), bytes("y")]);
    for (const sent of peer.work()) leader.raft.step(sent);

    expect(proposed.outcome).toBe("forwarded");
    expect(leader.terms).toEqual([1, 1, 1]);
  });

  test("8: or tells them to go elsewhere, when it forwards nothing or knows no leader", () => {
    const silent = followerOf(2, { options: { forwardProposals: false } });

    expect(silent.raft.propose([bytes("x")])).toEqual({ outcome: "refused", reason: "notLeader" });
    expect(new Peer().raft.propose([bytes("x")])).toEqual({ outcome: "refused", reason: "noLeader" });
    expect(candidateOf().raft.propose([bytes("x")])).toEqual({ outcome: "refused", reason: "noLeader" });
  });

  test("8: a peer that is taken for the leader and is not refuses by the proposal's id", () => {
    const peer = followerOf(3);

    peer.hears("propose", 2, { context: 44, entries: entriesOf([0]) });

    expect(only(peer.work(), "proposeRefused")).toMatchObject({ to: 2, context: 44 });
    expect(peer.raft.lastIndex).toBe(0);
  });
});
