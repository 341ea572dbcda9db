/** The arc of a key is Redis Cluster's slot; test/integration asks a real Redis as well. */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ARC_COUNT, arcOf } from "../../../src/ring/index.ts";
import { rejection } from "../../support/reject.ts";
import { slowArcOf } from "../../support/slow-ring.ts";

const require = createRequire(import.meta.url);
/** The package that ioredis itself routes by, found from where ioredis stands. */
const ioredisSlot = createRequire(require.resolve("ioredis"))("cluster-key-slot") as (key: string) => number;

const anyText = fc.oneof(
  fc.string({ unit: "binary-ascii", maxLength: 80 }),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.uint16Array({ maxLength: 30 }).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom("{", "}", "a", "é", "😀", "\ud800", "z", "|"), maxLength: 14 }),
);

describe("the arc of a string", () => {
  test.each([
    ["", 0],
    ["123456789", 0x31c3],
    ["foo", 12_182],
    ["bar", 5_061],
    ["hello", 866],
    ["user:1000", 1_649],
  ])("%j is in the slot that Redis documents or answers", (key, slot) => {
    expect(arcOf(key)).toBe(slot);
  });

  test.each([
    ["{user1000}.following", "user1000"],
    ["foo{bar}{zap}", "bar"],
    ["foo{{bar}}zap", "{bar"],
    ["a}b{c}d", "c"],
    ["{é}.x", "é"],
  ])("%j is placed by its tag %j", (key, tag) => {
    expect(arcOf(key)).toBe(arcOf(tag));
    expect(arcOf(Buffer.from(key))).toBe(arcOf(tag));
  });

  test.each(["foo{}{bar}", "{}", "foo{bar", "foo}bar{", "{}x"])("%j has no tag", (key) => {
    expect(arcOf(key)).toBe(slowArcOf(key));
    expect(arcOf(key)).not.toBe(arcOf("bar"));
  });

  test("is found wherever in the key the tag or the first wide character stands", () => {
    for (let before = 0; before < 13; before++) {
      for (let after = 0; after < 6; after++) {
        const around = (middle: string) => `${"x".repeat(before)}${middle}${"y".repeat(after)}`;

        expect(arcOf(around("{tag}"))).toBe(arcOf("tag"));
        for (const middle of ["{}", "é", "\x7f", "\xff", "{"]) {
          expect(arcOf(around(middle))).toBe(slowArcOf(around(middle)));
        }
      }
    }
  });

  test("agrees with the obvious twin for whatever JavaScript calls a string", () => {
    fc.assert(
      fc.property(anyText, (key) => {
        expect(arcOf(key)).toBe(slowArcOf(key));
      }),
      { numRuns: 3_000 },
    );
  });

  test("is that of its UTF-8 bytes, lone surrogates as Buffer.from writes them", () => {
    fc.assert(
      fc.property(anyText, (key) => {
        expect(arcOf(key)).toBe(arcOf(Buffer.from(key)));
      }),
      { numRuns: 3_000 },
    );
  });

  test("is the slot of the package that ioredis routes by, where that one follows Redis", () => {
    // That package reads a tag after an empty "{}", which Redis does not, and lone surrogates its own way.
    const sound = anyText.filter((key) => !/\p{Surrogate}/u.test(key) && !key.includes("{}"));
    fc.assert(
      fc.property(sound, (key) => {
        expect(arcOf(key)).toBe(ioredisSlot(key));
      }),
      { numRuns: 3_000 },
    );
  });

  test("is right for strings longer than the scratch buffer", () => {
    const long = ["é".repeat(40_000), "€".repeat(21_845), "€".repeat(21_846), "x".repeat(200_000)];
    for (const text of long) {
      expect(arcOf(text)).toBe(slowArcOf(text));
    }
  });

  test("is right for a long tag in a longer key", () => {
    const tag = "€".repeat(30_000);

    expect(arcOf(`before{${tag}}after`)).toBe(slowArcOf(tag));
  });

  test("does not depend on how the engine holds the string", () => {
    const parts = Array.from({ length: 40 }, (_, i) => `part-${i}/`);
    const rope = parts.reduce((text, part) => text + part, "");
    const slice = `prefix${rope}suffix`.slice(6, -6);

    expect(arcOf(rope)).toBe(slowArcOf(rope));
    expect(arcOf(slice)).toBe(slowArcOf(rope));
  });
});

describe("the arc of bytes", () => {
  test("agrees with the obvious twin", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(arcOf(bytes)).toBe(slowArcOf(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test("is read from a view into a larger buffer", () => {
    const view = Buffer.from("xx{tag}yy").subarray(2, 7);

    expect(arcOf(view)).toBe(arcOf("tag"));
  });
});

test("every arc has keys", () => {
  const seen = new Set(Array.from({ length: 400_000 }, (_, i) => arcOf(`key:${i}`)));

  expect(seen.size).toBe(ARC_COUNT);
});

const notKeys = [undefined, null, 7, 7n, true, Symbol("s"), {}, ["a"], new Uint16Array(2)];

test.each(notKeys)("%s is no key", async (key) => {
  const error = await rejection(() => arcOf(key as never), "INVALID_ARGUMENT");

  expect(error.message).toMatch(/^ring: a key must be a string or a Uint8Array, got /);
});
