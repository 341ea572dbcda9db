import { describe, expect, test } from "vitest";

import { type Command, MetaStore, type MetaStoreOptions, type Stamp } from "../../../src/meta/index.ts";
import { applyAll, applyOne, bytes, put } from "../../support/meta-entries.ts";

/** A store in which session 1 is open. */
function storeWithSession(options?: MetaStoreOptions): MetaStore {
  const store = new MetaStore(options);
  applyOne(store, { type: "openSession" });
  return store;
}

function stamped(command: Command, sequence: number, firstWanted = 1, session = 1): Command {
  const stamp: Stamp = { session, sequence, firstWanted };
  return { ...command, stamp } as Command;
}

describe("R11: a retried command", () => {
  test("is applied once, and gets the answer of the first time without its events", () => {
    const store = storeWithSession();
    const command = stamped(put("k", "1", { ifRevision: 0 }), 1);

    const first = applyOne(store, command);
    applyOne(store, put("k", "2"));
    const again = applyOne(store, command);

    expect(again).toEqual({ ...first, isRepeat: true, events: [] });
    expect(first).toMatchObject({ ok: true, isRepeat: false, revision: 1 });
    expect(store.get("k")).toMatchObject({ value: bytes("2"), version: 2 });
  });

  test("is refused again if it was refused, although it would be accepted now", () => {
    const store = storeWithSession();
    const command = stamped(put("k", "", { ifRevision: 1 }), 1);

    const first = applyOne(store, command);
    applyOne(store, put("k"));
    const again = applyOne(store, command);

    expect(again).toEqual({ ...first, isRepeat: true });
    expect(again.refusal).toEqual({ code: "CONDITION_FAILED", expected: 1, received: 0 });
  });

  test.each<[string, Command]>([
    ["a delete", { type: "delete", key: "k" }],
    ["a compaction", { type: "compact", revision: 1 }],
    ["a grant", { type: "grantLease", ttlMs: 5 }],
    ["a renewal", { type: "renewLease", lease: 2 }],
    ["the end of a lease", { type: "revokeLease", lease: 2 }],
    ["a transaction with all it read", {
      type: "transaction",
      compares: [],
      thenOps: [
        { type: "get", key: "k" },
        { type: "get", key: "no" },
        { type: "put", key: "n", value: bytes("n") },
        { type: "range", range: { prefix: "" } },
        { type: "deleteRange", range: { prefix: "k" } },
      ],
      elseOps: [],
    }],
  ])("gets its whole answer again: %s", (_, command) => {
    const store = storeWithSession();
    applyAll(store, [{ type: "grantLease", ttlMs: 9 }, put("k", "v", { lease: 2 }), put("k2", "w")]);

    const first = applyOne(store, stamped(command, 5));
    const again = applyOne(store, stamped(command, 5));

    expect(first.ok).toBe(true);
    expect(again).toEqual({ ...first, isRepeat: true, events: [] });
  });

  test("is another command under another sequence or in another session", () => {
    const store = storeWithSession();
    applyOne(store, { type: "openSession" });

    applyAll(store, [stamped(put("k"), 1), stamped(put("k"), 2), stamped(put("k"), 1, 1, 2)]);

    expect(store.get("k")?.version).toBe(3);
  });

  test("is known after a restore", () => {
    const store = storeWithSession();
    const first = applyOne(store, stamped(put("k"), 1));

    const restored = MetaStore.restore(store.snapshot());

    expect(applyOne(restored, stamped(put("k"), 1))).toEqual({ ...first, isRepeat: true, events: [] });
    expect(restored.get("k")?.version).toBe(1);
  });
});

describe("a sequence", () => {
  test("whose answer is wanted no more is refused, whether it was applied or not", () => {
    const store = storeWithSession();
    applyAll(store, [stamped(put("a"), 1), stamped(put("b"), 5, 4)]);

    const [applied, never] = applyAll(store, [stamped(put("a"), 1), stamped(put("c"), 3, 3)]);

    expect(applied?.refusal).toEqual({ code: "SEQUENCE_DISCARDED", expected: 4, received: 1 });
    expect(never?.refusal).toEqual({ code: "SEQUENCE_DISCARDED", expected: 4, received: 3 });
    expect([store.get("a")?.version, store.get("c"), store.answerCount]).toEqual([1, undefined, 1]);
  });

  test("may come before a lower one", () => {
    const store = storeWithSession();

    const outcomes = applyAll(store, [stamped(put("b"), 2), stamped(put("a"), 1)]);

    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true]);
  });

  test("of the last answers that fit is answered, and lower ones are refused", () => {
    const store = storeWithSession({ sessionAnswersMax: 2 });
    applyAll(store, [stamped(put("k"), 2), stamped(put("k"), 9), stamped(put("k"), 4)]);

    const outcomes = [2, 4, 9, 3, 3].map((sequence) => applyOne(store, stamped(put("k"), sequence)));

    expect(outcomes.map(({ isRepeat, refusal }) => refusal?.code ?? isRepeat)).toEqual([
      "SEQUENCE_DISCARDED", true, true, false, "SEQUENCE_DISCARDED",
    ]);
    expect([store.answerCount, store.get("k")?.version]).toEqual([2, 4]);
  });
});

