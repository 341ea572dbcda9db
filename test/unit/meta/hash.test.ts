import { describe, expect, test } from "vitest";

import { type Command, encodeCommand, MetaStore } from "../../../src/meta/index.ts";
import { Digest, hexOf } from "../../../src/meta/state/digest.ts";
import { applyAll, applyData, applyOne, bytes, put } from "../../support/meta-entries.ts";

/** One of everything. */
const COMMANDS: readonly Command[] = [
  { type: "openSession" },
  { type: "grantLease", ttlMs: 5_000 },
  put("é😀", "value", { lease: 2 }),
  { ...put("k", "1"), stamp: { session: 1, sequence: 1, firstWanted: 1 } } as Command,
  { type: "delete", key: "k" },
];

/** Of the empty store, and after the commands. Changing these breaks every snapshot there is. */
const PINNED = ["fd06c3c9ee9e43b3", "35b90dea209eecd1"];

describe("the hash", () => {
  test("is the same on every machine and in every version", () => {
    const store = new MetaStore();
    const empty = store.hash();

    applyAll(store, COMMANDS, 3);

    expect([empty, store.hash()]).toEqual(PINNED);
  });

  test("is also to be had as two words", () => {
    const store = new MetaStore();
    applyAll(store, COMMANDS);
    const into = new Int32Array(2);

    expect(store.hashWords(into)).toBe(into);
    expect(hexOf(into[0]!, into[1]!)).toBe(store.hash());
    expect([...store.hashWords()]).toEqual([...into]);
  });

  test("is what it would be from everything anew, after each command", () => {
    const store = new MetaStore({ historyEventsMax: 2 });

    for (const command of [...COMMANDS, ...COMMANDS]) {
      applyOne(store, command);
      expect(store.hashFully()).toBe(store.hash());
    }
  });

  test.each<[string, Command]>([
    ["a noop, by the applied index", { type: "noop" }],
    ["a put of the same value", put("k", "1")],
    ["a renewal", { type: "renewLease", lease: 2 }],
    ["a compaction", { type: "compact", revision: 1 }],
    ["a session", { type: "openSession" }],
    [
      "a refusal that is kept",
      { ...put("k", "", { ifRevision: 9 }), stamp: { session: 1, sequence: 2, firstWanted: 1 } } as Command,
    ],
    [
      "the floor of a session",
      { ...put("k", "", { ifRevision: 9 }), stamp: { session: 1, sequence: 2, firstWanted: 2 } } as Command,
    ],
  ])("changes with %s", (_, command) => {
    const stores = [command, { type: "noop" } as const, command].map((last) => {
      const store = new MetaStore();
      applyAll(store, [...COMMANDS, last]);
      return store;
    });
    const [one, noop, same] = stores.map((store) => store.hash());
    const isNoop = command.type === "noop";
    const before = new MetaStore();
    applyAll(before, COMMANDS);

    expect(one).toBe(same);
    expect(one).not.toBe(before.hash());
    expect(one === noop).toBe(isNoop);
  });

  test("differs when the events of one revision are in another order", () => {
    const stores = [["x", "y"], ["y", "x"]].map((keys) => {
      const store = new MetaStore();
      const thenOps = keys.map((key) => ({ type: "put" as const, key, value: bytes("") }));
      applyOne(store, { type: "transaction", compares: [], thenOps, elseOps: [] });
      return store;
    });
    const [one, other] = stores as [MetaStore, MetaStore];

    expect(one.range({ prefix: "" })).toEqual(other.range({ prefix: "" }));
    expect(one.hash()).not.toBe(other.hash());
    for (const store of stores) {
      expect(store.hashFully()).toBe(store.hash());
      expect(MetaStore.restore(store.snapshot()).hash()).toBe(store.hash());
    }
  });

  test("differs between entries of another term, options, and a count of what was malformed", () => {
    const hashes = [1, 2].map((term) => {
      const store = new MetaStore();
      applyOne(store, put("k"), term);
      return store.hash();
    });
    const [malformed, noop] = [bytes("?"), encodeCommand({ type: "noop" })].map((data) => {
      const store = new MetaStore();
      applyData(store, data);
      return store.hash();
    });

    expect(hashes[0]).not.toBe(hashes[1]);
    expect(malformed).not.toBe(noop);
    expect(new MetaStore({ leasesMax: 7 }).hash()).not.toBe(new MetaStore().hash());
  });
});

describe("a digest", () => {
  const digestOf = (writeTo: (digest: Digest) => void) => {
    const digest = new Digest();
    digest.begin(1);
    writeTo(digest);
    digest.end();
    return hexOf(digest.low, digest.high);
  };

  const write = {
    texts: ["", "a", "b", "aa", "a\0", "\0a", "ab", "ba", "abc", "\u{100}", "😀"].map((text) => {
      return (digest: Digest) => digest.text(text);
    }),
    bytes: ["", "\0", "\0\0", "\0\0\0\0", "a\0", "abc", "abcd", "abcd\0", "abcde", "abcdefgh"].map((text) => {
      return (digest: Digest) => digest.bytes(bytes(text));
    }),
    numbers: [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].map((value) => {
      return (digest: Digest) => digest.number(value);
    }),
    pairs: [["ab", ""], ["a", "b"], ["", "ab"], ["a", "b\0"], ["a\0", "b"]].map(([key = "", value]) => {
      return (digest: Digest) => {
        digest.text(key);
        digest.bytes(bytes(value ?? ""));
      };
    }),
  };

  test.each(Object.entries(write))("differs for %s that differ a little", (_, writes) => {
    const digests = writes.map((each) => digestOf(each));

    expect(new Set(digests).size).toBe(writes.length);
  });

  test("changes half of its bits with any one bit of a value, in each lane", () => {
    const base = new Uint8Array(16);
    const words = (given: Uint8Array) => {
      const digest = new Digest();
      digest.begin(1);
      digest.bytes(given);
      digest.end();
      return [digest.low, digest.high];
    };
    const [low, high] = words(base) as [number, number];
    const changes = Array.from({ length: 128 }, (_, bit) => {
      const other = Uint8Array.from(base);
      other[bit >> 3] = 1 << (bit & 7);
      const [otherLow, otherHigh] = words(other) as [number, number];
      return [bitsOf(low ^ otherLow), bitsOf(high ^ otherHigh)] as const;
    });

    for (const lane of [0, 1] as const) {
      const mean = changes.reduce((sum, each) => sum + each[lane], 0) / changes.length;
      expect(mean).toBeGreaterThan(15);
      expect(mean).toBeLessThan(17);
    }
  });

  test("has no collision among many numbers in either lane beyond chance", () => {
    const lows = new Set<number>();
    const highs = new Set<number>();
    const digest = new Digest();
    for (let value = 0; value < 300_000; value++) {
      digest.begin(1);
      digest.number(value);
      digest.end();
      lows.add(digest.low);
      highs.add(digest.high);
    }

    // Of 300,000 draws from 2^32 about 10 are expected to meet one drawn before.
    expect(300_000 - lows.size).toBeLessThan(40);
    expect(300_000 - highs.size).toBeLessThan(40);
  });
});

function bitsOf(word: number): number {
  return (word >>> 0).toString(2).replaceAll("0", "").length;
}
