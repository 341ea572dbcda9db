import { describe, expect, test } from "vitest";

import { encodeCommand, MetaStore } from "../../../src/meta/index.ts";
import { applyAll, applyData, applyOne, bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

describe("R5: entries", () => {
  test("are applied in order, and each once", async () => {
    const store = new MetaStore();
    applyOne(store, put("a"));
    const data = encodeCommand(put("b"));

    for (const index of [1, 3, 0, 2.5, Number.NaN]) {
      const error = await rejection(() => store.apply({ index, term: 1, data }), "INVARIANT");
      expect(error.details).toEqual({ index, term: 1, appliedIndex: 1, appliedTerm: 1 });
    }

    expect([store.appliedIndex, store.keyCount]).toEqual([1, 1]);
  });

  test("never have a lower term than those before", async () => {
    const store = new MetaStore();
    applyOne(store, put("a"), 3);

    await rejection(() => applyOne(store, put("b"), 2), "INVARIANT");
    applyOne(store, put("b"), 4);

    expect([store.appliedIndex, store.appliedTerm]).toEqual([2, 4]);
  });

  test("without data change nothing but the applied index and term", () => {
    const store = new MetaStore();

    const outcome = applyData(store, new Uint8Array(0), 2);

    expect(outcome).toEqual({
      ok: true, isRepeat: false, revision: 0, events: [], answer: { type: "none" }, refusal: undefined,
    });
    expect([store.appliedIndex, store.appliedTerm, store.malformedCount]).toEqual([1, 2, 0]);
  });

  test("that are no command are refused, counted and applied all the same", () => {
    const store = new MetaStore();

    const outcome = applyData(store, bytes("hello"));
    const next = applyOne(store, put("a"));

    expect(outcome.refusal).toEqual({ code: "MALFORMED", expected: 5, received: 1 });
    expect([outcome.revision, next.revision, store.appliedIndex, store.malformedCount]).toEqual([0, 1, 2, 1]);
  });

  test("make outcomes of one shape", () => {
    const store = new MetaStore();
    const stamp = { session: 1, sequence: 1, firstWanted: 1 };

    const outcomes = applyAll(store, [
      { type: "openSession" }, put("a"), {
        type: "delete",
        key: "a",
        stamp,
      }, { type: "delete", key: "a", stamp },
      { type: "revokeLease", lease: 7 }, { type: "noop" },
    ]);

    expect(new Set(outcomes.map((each) => Object.keys(each).join()))).toEqual(
      new Set(["ok,isRepeat,revision,events,answer,refusal"]),
    );
  });
});

test("two peers that apply the same entries are equal, and any difference shows in the hash", () => {
  const commands = [put("a", "1"), put("b", "2"), { type: "grantLease", ttlMs: 5 } as const];
  const [one, other, third] = [new MetaStore(), new MetaStore(), new MetaStore()];

  applyAll(one, commands);
  applyAll(other, commands);
  applyAll(third, [put("a", "1"), put("b", "3"), { type: "grantLease", ttlMs: 5 }]);

  expect(one.hash()).toBe(other.hash());
  expect(third.hash()).not.toBe(one.hash());
});

test.each(
  ["historyEventsMax", "leasesMax", "sessionsMax", "sessionAnswersMax", "historyBytesMax", "answersBytesMax"],
)(
  "a store refuses %s 0 and unknown options",
  async (name) => {
    const error = await rejection(() => new MetaStore({ [name]: 0 }), "INVALID_OPTION");
    const unknown = await rejection(() => new MetaStore({ [`${name}s`]: 1 }), "INVALID_OPTION");

    expect(error.message).toContain(`option ${name} must be an integer from 1`);
    expect(unknown.message).toContain("unknown option");
  },
);
