/**
 * Options that cannot be, each refused with its name and value; and the bounds of queues: full, and free
 * again.
 */
import { describe, expect, test } from "vitest";

import { configOf, Raft } from "../../../src/raft/index.ts";
import { MemoryLog } from "../../../src/raft/log/memory-log.ts";
import { partOf } from "../../../src/raft/log/snapshot.ts";
import { rejection } from "../../support/reject.ts";
import { bytes, chance, entriesOf, followerOf, ofType, only, settledLeaderOf, snapshotOf } from "../peer.ts";

const COUNTS = [
  "peerId",
  "electionTicks",
  "heartbeatTicks",
  "appendBytesMax",
  "applyingBytesMax",
  "uncommittedBytesMax",
  "inflightMessagesMax",
  "inflightEntriesMax",
  "inflightBytesMax",
  "readsMax",
  "snapshotPartsMax",
  "snapshotResendTicks",
  "snapshotBytesMax",
  "entriesMax",
  "termLeapMax",
] as const;

const FLAGS = [
  "preVote",
  "checkQuorum",
  "stepDownOnRemoval",
  "forwardProposals",
  "validateChanges",
  "questionsWait",
  "overlapsWrites",
] as const;

function start(options: Readonly<Record<string, unknown>>): Raft {
  const log = new MemoryLog();
  return new Raft({ peerId: 1, random: chance(0), ...options }, log, log.stored());
}

describe("arguments", () => {
  test.each([NaN, 0.5, 0, -1, 2 ** 53])("an election timeout of %s ticks is refused", async (ticks) => {
    const { raft } = followerOf(2);

    await rejection(() => raft.setElectionTimeout(ticks), "INVALID_ARGUMENT");
  });

  test.each([NaN, 0.5, -1, 2 ** 53])("a read with the context %s is refused", async (context) => {
    const { raft } = followerOf(2);

    await rejection(() => raft.readIndex(context), "INVALID_ARGUMENT");
  });

  test.each([null, undefined, {}, { transition: "auto" }, { transition: "soon", changes: [] }])(
    "a change of members that is %j is refused",
    async (change) => {
      const { raft } = settledLeaderOf();

      await rejection(() => raft.proposeChange(change as never), "INVALID_ARGUMENT");
      expect(raft.propose([bytes("x")]).outcome).toBe("appended");
    },
  );
});

test("a snapshot that is larger than the bound is not kept, and the next one may come", () => {
  const peer = followerOf(2, { options: { snapshotBytesMax: 10 } });
  const large = snapshotOf(5, 1, configOf([1, 2, 3]), ["123456", "123456", "1"]);
  const small = snapshotOf(6, 1, configOf([1, 2, 3]), ["12345", "12345"]);

  for (const part of [0, 1, 2]) peer.hears("snapshot", 2, { snapshot: partOf(large, part) });
  peer.work();
  expect(peer.raft.commitIndex).toBe(0);
  for (const part of [0, 1]) peer.hears("snapshot", 2, { snapshot: partOf(small, part) });
  peer.work();

  expect(peer.raft.commitIndex).toBe(6);
});

describe("options", () => {
  const badCounts = COUNTS.flatMap((name) =>
    [0, -1, 1.5, NaN, Infinity, 2 ** 53, "10", true, {}].map((value) => [name, value] as const),
  );

  test.each(badCounts)("%s: %s is refused", async (name, value) => {
    const error = await rejection(() => start({ [name]: value }), "INVALID_OPTION");

    expect(error.details).toEqual({ name, value });
    expect(error.message).toContain(name);
  });

  test.each(FLAGS.flatMap((name) => [0, 1, "true", {}].map((value) => [name, value] as const)))(
    "%s: %s is refused",
    async (name, value) => {
      const error = await rejection(() => start({ [name]: value }), "INVALID_OPTION");

      expect(error.details).toEqual({ name, value });
    },
  );

  test.each([
    ["reads", "fast", {}],
    ["reads", "lease", { checkQuorum: false }],
    ["electionTicks", 5, { heartbeatTicks: 5 }],
    ["electionTicks", 1, {}],
  ])("%s: %s is refused with %j", async (name, value, others) => {
    const error = await rejection(() => start({ ...others, [name]: value }), "INVALID_OPTION");

    expect(error.details).toEqual({ name, value });
    expect(error.message).toContain(String(value));
  });

  test("undefined means the default", () => {
    const all = Object.fromEntries([...COUNTS, ...FLAGS, "reads"].map((name) => [name, undefined]));

    expect(start({ ...all, peerId: 1 }).status()).toMatchObject({ peerId: 1, electionTimeout: 10 });
  });
});

