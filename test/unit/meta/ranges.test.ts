import { describe, expect, test } from "vitest";

import { type KeyRange, MetaStore, type RangeOptions } from "../../../src/meta/index.ts";
import { prefixEnd } from "../../../src/meta/key-range.ts";
import { applyAll, bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

function storeOf(...keys: readonly string[]): MetaStore {
  const store = new MetaStore();
  applyAll(store, keys.map((key) => put(key, `=${key}`)));
  return store;
}

function keysIn(store: MetaStore, range: KeyRange, options?: RangeOptions): string[] {
  return store.range(range, options).records.map(({ key }) => key);
}

describe("keys", () => {
  test("are in order of their code units, so pairs of surrogates come before U+E000", () => {
    const store = storeOf("\u{ffff}", "\u{e000}", "b", "😀", "a", "\u{10ffff}", "é");

    const keys = keysIn(store, { prefix: "" });

    expect(keys).toEqual(["a", "b", "é", "😀", "\u{10ffff}", "\u{e000}", "\u{ffff}"]);
  });

  test("of a range go from the first bound up to, not including, the second", () => {
    const store = storeOf("a", "b", "ba", "c", "d");

    expect(keysIn(store, { from: "b", to: "d" })).toEqual(["b", "ba", "c"]);
    expect(keysIn(store, { from: "bb" })).toEqual(["c", "d"]);
    expect(keysIn(store, { from: "d", to: "b" })).toEqual([]);
    expect(keysIn(new MetaStore(), { prefix: "" })).toEqual([]);
  });

  test("of a prefix are those that begin with it, and no others", () => {
    const store = storeOf("a", "a/", "a/b", "a/b/c", "a0", "b");

    expect(keysIn(store, { prefix: "a/" })).toEqual(["a/", "a/b", "a/b/c"]);
    expect(keysIn(store, { prefix: "" })).toHaveLength(6);
    expect(keysIn(store, { prefix: "c" })).toEqual([]);
  });

  test("of a prefix that ends with a pair of surrogates are right", () => {
    const others = ["\u{10ffff}", "\u{10ffff}x", "\u{ffff}", "\u{ffff}x"];
    const store = storeOf("😀", "😀x", "😁", "\u{e000}", ...others);

    expect(keysIn(store, { prefix: "😀" })).toEqual(["😀", "😀x"]);
    expect(keysIn(store, { prefix: "\u{10ffff}" })).toEqual(["\u{10ffff}", "\u{10ffff}x"]);
    expect(keysIn(store, { prefix: "\u{ffff}" })).toEqual(["\u{ffff}", "\u{ffff}x"]);
  });

  test("after those of a prefix begin with the prefix' last unit raised, without those that cannot be", () => {
    expect(prefixEnd("ab")).toBe("ac");
    expect(prefixEnd("a\u{ffff}\u{ffff}")).toBe("b");
    expect(prefixEnd("\u{ffff}")).toBeUndefined();
    expect(prefixEnd("")).toBeUndefined();
  });
});

describe("a range", () => {
  test("tells whether there is more than its limit", () => {
    const store = storeOf("a", "b", "c");

    expect(store.range({ prefix: "" }, { limit: 2 })).toMatchObject({ count: 2, more: true });
    expect(store.range({ prefix: "" }, { limit: 3 })).toMatchObject({ count: 3, more: false });
    expect(keysIn(store, { prefix: "" }, { limit: 2 })).toEqual(["a", "b"]);
  });

  test("leaves values out when only keys are wanted", () => {
    const store = storeOf("a");

    const { records } = store.range({ prefix: "" }, { keysOnly: true });

    expect(records).toEqual(
      [{ key: "a", value: bytes(""), createRevision: 1, revision: 1, version: 1, lease: 0 }],
    );
    expect(store.get("a")?.value).toEqual(bytes("=a"));
  });

  test("counts all keys, whatever the limit, when only the count is wanted", () => {
    const store = storeOf(...Array.from({ length: 200 }, (_, at) => `k${at}`), "z");

    const answer = store.range({ prefix: "k" }, { countOnly: true, limit: 1 });

    expect(answer).toEqual({ type: "range", records: [], count: 200, more: false });
  });

  test.each([
    ["nothing", undefined, /a range is \{ prefix \} or \{ from, to \}, got undefined/],
    ["neither prefix nor from", {}, /either a prefix, or from and perhaps to/],
    ["both prefix and from", { prefix: "a", from: "b" }, /either a prefix, or from/],
    ["both prefix and to", { prefix: "a", to: "b" }, /either a prefix, or from/],
    ["a number", { prefix: 7 }, /prefix must be well-formed text, got 7/],
    ["half a pair", { prefix: "a\ud83d" }, /prefix must be well-formed text/],
    ["half a pair as the end", { from: "a", to: "\ude00" }, /to must be well-formed text/],
  ])("of %s is refused", async (_, range, message) => {
    const error = await rejection(() => new MetaStore().range(range as KeyRange), "INVALID_ARGUMENT");

    expect(error.message).toMatch(message);
  });

  test.each([0, -1, 1.5, Number.NaN, "2"])("with the limit %s is refused", async (limit) => {
    const call = () => new MetaStore().range({ prefix: "" }, { limit: limit as number });

    expect((await rejection(call, "INVALID_ARGUMENT")).message).toMatch(/limit must be from 1/);
  });
});