describe("a session", () => {
  test("has the index of its entry as its number", () => {
    const store = new MetaStore();

    const outcomes = applyAll(store, [{ type: "noop" }, { type: "openSession" }, { type: "openSession" }]);

    expect(outcomes.map(({ answer }) => answer)).toEqual([
      { type: "none" }, { type: "session", session: 2 }, { type: "session", session: 3 },
    ]);
  });

  test("that is unknown or closed refuses commands, which are not applied", () => {
    const store = storeWithSession();
    applyOne(store, stamped(put("k"), 1));

    const closed = applyOne(store, { type: "closeSession", session: 1 });
    const outcomes = applyAll(
      store,
      [stamped(put("k"), 1), stamped(put("k"), 2), stamped(put("k"), 1, 1, 7)],
    );
    const again = applyOne(store, { type: "closeSession", session: 1 });

    expect(closed.answer).toEqual({ type: "none" });
    expect([...outcomes, again].map(({ refusal }) => refusal)).toEqual(
      [1, 1, 7, 1].map((session) => ({ code: "SESSION_UNKNOWN", expected: 0, received: session })),
    );
    expect([store.get("k")?.version, store.sessionCount, store.answerCount]).toEqual([1, 0, 0]);
  });

  test("that was used least recently is forgotten for a new one", () => {
    const store = new MetaStore({ sessionsMax: 2 });
    applyAll(store, [{ type: "openSession" }, { type: "openSession" }, stamped(put("k"), 1, 1, 1)]);

    applyOne(store, { type: "openSession" });

    expect([1, 2, 4].map((session) => store.hasSession(session))).toEqual([true, false, true]);
  });

  test("is used by a retry and by a refusal too", () => {
    const store = new MetaStore({ sessionsMax: 2 });
    applyAll(store, [
      { type: "openSession" }, stamped(put("k"), 1), { type: "openSession" }, stamped(put("k"), 1),
      { type: "openSession" },
    ]);

    expect([1, 3, 5].map((session) => store.hasSession(session))).toEqual([true, false, true]);
  });

  test("that was used least recently is the same after a restore", () => {
    const store = new MetaStore({ sessionsMax: 2 });
    applyAll(store, [{ type: "openSession" }, { type: "openSession" }, stamped(put("k"), 1, 1, 1)]);

    const restored = MetaStore.restore(store.snapshot(), { sessionsMax: 2 });
    applyOne(restored, { type: "openSession" });

    expect([1, 2, 4].map((session) => restored.hasSession(session))).toEqual([true, false, true]);
  });
});

describe("the bytes of all answers", () => {
  const get: Command = {
    type: "transaction",
    compares: [],
    thenOps: [{ type: "get", key: "k" }],
    elseOps: [],
  };

  test("are bounded by forgetting the sessions that were used least recently", () => {
    const store = new MetaStore({ answersBytesMax: 8_000 });
    const sessions = Array.from({ length: 9 }, (_, at) => at + 1);
    applyAll(store, [...sessions.map(() => ({ type: "openSession" }) as const), put("k", "x".repeat(850))]);

    applyAll(store, [2, 1, 3, 4, 5, 6, 7, 8, 9].map((session) => stamped(get, 1, 1, session)));

    expect(sessions.filter((session) => !store.hasSession(session))).toEqual([2]);
    expect(store.answerCount).toBe(8);
  });

  test("are bounded within a session, at an eighth of them, by forgetting its lowest sequences", () => {
    const store = storeWithSession({ answersBytesMax: 16_000 });
    applyOne(store, put("k", "x".repeat(800)));

    applyAll(store, [stamped(get, 1), stamped(get, 2), stamped(get, 3)]);

    expect(
      [applyOne(store, stamped(get, 1)).refusal?.code, applyOne(store, stamped(get, 2)).isRepeat],
    ).toEqual([
      "SEQUENCE_DISCARDED", true,
    ]);
  });

  test("leave no room for an answer that is larger alone: it is given once", () => {
    const store = storeWithSession({ answersBytesMax: 500 });
    applyOne(store, put("k", "x".repeat(800)));

    const outcomes = [applyOne(store, stamped(get, 1)), applyOne(store, stamped(get, 1))];

    expect(outcomes.map(({ ok, refusal }) => [ok, refusal?.code])).toEqual([
      [true, undefined], [false, "SEQUENCE_DISCARDED"],
    ]);
    expect([store.answerCount, store.hash()]).toEqual([0, store.hashFully()]);
  });
});
