/**
 * The parts of a log, each against a slow twin that keeps plain arrays: the terms as runs, the end that is
 * not on the disk, and the log that joins both.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Entry, limitBytes } from "../../../src/raft/index.ts";
import { entryBytes, payloadBytes } from "../../../src/raft/log/entry.ts";
import { RaftLog } from "../../../src/raft/log/log.ts";
import { TermRuns } from "../../../src/raft/log/term-runs.ts";
import { Unstable } from "../../../src/raft/log/unstable.ts";
import { configOf } from "../../../src/raft/index.ts";
import { MemoryLog } from "../../../src/raft/log/memory-log.ts";
import { rejection } from "../../support/reject.ts";
import { bytes, entriesOf, snapshotOf } from "../peer.ts";

const BIG = 1_000_000;

describe("term runs", () => {
  type Act =
    | { readonly act: "append"; readonly rise: number; readonly count: number }
    | { readonly act: "truncate"; readonly share: number }
    | { readonly act: "forget"; readonly share: number };

  const acts = fc.array(
    fc.oneof(
      {
        arbitrary: fc.record({ act: fc.constant("append" as const), rise: fc.nat(2), count: fc.nat(4) }),
        weight: 6,
      },
      fc.record({ act: fc.constant("truncate" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ act: fc.constant("forget" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    ) as fc.Arbitrary<Act>,
    { maxLength: 60 },
  );

  /** The twin: the term of each index, from `base` on. */
  function lastAtMost(
    terms: ReadonlyMap<number, number>,
    index: number,
    term: number,
    lowest: number,
  ): number {
    const last = Math.max(...terms.keys());
    for (let at = Math.min(index, last); at >= lowest; at -= 1) {
      if ((terms.get(at) as number) <= term) return at;
    }
    return Math.max(lowest - 1, 0);
  }

  test("they say what an array of terms says, after any appends, cuts and compactions", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(3), acts, (base, baseTerm, all) => {
        const runs = new TermRuns(base, baseTerm);
        const terms = new Map([[base, baseTerm]]);
        let forgotten = base;
        for (const one of all) {
          const last = Math.max(...terms.keys());
          if (one.act === "append") {
            const term = (terms.get(last) as number) + one.rise;
            for (let index = last + 1; index <= last + one.count; index += 1) {
              runs.append(index, term);
              terms.set(index, term);
            }
          } else if (one.act === "truncate") {
            const from = forgotten + 1 + Math.floor(one.share * (last - forgotten));
            runs.truncateFrom(from);
            for (let index = from; index <= last; index += 1) terms.delete(index);
          } else {
            forgotten += Math.floor(one.share * (last - forgotten));
            runs.forgetBelow(forgotten);
          }
        }
        const last = Math.max(...terms.keys());
        expect([runs.lastIndex, runs.lastTerm]).toEqual([last, terms.get(last)]);
        for (let index = forgotten; index <= last + 2; index += 1) {
          expect(runs.at(index)).toBe(terms.get(index));
          for (let term = terms.get(forgotten) as number; term < 12; term += 3) {
            expect(runs.lastAtMost(index, term)).toBe(lastAtMost(terms, index, term, forgotten));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a log of many terms is searched as an array is", () => {
    const runs = fc.array(
      fc.record({ rise: fc.integer({ min: 1, max: 3 }), count: fc.integer({ min: 1, max: 3 }) }),
      {
        minLength: 12,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(runs, fc.nat(100), fc.nat(20), (all, askedTerm, forget) => {
        const list = new TermRuns(0, 0);
        const terms = new Map([[0, 0]]);
        for (const { rise, count } of all) {
          const term = list.lastTerm + rise;
          for (let at = 0; at < count; at += 1) {
            terms.set(list.lastIndex + 1, term);
            list.append(list.lastIndex + 1, term);
          }
        }
        const forgotten = Math.min(forget, list.lastIndex);
        list.forgetBelow(forgotten);
        const term = Math.max(askedTerm, terms.get(forgotten) as number);
        for (let index = forgotten; index <= list.lastIndex; index += 1) {
          expect([index, list.at(index)]).toEqual([index, terms.get(index)]);
          expect(list.lastAtMost(index, term)).toBe(lastAtMost(terms, index, term, forgotten));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("where no term is low enough, the first known index is passed", () => {
    const runs = new TermRuns(4, 3);
    runs.append(5, 3);

    expect(runs.lastAtMost(5, 2)).toBe(3);
    expect(new TermRuns(0, 1).lastAtMost(9, 0)).toBe(0);
    expect(runs.at(3)).toBeUndefined();
  });

  test.each([
    ["a gap", 7, 3],
    ["a repetition", 5, 3],
    ["a term that falls", 6, 2],
  ])("%s is refused", async (_, index, term) => {
    const runs = new TermRuns(4, 3);
    runs.append(5, 3);

    const error = await rejection(() => runs.append(index, term), "INVARIANT");

    expect(error.details).toEqual({ index, term, lastIndex: 5, lastTerm: 3 });
  });

  test("the entry that the log begins after is never cut", async () => {
    const error = await rejection(() => new TermRuns(4, 3).truncateFrom(4), "INVARIANT");

    expect(error.details).toEqual({ from: 4, first: 4 });
  });
});

describe("the unstable end", () => {
  type Act =
    | { readonly act: "append"; readonly back: number; readonly count: number }
    | { readonly act: "handOut" | "persist" };

  const acts = fc.array(
    fc.oneof(
      fc.record({
        act: fc.constant("append" as const),
        back: fc.nat(3),
        count: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ act: fc.constantFrom("handOut" as const, "persist" as const) }),
    ) as fc.Arbitrary<Act>,
    { maxLength: 40 },
  );

  interface Written {
    readonly entries: readonly Entry[];
    readonly last: number;
    readonly truncations: number;
  }

  test("with the disk it is always the log that was appended, and each entry is handed out", () => {
    fc.assert(
      fc.property(acts, (all) => {
        const unstable = new Unstable(1);
        const log: Entry[] = [];
        const disk: Entry[] = [];
        const writes: Written[] = [];
        let term = 1;
        const handOut = (): void => {
          const entries = unstable.nextEntries();
          unstable.handOut();
          const last = unstable.isEmpty ? 0 : log.length;
          writes.push({ entries, last, truncations: unstable.truncations });
        };
        const persist = (): void => {
          const done = writes.shift();
          if (done === undefined) return;
          const [first] = done.entries;
          if (first !== undefined) disk.splice(first.index - 1, disk.length, ...done.entries);
          if (done.last > 0 && done.truncations === unstable.truncations) unstable.stableTo(done.last);
        };
        for (const one of all) {
          if (one.act === "append") {
            term += 1;
            const first = Math.max(log.length - one.back, 0) + 1;
            const entries = entriesOf(
              Array.from({ length: one.count }, () => term),
              first,
            );
            unstable.append(entries);
            log.splice(first - 1, log.length, ...entries);
          } else if (one.act === "handOut") handOut();
          else persist();
          // What is stable is on the disk, and the rest is here.
          expect(disk.slice(0, unstable.offset - 1)).toEqual(log.slice(0, unstable.offset - 1));
          expect(unstable.slice(unstable.offset, log.length + 1)).toEqual(log.slice(unstable.offset - 1));
        }
        handOut();
        while (writes.length > 0) persist();
        expect(disk).toEqual(log);
        expect([unstable.hasNextEntries, unstable.isEmpty]).toEqual([false, true]);
      }),
      { numRuns: 300 },
    );
  });

  test("a write that was overtaken by a cut makes nothing stable", () => {
    const unstable = new Unstable(1);
    unstable.append(entriesOf([1, 1]));
    unstable.handOut();
    const before = unstable.truncations;

    unstable.append(entriesOf([2], 2));

    expect(unstable.truncations).toBeGreaterThan(before);
    expect(unstable.nextEntries().map(({ index, term }) => [index, term])).toEqual([[2, 2]]);
  });

  test("a cut of what was never handed out spoils no write", () => {
    const unstable = new Unstable(1);
    unstable.append(entriesOf([1]));
    unstable.handOut();
    unstable.append(entriesOf([1, 1], 2));
    const before = unstable.truncations;

    unstable.append(entriesOf([2], 2));

    expect(unstable.truncations).toBe(before);
  });

  test("a snapshot takes everything's place, is handed out once, and is gone when it is stored", () => {
    const unstable = new Unstable(1);
    unstable.append(entriesOf([1, 1]));

    unstable.restore(snapshotOf(9, 2, configOf([1])));
    expect([unstable.offset, unstable.isEmpty, unstable.nextSnapshot?.index]).toEqual([10, true, 9]);
    unstable.handOut();
    expect([unstable.nextSnapshot, unstable.snapshot?.index]).toEqual([undefined, 9]);
    unstable.snapshotStable(8);
    expect(unstable.snapshot?.index).toBe(9);
    unstable.snapshotStable(9);

    expect(unstable.snapshot).toBeUndefined();
  });

  test.each([
    ["a gap", (unstable: Unstable) => unstable.append(entriesOf([1], 7)), { first: 7, end: 5 }],
    [
      "a slice from below",
      (unstable: Unstable) => unstable.slice(2, 4),
      { from: 2, to: 4, offset: 3, end: 5 },
    ],
    ["a slice beyond", (unstable: Unstable) => unstable.slice(3, 6), { from: 3, to: 6, offset: 3, end: 5 }],
    ["what was not handed out", (unstable: Unstable) => unstable.stableTo(4), { index: 4, nextWrite: 3 }],
  ])("%s is refused", async (_, act, details) => {
    const unstable = new Unstable(3);
    unstable.append(entriesOf([1, 1], 3));

    const error = await rejection(() => act(unstable), "INVARIANT");

    expect(error.details).toEqual(details);
  });
});

describe("the log", () => {
  function stage(stored: number, memory: number, applyingBytesMax = BIG): RaftLog {
    const disk = new MemoryLog();
    if (stored > 0) disk.append(entriesOf(Array.from({ length: stored }, () => 1)));
    const log = new RaftLog(disk, applyingBytesMax);
    log.append(
      entriesOf(
        Array.from({ length: memory }, () => 2),
        stored + 1,
      ),
    );
    return log;
  }

  test("a slice joins disk and memory, and is the same as a slice of an array", () => {
    fc.assert(
      fc.property(fc.nat(8), fc.nat(8), fc.nat(16), fc.nat(16), fc.nat(120), (stored, memory, a, b, max) => {
        const all = entriesOf([
          ...Array.from({ length: stored }, () => 1),
          ...Array.from({ length: memory }, () => 2),
        ]);
        const [from, to] = [1 + Math.min(a, b), 1 + Math.max(a, b)];
        fc.pre(from < to && to <= all.length + 1);

        expect(stage(stored, memory).slice(from, to, max)).toEqual(
          limitBytes(all.slice(from - 1, to - 1), max),
        );
      }),
      { numRuns: 500 },
    );
  });

  test("entriesFrom tells the end from what is gone", () => {
    const disk = new MemoryLog();
    disk.restore(snapshotOf(5, 1, configOf([1])));
    disk.append(entriesOf([1, 1], 6));
    const log = new RaftLog(disk, BIG);

    expect(log.entriesFrom(8, BIG)).toEqual([]);
    expect(log.entriesFrom(6, BIG)).toHaveLength(2);
    expect(log.entriesFrom(5, BIG)).toBeUndefined();
    expect([log.term(4), log.term(5), log.term(7), log.term(8)]).toEqual([undefined, 1, 1, undefined]);
  });

  test("committed entries are handed out within the limit, and go on when they are applied", () => {
    const log = stage(0, 6, 2 * entryBytes(new Entry(1, 1, "normal", bytes("1"))));
    log.commitTo(5);

    const first = log.nextCommitted(true);
    log.applying(first, true);
    expect(first.map(({ index }) => index)).toEqual([1, 2]);
    expect(log.hasNextCommitted(true)).toBe(false);
    log.appliedTo(2);

    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([3, 4]);
  });

  test("with writes that overlap, only what is on the disk is handed out", () => {
    const log = stage(2, 3);
    log.commitTo(5);

    expect(log.nextCommitted(false).map(({ index }) => index)).toEqual([1, 2]);
    expect(log.nextCommitted(true)).toHaveLength(5);
  });

  test("what is applied gives its bytes back, per whole batch", () => {
    const log = stage(0, 4);
    log.commitTo(4);
    log.applying(log.nextCommitted(true).slice(0, 2), true);

    expect(log.appliedTo(1)).toBe(0);
    expect(log.appliedTo(2)).toBe(payloadBytes(entriesOf([2, 2])));
  });

  test.each([
    ["a commit beyond the log", (log: RaftLog) => log.commitTo(9), { index: 9, lastIndex: 6 }],
    [
      "a change of what is committed",
      (log: RaftLog) => log.append(entriesOf([2], 2)),
      { first: 2, committed: 2 },
    ],
    [
      "applying out of order",
      (log: RaftLog) => log.applying(entriesOf([1], 2), true),
      { first: 2, applying: 0 },
    ],
    ["applied beyond the commit", (log: RaftLog) => log.appliedTo(3), { index: 3, applied: 0, committed: 2 }],
    [
      "an old snapshot",
      (log: RaftLog) => log.restore(snapshotOf(2, 1, configOf([1]))),
      { snapshot: 2, committed: 2 },
    ],
  ])("%s is refused", async (_, act, details) => {
    const log = stage(3, 3);
    log.commitTo(2);

    const error = await rejection(() => act(log), "INVARIANT");

    expect(error.details).toEqual(details);
  });

  test.each([
    [1, 1, 1],
    [2, 1, 2],
    [2, 2, 2],
    [9, 9, 4],
  ])("a batch within %i entries' bytes is at least one long", (count, at, expected) => {
    const entries = entriesOf([1, 1, 1, 1]);
    const max = count * entryBytes(entries[0] as Entry);

    expect(limitBytes(entries, max)).toHaveLength(Math.min(expected, entries.length));
    expect(limitBytes(entries, 0)).toHaveLength(1);
    expect(limitBytes([], at)).toEqual([]);
  });
});
