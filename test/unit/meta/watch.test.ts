import { describe, expect, test } from "vitest";

import { MetaStore } from "../../../src/meta/index.ts";
import { applyAll, applyOne, bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

function putAll(store: MetaStore, ...keys: readonly string[]): void {
  applyAll(store, keys.map((key) => put(key)));
}

/** Three changes under one revision. */
function putThree(store: MetaStore): void {
  const thenOps = ["x", "y", "z"].map((key) => ({ type: "put" as const, key, value: bytes("") }));
  applyOne(store, { type: "transaction", compares: [], thenOps, elseOps: [] });
}

describe("events", () => {
  test("after a revision are all that came since, in order", () => {
    const store = new MetaStore();
    putAll(store, "a", "b", "a");
    applyOne(store, { type: "delete", key: "b" });

    expect(store.eventsSince(2)).toEqual({
      events: [
        { type: "put", key: "a", value: bytes(""), revision: 3, previousRevision: 1 },
        { type: "delete", key: "b", value: bytes(""), revision: 4, previousRevision: 2 },
      ],
      revision: 4,
      more: false,
    });
    expect(store.eventsSince(0).events).toHaveLength(4);
  });

  test("after the last revision, or one that this peer has not reached, are none", () => {
    const store = new MetaStore();
    putAll(store, "a");

    expect(store.eventsSince(1)).toEqual({ events: [], revision: 1, more: false });
    expect(store.eventsSince(9)).toEqual({ events: [], revision: 9, more: false });
  });

  test("can be of a prefix or a range alone, up to the same revision", () => {
    const store = new MetaStore();
    putAll(store, "a", "a/b", "b", "c");
    const keysOf = (options: object) => store.eventsSince(0, options).events.map(({ key }) => key);

    expect(keysOf({ prefix: "a" })).toEqual(["a", "a/b"]);
    expect(keysOf({ from: "a/b", to: "c" })).toEqual(["a/b", "b"]);
    expect(keysOf({ from: "b" })).toEqual(["b", "c"]);
    expect(store.eventsSince(0, { prefix: "no" })).toEqual({ events: [], revision: 4, more: false });
  });

  test("of one revision are never divided by the limit", () => {
    const store = new MetaStore();
    putAll(store, "a");
    putThree(store);
    putAll(store, "b");

    const first = store.eventsSince(0, { limit: 2 });
    const second = store.eventsSince(first.revision, { limit: 2 });

    expect(first.events.map(({ key }) => key)).toEqual(["a", "x", "y", "z"]);
    expect([first.revision, first.more]).toEqual([2, true]);
    expect(second).toMatchObject({ events: [{ key: "b" }], revision: 3, more: false });
  });

  test("of other keys beyond the limit are not more", () => {
    const store = new MetaStore();
    putAll(store, "a", "b", "c", "a", "d");
    const read = (since: number) => store.eventsSince(since, { prefix: "a", limit: 1 });

    expect(read(0)).toMatchObject({ events: [{ key: "a" }], revision: 1, more: true });
    expect(read(1)).toMatchObject({ events: [{ key: "a" }], revision: 5, more: false });
  });

  test("read in small pieces are each there once", () => {
    const store = new MetaStore();
    for (let i = 0; i < 50; i++) {
      if (i % 7 === 0) putThree(store);
      else putAll(store, `k${i % 5}`);
    }
    const seen = [];
    for (let from = 0, more = true; more;) {
      const answer = store.eventsSince(from, { limit: 3 });
      seen.push(...answer.events);
      from = answer.revision;
      more = answer.more;
    }

    expect(seen).toEqual(store.eventsSince(0).events);
  });

  test.each([
    ["a negative revision", -1, {}, /a revision must be a whole number from 0, got -1/],
    ["half a revision", 0.5, {}, /got 0.5/],
    ["limit 0", 0, { limit: 0 }, /limit must be from 1, got 0/],
    ["an end alone", 0, { to: "b" }, /either a prefix, or from/],
    ["prefix and range", 0, { prefix: "a", from: "b" }, /either a prefix, or from/],
  ])("with %s are refused", async (_, revision, options, message) => {
    const error = await rejection(() => new MetaStore().eventsSince(revision, options), "INVALID_ARGUMENT");

    expect(error.message).toMatch(message);
  });
});

test("events with an option that is none are refused", async () => {
  const options: object = { prefx: "a" };

  const error = await rejection(() => new MetaStore().eventsSince(0, options), "INVALID_ARGUMENT");

  expect(error.message).toMatch(/unknown field "prefx"/);
});

describe("compaction", () => {
  test("by a command forgets events up to its revision, and says so below", async () => {
    const store = new MetaStore();
    putAll(store, "a", "b", "c");

    const outcome = applyOne(store, { type: "compact", revision: 2 });

    const error = await rejection(() => store.eventsSince(1), "COMPACTED");
    expect(error.details).toEqual({ since: 1, compactedRevision: 2, revision: 3 });
    expect(error.message).toBe("events after revision 1 are forgotten, up to revision 2");
    expect(store.eventsSince(2).events.map(({ key }) => key)).toEqual(["c"]);
    expect(outcome).toMatchObject(
      { revision: 3, answer: { type: "compacted", compactedRevision: 2 }, events: [] },
    );
    expect(store.range({ prefix: "" }).count).toBe(3);
  });

  test("of what is compacted changes nothing, and of what is to come is refused", () => {
    const store = new MetaStore();
    putAll(store, "a", "b");

    const outcomes = applyAll(store, [2, 1, 3].map((revision) => ({ type: "compact", revision }) as const));

    expect(outcomes[1]?.answer).toEqual({ type: "compacted", compactedRevision: 2 });
    expect(outcomes[2]?.refusal).toEqual({ code: "REVISION_UNKNOWN", expected: 2, received: 3 });
    expect(store.compactedRevision).toBe(2);
  });

  test("by count forgets the oldest revisions, each as a whole", () => {
    const store = new MetaStore({ historyEventsMax: 4 });
    putAll(store, "a");
    putThree(store);
    const before = store.compactedRevision;

    putAll(store, "b");
    const between = [store.compactedRevision, store.eventCount];
    putAll(store, "c");

    expect([before, ...between]).toEqual([0, 1, 4]);
    expect([store.compactedRevision, store.eventCount]).toEqual([2, 2]);
  });

  test("by bytes forgets as much as a large value needs", () => {
    const store = new MetaStore({ historyBytesMax: 1_000 });
    putAll(store, "a", "b", "c");

    applyOne(store, put("d", "x".repeat(1_000 - 64 - 1 - 65)));

    expect([store.compactedRevision, store.eventCount]).toEqual([2, 2]);
  });

  test("of a revision that is too large alone leaves no events", () => {
    const store = new MetaStore({ historyEventsMax: 2 });
    putAll(store, "a");

    putThree(store);

    expect([store.compactedRevision, store.eventCount]).toEqual([2, 0]);
    expect(store.eventsSince(2).events).toEqual([]);
  });

  test("goes on through thousands of events with a history that stays in its bounds", () => {
    const store = new MetaStore({ historyEventsMax: 100 });

    for (let i = 1; i <= 5_000; i++) putAll(store, `k${i % 10}`);

    expect(store.eventsSince(4_900).events.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 100 }, (_, at) => 4_901 + at),
    );
    expect(store.compactedRevision).toBe(4_900);
    expect(store.hash()).toBe(store.hashFully());
  });
});
