/** The hashes that give keys and points their place agree with Node's and with their definitions. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { md5, md5Words } from "../../../src/ring/hash/md5.ts";
import { ketamaPosition, mix32, ownPosition } from "../../../src/ring/hash/position.ts";
import { jump } from "../../../src/ring/layouts/jump.ts";
import { isPrime } from "../../../src/ring/layouts/maglev.ts";
import { CELL_COUNT, idHash, ln, Rendezvous } from "../../../src/ring/layouts/rendezvous.ts";
import { readRoster } from "../../../src/ring/members.ts";
import { slowJump } from "../../support/slow-ring.ts";

function nodeMd5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

/** By the book, in 64 bits, then cut to 32. */
function signedFnv1a64(bytes: Uint8Array): number {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    const signed = BigInt.asUintN(64, BigInt.asIntN(8, BigInt(byte)));
    hash = BigInt.asUintN(64, (hash ^ signed) * 0x100000001b3n);
  }
  return Number(BigInt.asIntN(32, hash));
}

describe("md5", () => {
  test("agrees with Node's for every length around its block sizes", () => {
    for (let length = 0; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 0xff);
      const words = new Uint32Array(Uint8Array.from(nodeMd5(bytes)).buffer);

      expect([...md5Words(bytes)]).toEqual([...words]);
    }
  });

  test("agrees with Node's for any bytes, and for a piece of them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, from) => {
        const start = Math.min(from, bytes.length);
        expect(md5(bytes, start, bytes.length)).toBe(nodeMd5(bytes.subarray(start)).readInt32LE(0));
      }),
    );
  });
});

describe("the position of a key", () => {
  test("by FNV is the low 32 bits of the 64-bit form, with bytes signed as on x86", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(ketamaPosition("fnv1a_64", "")(bytes)).toBe(signedFnv1a64(bytes));
      }),
    );
  });

  test.each(["md5", "fnv1a_64", "fnv1_64", "fnv1a_32", "fnv1_32"] as const)(
    "by %s is the same for a string and its bytes",
    (hash) => {
      const position = ketamaPosition(hash, "[]");
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), (key) => {
          expect(position(key)).toBe(position(Buffer.from(key)));
        }),
      );

      expect(position("a[tag]b")).toBe(position("tag"));
      expect(position("a[]b")).not.toBe(position(""));
      expect(position("a]tag[b")).not.toBe(position("tag"));
    },
  );

  test.each([
    ["fnv1a_32", "foobar", 0xbf9cf968],
    ["fnv1_32", "foobar", 0x31f0b262],
    ["fnv1a_64", "foobar", 0x85944171f73967e8n],
    ["fnv1_64", "foobar", 0x340d8765a4dda9c2n],
  ] as const)("by %s of %j is the published value", (hash, key, full) => {
    expect(ketamaPosition(hash, "")(key)).toBe(Number(BigInt.asIntN(32, BigInt(full))));
  });

  test("of the ring's own spreads keys that differ in one character over the whole circle", () => {
    const eighths = new Set(Array.from({ length: 100 }, (_, i) => ownPosition(`key:${i}`) >>> 29));

    expect(eighths.size).toBe(8);
    expect(ownPosition("a{tag}b")).toBe(ownPosition("tag"));
  });
});

test("mix32 is a bijection, as far as a million values tell", () => {
  const seen = new Set(Array.from({ length: 1_000_000 }, (_, i) => mix32(i * 4_093)));

  expect(seen.size).toBe(1_000_000);
});

test("idHash tells apart ids of every kind that people give", () => {
  const idsOf = (i: number) => [`r${i}`, `10.0.${i >> 8}.${i & 255}:6379`, `${i}`];
  const ids = Array.from({ length: 50_000 }, (_, i) => idsOf(i)).flat();

  expect(new Set(ids.map((id) => idHash(id).join("/"))).size).toBe(new Set(ids).size);
});

test("ln agrees with Math.log to the fourteenth digit", () => {
  for (let whole = 1; whole <= 40_000; whole++) {
    expect(Math.abs(ln(whole) - Math.log(whole))).toBeLessThan(1e-14 * Math.max(1, Math.log(whole)));
  }
});

test("every member ranks every cell once", () => {
  const rendezvous = new Rendezvous(readRoster(["a", "b", "10.0.0.1:6379", "é"]));
  for (let member = 0; member < 4; member++) {
    const ranks = Array.from({ length: CELL_COUNT }, (_, cell) => rendezvous.rank(member, cell));

    expect(new Set(ranks).size).toBe(CELL_COUNT);
    expect(Math.max(...ranks)).toBe(CELL_COUNT - 1);
  }
});

test("jump agrees with the paper in BigInts", () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(word, word, fc.integer({ min: 1, max: 20_000 }), (high, low, count) => {
      expect(jump(high, low, count)).toBe(slowJump(high, low, count));
    }),
    { numRuns: 2_000 },
  );
});

test("isPrime knows the primes", () => {
  const primes = Array.from({ length: 60 }, (_, i) => i).filter((value) => isPrime(value));

  expect(primes).toEqual([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
  expect([65_537, 2_097_143].every((value) => isPrime(value))).toBe(true);
  expect([1, 0, -7, 65_535, 4_293_001_441].some((value) => isPrime(value))).toBe(false);
});
