import { describe, expect, test } from "vitest";

import { encodeCommand, MetaStore } from "../../../src/meta/index.ts";
import { applyAll, applyOne, bytes, put } from "../../support/meta-entries.ts";

describe("a put", () => {
  test("makes a key with the next revision, and changes it with the one after", () => {
    const store = new MetaStore();

    applyAll(store, [put("other"), put("k", "1"), put("k", "2")]);

    expect(store.get("k")).toEqual({
      key: "k", value: bytes("2"), createRevision: 2, revision: 3, version: 2, lease: 0,
    });
    expect(store.revision).toBe(3);
  });

  test("answers the revision before, and the event", () => {
    const store = new MetaStore();

    const [first, second] = applyAll(store, [put("k", "1"), put("k", "2")]);

    expect(first).toEqual({
      ok: true,
      isRepeat: false,
      revision: 1,
      events: [{ type: "put", key: "k", value: bytes("1"), revision: 1, previousRevision: 0 }],
      answer: { type: "put", previousRevision: 0 },
      refusal: undefined,
    });
    expect(second).toMatchObject(
      { revision: 2, answer: { previousRevision: 1 }, events: [{ previousRevision: 1 }] },
    );
  });

  test("after a delete makes the key anew", () => {
    const store = new MetaStore();

    applyAll(store, [put("k"), put("k"), { type: "delete", key: "k" }, put("k")]);

    expect(store.get("k")).toMatchObject({ createRevision: 4, revision: 4, version: 1 });
  });

  test("leaves a record that somebody read as it was", () => {
    const store = new MetaStore();
    applyOne(store, put("k", "1"));
    const record = store.get("k");

    applyOne(store, put("k", "2"));

    expect(record).toMatchObject({ value: bytes("1"), revision: 1 });
  });

  test.each([1, 256, 257, 5_000])("keeps a copy of a value of %i bytes, as a plain Uint8Array", (length) => {
    const store = new MetaStore();
    const value = new Uint8Array(length).fill(7);
    const data = Buffer.from(encodeCommand({ type: "put", key: "k", value }));

    store.apply({ index: 1, term: 1, data });
    data.fill(0);

    expect(store.get("k")?.value).toEqual(value);
    expect(Object.getPrototypeOf(store.get("k")?.value)).toBe(Uint8Array.prototype);
  });

  test("keeps small values from writing over each other", () => {
    const store = new MetaStore();

    const valueOf = (i: number) => String(i).repeat(1 + (i % 60));
    for (let i = 0; i < 500; i++) applyOne(store, put(`k${i}`, valueOf(i)));

    for (let i = 0; i < 500; i++) expect(store.get(`k${i}`)?.value).toEqual(bytes(valueOf(i)));
  });
});

describe("a condition", () => {
  test("on the key's revision lets the put through, and any other refuses it", () => {
    const store = new MetaStore();
    applyAll(store, [put("k"), put("k")]);

    const stale = applyOne(store, put("k", "x", { ifRevision: 1 }));
    const good = applyOne(store, put("k", "y", { ifRevision: 2 }));

    expect(stale).toEqual({
      ok: false,
      isRepeat: false,
      revision: 2,
      events: [],
      answer: undefined,
      refusal: { code: "CONDITION_FAILED", expected: 1, received: 2 },
    });
    expect(good).toMatchObject({ ok: true, revision: 3 });
  });

  test("of revision 0 holds only for a key that does not exist", () => {
    const store = new MetaStore();

    const [made, again] = applyAll(store, [put("k", "", { ifRevision: 0 }), put("k", "", { ifRevision: 0 })]);

    expect(made?.ok).toBe(true);
    expect(again?.refusal).toEqual({ code: "CONDITION_FAILED", expected: 0, received: 1 });
  });

  test("holds for a delete as well", () => {
    const store = new MetaStore();
    applyOne(store, put("k"));

    const stale = applyOne(store, { type: "delete", key: "k", ifRevision: 7 });
    const good = applyOne(store, { type: "delete", key: "k", ifRevision: 1 });

    expect(stale.refusal).toEqual({ code: "CONDITION_FAILED", expected: 7, received: 1 });
    expect(good.answer).toEqual({ type: "delete", deletedCount: 1 });
  });
});

describe("a delete", () => {
  test("takes the key away under a revision of its own", () => {
    const store = new MetaStore();
    applyAll(store, [put("a"), put("b")]);

    const outcome = applyOne(store, { type: "delete", key: "a" });

    expect(store.get("a")).toBeUndefined();
    expect(store.keyCount).toBe(1);
    expect(outcome.events).toEqual([
      { type: "delete", key: "a", value: bytes(""), revision: 3, previousRevision: 1 },
    ]);
  });

  test("of nothing leaves the revision as it was", () => {
    const store = new MetaStore();
    applyOne(store, put("a"));

    const [one, many] = applyAll(store, [
      { type: "delete", key: "b" },
      { type: "deleteRange", range: { prefix: "c" } },
    ]);

    expect(one?.answer).toEqual({ type: "delete", deletedCount: 0 });
    expect(many?.answer).toEqual({ type: "delete", deletedCount: 0 });
    expect([store.revision, one?.events, many?.events]).toEqual([1, [], []]);
  });

  test("of a range deletes in order of key, under one revision", () => {
    const store = new MetaStore();
    applyAll(store, [put("b"), put("a"), put("c"), put("d")]);

    const outcome = applyOne(store, { type: "deleteRange", range: { from: "a", to: "d" } });

    expect(outcome.answer).toEqual({ type: "delete", deletedCount: 3 });
    expect(outcome.events.map(({ key, revision }) => [key, revision])).toEqual([
      ["a", 5],
      ["b", 5],
      ["c", 5],
    ]);
    expect(store.range({ prefix: "" }).records.map(({ key }) => key)).toEqual(["d"]);
    expect(store.revision).toBe(5);
  });
});