describe("commands that are not applied yet", () => {
  const stage = { options: { uncommittedBytesMax: 10 } };

  test("they are bounded in bytes; beyond, a proposal is refused, whole", () => {
    const peer = settledLeaderOf(stage);

    expect(peer.raft.propose([bytes("12345678")]).outcome).toBe("appended");
    expect(peer.raft.propose([bytes("9"), bytes("ab")])).toEqual({
      outcome: "refused",
      reason: "overloaded",
    });

    expect(peer.raft.lastIndex).toBe(2);
    expect(peer.raft.status().uncommittedBytes).toBe(8);
  });

  test("what still fits is taken", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.propose([bytes("12345678")]);

    expect(peer.raft.propose([bytes("9a")]).outcome).toBe("appended");
    expect(peer.raft.propose([bytes("b")]).outcome).toBe("refused");
  });

  test("applying makes room", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.propose([bytes("123456789a")]);
    expect(peer.raft.propose([bytes("b")]).outcome).toBe("refused");
    peer.work();

    peer.acks(2);
    expect(peer.raft.propose([bytes("b")]).outcome).toBe("refused");
    peer.work();

    expect(peer.raft.status().uncommittedBytes).toBe(0);
    expect(peer.raft.propose([bytes("b")]).outcome).toBe("appended");
  });

  test("one command larger than the bound enters when nothing waits", () => {
    const peer = settledLeaderOf(stage);

    expect(peer.raft.propose([bytes("x".repeat(100))]).outcome).toBe("appended");
    expect(peer.raft.propose([bytes("y")]).outcome).toBe("refused");
  });

  test("empty commands enter always, and so does leaving a joint configuration", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.proposeChange({
      transition: "auto",
      changes: [
        { kind: "addVoter", peerId: 4 },
        { kind: "remove", peerId: 3 },
      ],
    });
    peer.work();
    peer.acks(2);
    peer.raft.propose([bytes("x".repeat(100))]);
    peer.work();

    expect(peer.raft.propose([bytes("")]).outcome).toBe("appended");
    expect(peer.raft.lastIndex).toBe(4);
    expect(peer.raft.config.autoLeave).toBe(true);
  });

  test("a forwarded proposal that is too much is refused by its id", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.propose([bytes("123456789a")]);

    peer.hears("propose", 2, { context: 9, entries: entriesOf([0]) });

    expect(only(peer.work(), "proposeRefused")).toMatchObject({ to: 2, context: 9 });
  });

  test("a refused change of members does not stand in the way of the next", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.propose([bytes("123456789a")]);
    const change = { transition: "auto", changes: [{ kind: "remove", peerId: 3 }] } as const;

    expect(peer.raft.proposeChange(change)).toEqual({ outcome: "refused", reason: "overloaded" });
    peer.work();
    peer.acks(2);
    peer.work();

    expect(peer.raft.proposeChange(change).outcome).toBe("appended");
  });

  test("a new lead counts from nothing", () => {
    const peer = settledLeaderOf(stage);
    peer.raft.propose([bytes("12345678")]);
    peer.work();

    peer.hears("heartbeat", 2, { term: 2 });
    expect(peer.raft.status().uncommittedBytes).toBe(0);
    peer.raft.campaign();
    peer.work();
    peer.hears("voteResponse", 2);
    peer.work();
    peer.acks(2);
    peer.work();

    expect(peer.applied.map(({ term }) => term)).toEqual([1, 1, 3]);
    expect(peer.raft.status().uncommittedBytes).toBe(0);
    expect(peer.raft.propose([bytes("123456789a")]).outcome).toBe("appended");
  });
});

describe("reads that wait", () => {
  const stage = { options: { readsMax: 3 } };

  test("a leader bounds them, and takes more when they are answered", () => {
    const peer = settledLeaderOf(stage);

    expect([1, 2, 3, 4].map((context) => peer.raft.readIndex(context))).toEqual([
      undefined,
      undefined,
      undefined,
      "overloaded",
    ]);
    peer.work();
    expect(peer.raft.readIndex(5)).toBe("overloaded");
    peer.hears("heartbeatResponse", 2, { context: 1 });

    expect(peer.raft.readIndex(6)).toBeUndefined();
  });

  test("batches of followers count, and are refused by their id", () => {
    const peer = settledLeaderOf(stage);

    for (const context of [1, 2, 3, 4]) peer.hears("readIndex", 2, { context });

    const answers = ofType(peer.work(), "readIndexResponse");
    expect(answers.map(({ context, reject }) => [context, reject])).toEqual([[4, true]]);
  });

  test("a follower bounds its own, and takes more when they are answered or given up", () => {
    const peer = followerOf(2, stage);
    for (const context of [1, 2, 3]) peer.raft.readIndex(context);
    const [{ context } = { context: 0 }] = peer.work();
    expect(peer.raft.readIndex(4)).toBe("overloaded");

    peer.hears("readIndexResponse", 2, { context, index: 0 });
    for (const each of [5, 6, 7]) expect(peer.raft.readIndex(each)).toBeUndefined();
    peer.work();
    expect(peer.raft.readIndex(8)).toBe("overloaded");
    for (let at = 0; at < 10; at += 1) {
      peer.ticks(1);
      peer.hears("heartbeat", 2);
    }

    expect(peer.raft.readIndex(9)).toBeUndefined();
  });

  test("a leader that loses its lead forgets them", () => {
    const peer = settledLeaderOf(stage);
    for (const context of [1, 2, 3]) peer.raft.readIndex(context);
    peer.work();

    peer.hears("heartbeat", 2, { term: 5 });
    peer.work();

    expect(peer.refusedReads).toEqual([1, 2, 3]);
    expect(peer.raft.readIndex(4)).toBeUndefined();
  });

  test("rounds without an answer are bounded: what is asked beyond waits in the queue", () => {
    const peer = settledLeaderOf();
    for (let at = 0; at < 70; at += 1) {
      peer.raft.readIndex(at);
      peer.work();
    }
    expect(peer.raft.hasReady()).toBe(false);

    peer.hears("heartbeatResponse", 2, { context: 64 });
    peer.work();
    peer.hears("heartbeatResponse", 2, { context: 65 });
    peer.work();

    expect(peer.reads.map(({ context }) => context)).toEqual(Array.from({ length: 70 }, (_, at) => at));
  });
});
