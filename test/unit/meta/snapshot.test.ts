import { describe, expect, test } from "vitest";

import {
  type Command,
  type KeyValue,
  MetaStore,
  SNAPSHOT_CHUNK_BYTES,
  SNAPSHOT_VERSION,
} from "../../../src/meta/index.ts";
import { encodeOutcome } from "../../../src/meta/codec/answer.ts";
import { refusalOf, refused } from "../../../src/meta/outcome.ts";
import { writeSnapshot } from "../../../src/meta/snapshot/write.ts";
import { Digest } from "../../../src/meta/state/digest.ts";
import { digestContent } from "../../../src/meta/state/key-space.ts";
import { State } from "../../../src/meta/state/state.ts";
import { applyAll, applyOne, bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

/** Enough for many frames, with one value that is larger than a frame and a chunk. */
function largeStore(): MetaStore {
  const store = new MetaStore();
  applyAll(store, [{ type: "openSession" }, { type: "grantLease", ttlMs: 5 }]);
  for (let i = 0; i < 3_000; i++) applyOne(
    store,
    put(`k${i % 2_500}`, `${i}`.repeat(20), i % 3 === 0 ? { lease: 2 } : {}),
  );
  applyOne(store, put("large", "x".repeat(400_000)));
  for (let sequence = 1; sequence <= 100; sequence++) {
    applyOne(
      store,
      {
        ...put("s", String(sequence)),
        stamp: { session: 1, sequence, firstWanted: 50 > sequence ? sequence : 50 },
      } as Command,
    );
  }
  return store;
}

/** As JSON, which compares much faster than megabytes of bytes one by one. */
function textOf(answer: object): string {
  return JSON.stringify(answer, (_, value: unknown) => {
    return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
  });
}

/** Puts a record that no entries could make, but for what `more` says. */
function putRecord(state: State, more: Partial<KeyValue>): void {
  const record = {
    key: "k",
    value: bytes(""),
    createRevision: 1,
    revision: 1,
    version: 1,
    lease: 0,
    ...more,
  };
  const content = new Digest();
  digestContent(content, record.key, record.value);
  state.keys.put(record, content);
}

describe("R12: a snapshot", () => {
  test("restores the state with its hash, which is right anew", () => {
    const store = largeStore();

    const restored = MetaStore.restore(store.snapshot());

    expect(restored.hash()).toBe(store.hash());
    expect(restored.hashFully()).toBe(store.hash());
    expect(textOf(restored.range({ prefix: "" }))).toBe(textOf(store.range({ prefix: "" })));
    expect(textOf(restored.eventsSince(0))).toBe(textOf(store.eventsSince(0)));
    expect([restored.appliedIndex, restored.appliedTerm, restored.revision]).toEqual([3_103, 1, 3_101]);
    expect([...restored.leases()]).toEqual([...store.leases()]);
    expect(restored.leaseKeys(2)).toEqual(store.leaseKeys(2));
  });

  test("of an empty store restores an empty store", () => {
    const store = new MetaStore();

    const restored = MetaStore.restore(store.snapshot());

    expect([restored.hash(), restored.appliedIndex]).toEqual([store.hash(), 0]);
  });

  test("is the same bytes for the same state, restored or not, in chunks of any size", () => {
    const store = largeStore();
    const whole = Buffer.concat([...store.snapshot()]);

    for (const chunkBytes of [1_000, 32_768, 10_000_000]) {
      const chunks = [...store.snapshot({ chunkBytes })];
      const restored = MetaStore.restore(chunks);

      expect(chunks.slice(0, -1).every((chunk) => chunk.length === chunkBytes)).toBe(true);
      expect(chunks.at(-1)!.length).toBeLessThanOrEqual(chunkBytes);
      expect(Buffer.concat(chunks).equals(whole)).toBe(true);
      expect(Buffer.concat([...restored.snapshot()]).equals(whole)).toBe(true);
    }
  });

  test("comes in chunks of 256 KiB by default, of which none is changed later", () => {
    const chunks = [...largeStore().snapshot()];

    expect(chunks.map((chunk) => chunk.length === SNAPSHOT_CHUNK_BYTES)).toContain(true);
    expect(MetaStore.restore(chunks).keyCount).toBe(2_502);
  });

  test("is read from chunks of one byte as well, and from empty ones in between", () => {
    const store = new MetaStore();
    applyAll(store, [put("a"), put("b")]);

    const chunks = [...store.snapshot({ chunkBytes: 1 })].flatMap((chunk) => [chunk, new Uint8Array(0)]);

    expect(MetaStore.restore(chunks).hash()).toBe(store.hash());
  });

  test("has the watch history in it: a watch goes on as before, or is told that it cannot", async () => {
    const store = new MetaStore();
    applyAll(store, [put("a"), put("b"), put("c"), { type: "compact", revision: 1 }]);

    const restored = MetaStore.restore(store.snapshot());

    expect(restored.eventsSince(1)).toEqual(store.eventsSince(1));
    expect(
      (await rejection(() => restored.eventsSince(0), "COMPACTED")).details["compactedRevision"],
    ).toBe(1);
  });

  test("does not write a value twice that is in the history and in a record", () => {
    const store = new MetaStore();
    applyOne(store, put("k", "x".repeat(10_000)));

    const [chunk] = [...store.snapshot()];

    expect(chunk!.length).toBeLessThan(10_200);
  });

  test("keeps the values that the history shares with no record apart", () => {
    const store = new MetaStore();
    applyAll(store, [put("k", "old"), put("k", "new"), put("gone", "x"), { type: "delete", key: "gone" }]);

    const { events } = MetaStore.restore(store.snapshot()).eventsSince(0);

    expect(events.map(({ value }) => value)).toEqual(["old", "new", "x", ""].map((text) => bytes(text)));
  });
});

describe("R12: a snapshot whose hash is right is refused all the same", () => {
  test("when its records are in another order", async () => {
    const store = new MetaStore({ historyEventsMax: 1 });
    applyAll(store, [put("first"), put("second"), put("second"), put("third")]);
    const text = Buffer.concat([...store.snapshot()]).toString("latin1");
    const item = (key: string, rest: string) => `${String.fromCharCode(key.length)}${key}${rest}`;
    const [first, second] = [item("first", "\0\x01\x01\x01\0"), item("second", "\0\x02\x03\x02\0")];
    const swapped = Buffer.from(text.replace(first + second, second + first), "latin1");

    const restore = () => MetaStore.restore([swapped], { historyEventsMax: 1 });

    expect(text).toContain(first + second);
    expect((await rejection(restore, "SNAPSHOT_DAMAGED")).message).toContain("an item is wrong");
  });

  test.each<[string, (state: State) => void]>([
    ["a record has a lease that is not there", (state) => putRecord(state, { lease: 7 })],
    ["a record is of a revision to come", (state) => putRecord(state, { revision: 2 })],
    ["a record was made after its last change", (state) => putRecord(state, { createRevision: 2 })],
    ["a record has version 0", (state) => putRecord(state, { version: 0 })],
    ["a record has a version beyond all counting", (state) => putRecord(state, { version: 2 ** 52 + 1 })],
    ["its index is no index", (state) => void (state.appliedIndex = 2 ** 52 + 1)],
    ["its term is no term", (state) => void (state.appliedTerm = 2 ** 52 + 1)],
    ["more entries were malformed than there are", (state) => void (state.malformedCount = 2)],
    ["a session holds more than its share", (state) => {
      state.sessions.open(1);
      state.sessions.restoreAnswer(1, 1, encodeOutcome(refused(1, refusalOf("MALFORMED", 1, 1))));
      state.sessions.restoreAnswer(1, 2, encodeOutcome(refused(1, refusalOf("MALFORMED", 1, 1))));
    }],
    ["a lease was renewed by an entry to come", (state) => state.leases.grant(7, 5, 2)],
    ["a session was used by an entry to come", (state) => state.sessions.open(2)],
    ["there are more revisions than entries", (state) => void (state.revision = 2)],
    ["more is compacted than there is", (state) => state.history.compact(2)],
    ["an answer is none", (state) => {
      state.sessions.open(1);
      state.sessions.keep({ session: 1, sequence: 1, firstWanted: 1 }, Uint8Array.of(1, 99));
    }],
  ])("when %s", async (_, spoil) => {
    const limits = { ...new MetaStore().limits, answersBytesMax: 1_000 };
    const state = new State(limits);
    state.appliedIndex = 1;
    state.revision = 1;
    spoil(state);

    const restore = () => MetaStore.restore(writeSnapshot(state, 1_000), limits);
    const error = await rejection(restore, "SNAPSHOT_DAMAGED");

    expect(error.message).toContain("an item is wrong");
  });
});

describe("taking a snapshot", () => {
  test("while entries are applied stops with an error rather than mix two states", async () => {
    const store = largeStore();
    const snapshot = store.snapshot({ chunkBytes: 1_000 });
    snapshot.next();

    applyOne(store, put("k"));

    const error = await rejection(() => snapshot.next(), "INVARIANT");
    expect(error.details).toEqual({ appliedIndex: 3_103, found: 3_104 });
  });

  test.each([0, -1, 1.5, "9"])("in chunks of %s bytes is refused", async (chunkBytes) => {
    const call = () => new MetaStore().snapshot({ chunkBytes: chunkBytes as number });

    expect((await rejection(call, "INVALID_ARGUMENT")).message).toMatch(/chunkBytes must be from 1, got/);
  });
});

describe("restoring", () => {
  test("from what is no list of chunks is refused", async () => {
    const noList = await rejection(() => MetaStore.restore(7 as never), "INVALID_ARGUMENT");
    const noBytes = await rejection(() => MetaStore.restore(["text"] as never), "SNAPSHOT_DAMAGED");
    const nothing = await rejection(() => MetaStore.restore([]), "SNAPSHOT_DAMAGED");

    expect(noList.message).toBe("meta restore: chunks must be iterable, got 7");
    expect(noBytes.message).toContain("a chunk is no Uint8Array");
    expect(nothing.message).toContain("its end is missing");
  });

  test("a snapshot of another version says which", async () => {
    const [chunk] = [...new MetaStore().snapshot()] as [Uint8Array];
    chunk[5] = SNAPSHOT_VERSION + 1;

    const error = await rejection(() => MetaStore.restore([chunk]), "SNAPSHOT_DAMAGED");

    expect(error.message).toContain(
      `it has version ${SNAPSHOT_VERSION + 1}, and ${SNAPSHOT_VERSION} is what is read`,
    );
  });

  test("under other options is refused with both", async () => {
    const store = new MetaStore({ leasesMax: 7 });

    const error = await rejection(
      () => MetaStore.restore(store.snapshot(), { leasesMax: 8 }),
      "CONFIG_MISMATCH",
    );

    expect(error.message).toBe("the snapshot was made under other limits: leasesMax 7, here 8");
    expect(error.details).toMatchObject({ snapshot: { leasesMax: 7 }, store: { leasesMax: 8 } });
  });

  test("a damaged snapshot leaves the store that was there as it was", async () => {
    const store = largeStore();
    const before = store.hash();
    const chunks = [...store.snapshot()].map((chunk) => Uint8Array.from(chunk));
    chunks[0]![50_000]! ^= 1;

    const error = await rejection(() => MetaStore.restore(chunks), "SNAPSHOT_DAMAGED");

    expect(error.details["position"]).toBeGreaterThan(0);
    expect([store.hash(), store.hashFully()]).toEqual([before, before]);
    expect(applyOne(store, put("k")).ok).toBe(true);
  });

  test("keeps nothing of the chunks", () => {
    const store = largeStore();
    const chunks = [...store.snapshot()];

    const restored = MetaStore.restore(chunks);
    for (const chunk of chunks) chunk.fill(0);

    expect(restored.hashFully()).toBe(store.hash());
    expect(
      applyOne(
        restored,
        { ...put("s"), stamp: { session: 1, sequence: 60, firstWanted: 50 } } as Command,
      ).isRepeat,
    ).toBe(true);
  });
});
