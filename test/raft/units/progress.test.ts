/** What a leader knows of a peer, and the window of appends on their way to it. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Inflights } from "../../../src/raft/group/inflights.ts";
import { Progress } from "../../../src/raft/group/progress.ts";
import { configOf } from "../../../src/raft/index.ts";
import { rejection } from "../../support/reject.ts";
import { snapshotOf } from "../peer.ts";

const LIMITS = { messagesMax: 3, entriesMax: 100, bytesMax: 1_000 };

function stage(matchIndex: number, nextIndex: number, state: Progress["state"] = "probe"): Progress {
  const progress = new Progress(nextIndex, false, true, LIMITS);
  progress.matchIndex = matchIndex;
  if (state === "replicate") progress.becomeReplicate();
  progress.nextIndex = nextIndex;
  return progress;
}

describe("the window", () => {
  const sends = fc.array(
    fc.oneof(
      fc.record({ entries: fc.integer({ min: 1, max: 9 }), bytes: fc.nat(90) }),
      fc.record({ freed: fc.double({ min: 0, max: 1.2, noNaN: true }) }),
    ),
    { maxLength: 300 },
  );

  test("it counts as a plain list counts", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), sends, (messagesMax, all) => {
        const limits = { messagesMax, entriesMax: 60, bytesMax: 600 };
        const window = new Inflights(limits);
        let list: { last: number; entries: number; bytes: number }[] = [];
        let last = 0;
        for (const one of all) {
          if ("freed" in one) {
            const to = Math.floor(one.freed * last);
            window.freeTo(to);
            list = list.filter((sent) => sent.last > to);
          } else if (!window.isFull) {
            last += one.entries;
            window.add(last, one.entries, one.bytes);
            list.push({ last, entries: one.entries, bytes: one.bytes });
          }
          const entries = list.reduce((sum, sent) => sum + sent.entries, 0);
          const bytes = list.reduce((sum, sent) => sum + sent.bytes, 0);
          expect(window.count).toBe(list.length);
          expect(window.isFull).toBe(list.length >= messagesMax || entries >= 60 || bytes >= 600);
        }
        window.reset();
        expect([window.count, window.isFull]).toEqual([0, false]);
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ["one too many", [1, 2, 3, 4]],
    ["one out of order", [2, 2]],
    ["one that goes back", [5, 3]],
  ])("%s is refused", async (_, indexes) => {
    const window = new Inflights(LIMITS);

    const error = await rejection(() => {
      for (const index of indexes) window.add(index, 1, 1);
    }, "INVARIANT");

    expect(error.details["lastIndex"]).toBe(indexes.at(-1));
  });
});

describe("transitions", () => {
  test("replicate starts behind what the peer has", () => {
    const progress = stage(4, 9);

    progress.becomeReplicate();

    expect([progress.state, progress.matchIndex, progress.nextIndex]).toEqual(["replicate", 4, 5]);
  });

  test("probe forgets what was sent ahead", () => {
    const progress = stage(4, 5, "replicate");
    progress.sentEntries(3, 30);
    progress.sentCommit = 7;

    progress.becomeProbe();

    expect([progress.state, progress.nextIndex, progress.inflights.count]).toEqual(["probe", 5, 0]);
    expect(progress.sentCommit).toBe(4);
  });

  test("after a snapshot that arrived, probing starts behind it; after one that did not, behind the match", () => {
    const arrived = stage(1, 2);
    const lost = stage(1, 2);
    for (const one of [arrived, lost]) one.becomeSnapshot(snapshotOf(10, 1, configOf([1])));
    expect([arrived.state, arrived.isThrottled, arrived.nextIndex]).toEqual(["snapshot", true, 11]);

    lost.pendingSnapshot = 0;
    arrived.becomeProbe();
    lost.becomeProbe();

    expect([arrived.nextIndex, lost.nextIndex]).toEqual([11, 2]);
    expect([arrived.pendingSnapshot, arrived.transfer]).toEqual([0, undefined]);
  });

  test("a probe is one append, until it is answered", () => {
    const progress = stage(0, 5);

    progress.sentEntries(0, 0);
    expect(progress.isThrottled).toBe(false);
    progress.sentEntries(2, 20);

    expect([progress.isThrottled, progress.nextIndex]).toEqual([true, 5]);
  });

  test("in step, each append goes on behind the last, until the window is full", () => {
    const progress = stage(4, 5, "replicate");

    for (let at = 0; at < 3; at += 1) progress.sentEntries(2, 20);

    expect([progress.nextIndex, progress.isThrottled, progress.inflights.count]).toEqual([11, true, 3]);
  });

  test.each([
    [5, true, 5, 9],
    [9, true, 9, 10],
    [3, false, 3, 9],
    [1, false, 3, 9],
  ])("an acknowledgement of %i is news: %s", (index, isNews, matchIndex, nextIndex) => {
    const progress = stage(3, 9);
    progress.isPaused = true;

    expect(progress.maybeUpdate(index)).toBe(isNews);

    expect([progress.matchIndex, progress.nextIndex]).toEqual([matchIndex, nextIndex]);
    expect(progress.isPaused).toBe(!isNews);
  });

  test.each([
    ["replicate", 9, 10, 5, 4, false, 10],
    ["replicate", 5, 10, 5, 4, false, 10],
    ["replicate", 5, 10, 9, 7, true, 6],
    ["probe", 0, 1, 0, 0, true, 1],
    ["probe", 0, 10, 5, 4, false, 10],
    ["probe", 0, 10, 9, 9, true, 9],
    ["probe", 0, 10, 9, 8, true, 9],
    ["probe", 0, 10, 9, 2, true, 3],
    ["probe", 0, 10, 9, 0, true, 1],
    ["probe", 4, 10, 9, 2, true, 5],
  ] as const)("%s, match %i, next %i: a refusal of %i with hint %i", (...row) => {
    const [state, matchIndex, nextIndex, refused, hint, isNews, expected] = row;
    const progress = stage(matchIndex, nextIndex, state);

    expect(progress.maybeStepBack(refused, hint)).toBe(isNews);

    expect([progress.matchIndex, progress.nextIndex]).toEqual([matchIndex, expected]);
  });

  test.each([
    [3, 9, 5, 4, true],
    [3, 9, 4, 4, false],
    [3, 9, 9, 8, false],
  ])(
    "match %i, next %i: commit %i after %i is worth telling: %s",
    (matchIndex, nextIndex, commit, sent, isNews) => {
      const progress = stage(matchIndex, nextIndex);
      progress.sentCommit = sent;

      expect(progress.canRaiseCommit(commit)).toBe(isNews);
    },
  );

  test("a new term knows nothing but the end of the own log", () => {
    const [own, other] = [stage(3, 9, "replicate"), stage(3, 9, "replicate")];
    other.ackedRound = 7;

    own.reset(20, true);
    other.reset(20, false);

    expect([own.matchIndex, own.nextIndex]).toEqual([20, 21]);
    expect([other.matchIndex, other.nextIndex, other.ackedRound, other.isRecentlyActive]).toEqual([
      0,
      21,
      0,
      false,
    ]);
  });

  test("a peer that would be sent what it has stops the leader", async () => {
    const progress = stage(9, 9);

    const error = await rejection(() => progress.becomeReplicate(), "INVARIANT");

    expect(error.details).toEqual({ matchIndex: 9, nextIndex: 9 });
  });

  test("whatever happens, a peer is sent what comes after what it has", () => {
    const acts = fc.array(
      fc.record({
        act: fc.constantFrom("update", "stepBack", "probe", "replicate", "snapshot", "send"),
        a: fc.nat(20),
        b: fc.nat(20),
      }),
      { maxLength: 50 },
    );
    fc.assert(
      fc.property(acts, (all) => {
        const progress = stage(0, 1);
        let matchIndex = 0;
        for (const { act, a, b } of all) {
          if (act === "update") progress.maybeUpdate(a);
          else if (act === "stepBack") {
            const isNews = progress.maybeStepBack(Math.max(a, b), Math.min(a, b));
            if (isNews && progress.state === "replicate") progress.becomeProbe();
          }
          if (act === "probe") progress.becomeProbe();
          else if (act === "replicate") progress.becomeReplicate();
          else if (act === "snapshot") progress.becomeSnapshot(snapshotOf(a + 1, 1, configOf([1])));
          else if (act === "send" && !progress.isThrottled) {
            progress.sentEntries(progress.inflights.isFull ? 0 : a, b);
          }
          expect(progress.matchIndex).toBeGreaterThanOrEqual(matchIndex);
          expect(progress.nextIndex).toBeGreaterThan(progress.matchIndex);
          ({ matchIndex } = progress);
        }
      }),
      { numRuns: 500 },
    );
  });
});
