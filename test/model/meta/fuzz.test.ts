/** Bytes that nobody wrote: every peer makes the same of them, and no state comes out damaged. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { CoterieError } from "../../../src/errors.ts";
import { type Command, decodeCommand, encodeCommand, MetaStore } from "../../../src/meta/index.ts";
import { anyCommand, applyAll, applyData, bytes, put } from "../../support/meta-entries.ts";

interface Damage {
  readonly at: number;
  readonly kind: "flip" | "drop" | "add" | "cut";
  readonly byte: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(10_000),
  kind: fc.constantFrom("flip" as const, "drop" as const, "add" as const, "cut" as const),
  byte: fc.integer({ min: 1, max: 255 }),
});

/** The bytes with one thing wrong: always other bytes than before. */
function damaged(given: Uint8Array, { at, kind, byte }: Damage): Uint8Array {
  const place = at % given.length;
  if (kind === "cut") return given.slice(0, place);
  const rest = [...given];
  if (kind === "flip") rest[place] = rest[place]! ^ byte;
  else if (kind === "drop") rest.splice(place, 1);
  else rest.splice(place, 0, byte);
  return Uint8Array.from(rest);
}

function decodedOrUndefined(data: Uint8Array): Command | undefined {
  try {
    return decodeCommand(data);
  } catch (error) {
    if (!CoterieError.is(error, "INVALID_ARGUMENT")) throw error;
    return undefined;
  }
}

const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.tuple(
    fc.integer({ min: 1, max: 0x8c }),
    fc.uint8Array({ maxLength: 40 }),
  ).map(([kind, rest]) => Uint8Array.of(1, kind, ...rest)),
  fc.tuple(anyCommand, damage).map(([command, one]) => {
    const encoded = encodeCommand(command);
    return encoded.length === 0 ? encoded : damaged(encoded, one);
  }),
);

test("bytes are a command in its one encoding, or refused with INVALID_ARGUMENT", () => {
  fc.assert(
    fc.property(someBytes, (data) => {
      const command = decodedOrUndefined(data);

      expect(command === undefined ? data : encodeCommand(command)).toEqual(data);
    }),
    { numRuns: 10_000 },
  );
});

test("an entry of any bytes is applied by every peer alike, and never throws", () => {
  fc.assert(
    fc.property(fc.array(someBytes, { maxLength: 40 }), (entries) => {
      const [one, other] = [new MetaStore(), new MetaStore()];
      let malformedCount = 0;
      for (const data of entries) {
        const outcome = applyData(one, data);
        if (decodedOrUndefined(data) === undefined) malformedCount += 1;

        expect(applyData(other, Buffer.from(data))).toEqual(outcome);
        expect(outcome.refusal?.code === "MALFORMED").toBe(decodedOrUndefined(data) === undefined);
      }
      expect([one.hash(), one.hashFully()]).toEqual([other.hash(), other.hash()]);
      expect(one.malformedCount).toBe(malformedCount);
    }),
    { numRuns: 300 },
  );
});

const LIMITS = { historyEventsMax: 8 };

/** One of everything, in some 200 bytes. */
function fullStore(): MetaStore {
  const store = new MetaStore(LIMITS);
  const stamp = { session: 1, sequence: 3, firstWanted: 2 };
  const lookAt = { type: "transaction" as const, compares: [], elseOps: [] };
  applyAll(store, [
    { type: "openSession" },
    { type: "openSession" },
    { type: "grantLease", ttlMs: 5_000 },
    { ...put("é", "1", { lease: 3 }), stamp } as Command,
    {
      ...lookAt,
      thenOps: [{ type: "get", key: "é" }, { type: "delete", key: "no" }],
      stamp: { ...stamp, sequence: 4 },
    },
    ...["a", "b", "c", "d", "a", "b"].map((key, at) => put(key, String(at))),
    { type: "delete", key: "c" },
    { type: "compact", revision: 2 },
    { type: "delete", key: "nothing", stamp: { session: 1, sequence: 5, firstWanted: 2 } },
    put("a", "0"),
  ]);
  applyData(store, bytes("no command"));
  return store;
}

function restoreError(chunks: Iterable<Uint8Array>): string {
  try {
    return `restored ${MetaStore.restore(chunks, LIMITS).hash()}`;
  } catch (error) {
    if (!CoterieError.is(error)) throw error;
    return error.code;
  }
}

const REFUSED = new Set(["SNAPSHOT_DAMAGED", "CONFIG_MISMATCH"]);

test("R12: a snapshot with any one bit wrong is refused", () => {
  const [chunk] = [...fullStore().snapshot()] as [Uint8Array];
  const restored: number[] = [];
  for (let bit = 0; bit < 8 * chunk.length; bit++) {
    const copy = Uint8Array.from(chunk);
    copy[bit >> 3] = copy[bit >> 3]! ^ (1 << (bit & 7));
    if (!REFUSED.has(restoreError([copy]))) restored.push(bit);
  }

  expect(chunk.length).toBeGreaterThan(170);
  expect(restored).toEqual([]);
});

test("R12: a snapshot that ends early or goes on is refused, wherever", () => {
  const [chunk] = [...fullStore().snapshot()] as [Uint8Array];
  const ends = Array.from(chunk, (_, end) => restoreError([chunk.subarray(0, end)]));

  expect(new Set(ends)).toEqual(new Set(["SNAPSHOT_DAMAGED"]));
  expect(restoreError([chunk, Uint8Array.of(0)])).toBe("SNAPSHOT_DAMAGED");
  expect(restoreError([chunk, chunk])).toBe("SNAPSHOT_DAMAGED");
});

test("a snapshot with several things wrong, or of any bytes, is refused with a code of its own", () => {
  const [chunk] = [...fullStore().snapshot()] as [Uint8Array];
  const wrong = fc.oneof(
    fc.array(damage, { minLength: 1, maxLength: 4 }).map((all) => all.reduce((given, one) => {
      return given.length === 0 ? given : damaged(given, one);
    }, chunk)),
    fc.uint8Array({ maxLength: 200 }),
  );
  fc.assert(
    fc.property(wrong, fc.integer({ min: 1, max: 100 }), (given, chunkBytes) => {
      const chunks = Array.from({ length: Math.ceil(given.length / chunkBytes) }, (_, at) => {
        return given.subarray(at * chunkBytes, (at + 1) * chunkBytes);
      });
      const isWhole = Buffer.from(given).equals(chunk);

      expect(isWhole || REFUSED.has(restoreError(chunks))).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});
