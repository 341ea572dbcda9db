import { describe, expect, test } from "vitest";

import { type Command, decodeCommand, encodeCommand } from "../../../src/meta/index.ts";
import { Reader } from "../../../src/meta/codec/reader.ts";
import { readUtf8, utf8Length } from "../../../src/meta/codec/utf8.ts";
import { Writer } from "../../../src/meta/codec/writer.ts";
import { bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

function hex(given: Uint8Array): string {
  return Buffer.from(given).toString("hex");
}

describe("an encoding", () => {
  // What is in the logs of running groups: these never change.
  test.each<[string, Command, string]>([
    ["noop", { type: "noop" }, ""],
    ["put", put("k", "v"), "0101016b01760000"],
    [
      "put with all",
      {
        ...put("é", "", { lease: 300, ifRevision: 0 }),
        stamp: { session: 1, sequence: 3, firstWanted: 2 },
      } as Command,
      "018101030202c3a900ac0201",
    ],
    ["delete", { type: "delete", key: "k", ifRevision: 4 }, "0102016b05"],
    ["deleteRange", { type: "deleteRange", range: { prefix: "k" } }, "010301016b"],
    ["deleteRange from, to", { type: "deleteRange", range: { from: "a", to: "b" } }, "01030201610162"],
    ["deleteRange from", { type: "deleteRange", range: { from: "a" } }, "0103030161"],
    ["transaction", {
      type: "transaction",
      compares: [
        { target: "value", key: "k", operator: "!=", operand: bytes("v") },
        { target: "lease", key: "k", operator: ">", operand: 7 },
      ],
      thenOps: [{ type: "put", key: "k", value: bytes("w"), lease: 7 }, { type: "delete", key: "d" }],
      elseOps: [
        { type: "get", key: "g" },
        { type: "deleteRange", range: { prefix: "p" } },
        { type: "range", range: { prefix: "" }, limit: 5, keysOnly: true, countOnly: true },
      ],
    }, "0104020001016b01760403016b070201016b01770702016403040167030101700501000503"],
    ["grantLease", { type: "grantLease", ttlMs: 128 }, "0105008001"],
    ["renewLease", { type: "renewLease", lease: 7 }, "010607"],
    ["revokeLease", { type: "revokeLease", lease: 7 }, "010707"],
    ["expireLease", { type: "expireLease", lease: 7, term: 8, renewal: 9 }, "0108070809"],
    ["openSession", { type: "openSession" }, "0109"],
    ["closeSession", { type: "closeSession", session: 7 }, "010a07"],
    ["compact", { type: "compact", revision: 2 ** 53 - 1 }, "010bffffffffffffff0f"],
  ])("of %s is what it always was", (_, command, expected) => {
    const encoded = encodeCommand(command);

    expect(hex(encoded)).toBe(expected);
    expect(decodeCommand(encoded)).toEqual(command);
  });

  test("keeps no hold of the buffer that it was written in", () => {
    const first = encodeCommand(put("k", "1"));

    encodeCommand(put("other", "2"));

    expect(decodeCommand(first)).toEqual(put("k", "1"));
  });

  test("of a long text with wide characters is read back", () => {
    const key = "aé€😀".repeat(5_000);

    expect(decodeCommand(encodeCommand(put(key)))).toEqual(put(key));
  });
});

describe("bytes that are no command", () => {
  test.each([
    ["of another version", "02"],
    ["of an unknown kind", "010c"],
    ["of kind 0", "0100"],
    ["of a version alone", "01"],
    ["that go on after the command", "010900"],
    ["with an empty key", "01010001760000"],
    ["with a key that is longer than the bytes", "0101ff6b"],
    ["with a length of four gigabytes", "0101ffffffff0f6b"],
    ["with a key that is no UTF-8", "010101ff01760000"],
    ["with a number that has a zero too many", "01068700"],
    ["with a number above 2^53 - 1", "0106ffffffffffffff1f"],
    ["with a number that never ends", "0106ffffffffffffffffffff"],
    ["with lease 0", "010600"],
    ["with session 0 in the stamp", "0181000101016b01760000"],
    ["with a stamp that wants a later sequence first", "0181010102016b01760000"],
    ["with the greatest sequence of all", "018101ffffffffffffff0f01016b01760000"],
    ["with a stamp on opening a session", "0189010101"],
    ["with an unknown kind of range", "0103046b"],
    ["with an unknown operator", "0104010004016b01760000"],
    ["with an unknown target", "0104010500016b070000"],
    ["with an unknown op", "0104000106016b00"],
    ["with more ops than bytes", "010400ffffffffffffff0f01016b017700"],
    ["with a range without a limit", "01040001050100000000"],
    ["with a range above the greatest limit", "01040001050100914e0000"],
    ["with an unknown option of a range", "01040001050100010400"],
  ])("%s are refused with the place", async (_, given) => {
    const data = Uint8Array.from(Buffer.from(given, "hex"));

    const error = await rejection(() => decodeCommand(data), "INVALID_ARGUMENT");

    expect(error.details["bytes"]).toBe(data.length);
    expect(error.details["at"]).toBeGreaterThanOrEqual(1);
    expect(error.message).toMatch(/^not a command: wrong at byte \d+ of \d+$/);
  });
});

describe("UTF-8", () => {
  test.each([
    ["a byte that only continues", "80"],
    ["an overlong slash", "c0af"],
    ["an overlong three bytes", "e080af"],
    ["an overlong four bytes", "f08080af"],
    ["half a pair of surrogates", "eda080"],
    ["the other half", "edbfbf"],
    ["a point above the last", "f4908080"],
    ["a first byte that never is", "f8888080"],
    ["an end in the middle", "e282"],
    ["a middle that is none", "e228a1"],
  ])("refuses %s", (_, given) => {
    const data = Buffer.from(`41${given}`, "hex");

    expect(readUtf8(data, 0, data.length)).toBeUndefined();
  });

  test("reads what the platform writes, a byte order mark included", () => {
    const text = `\u{feff}${Array.from({ length: 300 }, (_, at) => String.fromCodePoint(at * 241)).join("")}`;
    const wellFormed = text.replaceAll(/\p{Surrogate}/gu, "");
    const data = bytes(wellFormed);

    expect(readUtf8(data, 0, data.length)).toBe(wellFormed);
    expect(utf8Length(wellFormed)).toBe(data.length);
  });

  test("has no length for half a pair of surrogates", () => {
    expect(
      ["\ud83d", "a\ud83d", "\ude00", "\ud83d\ud83d\ude00", "\ud83da"].map((text) => utf8Length(text)),
    ).toEqual(
      [-1, -1, -1, -1, -1],
    );
  });
});

describe("numbers", () => {
  test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49, 2 ** 53 - 1])(
    "%i is read as it was written",
    (value) => {
      const writer = new Writer(1);
      writer.varint(value);
      writer.varint(7);
      const reader = new Reader(writer.take());

      expect(
        [reader.varint(), reader.varint(), reader.isAtEnd, reader.isBad],
      ).toEqual([value, 7, true, false]);
    },
  );

  test.each([-1, 1.5, 2 ** 53, Number.NaN])("%d is not written", async (value) => {
    const error = await rejection(() => new Writer().varint(value), "INVARIANT");

    expect(error.details).toEqual({ value });
  });

  test("stay 0 after the first thing that was wrong", () => {
    const reader = new Reader(Uint8Array.of(1, 5, 7, 7));

    const read = [reader.byte(), reader.text(), reader.byte(), reader.varint(), reader.bytes().length];

    expect(read).toEqual([1, "", 0, 0, 0]);
    expect([reader.isBad, reader.badAt, reader.isAtEnd]).toEqual([true, 2, true]);
  });
});
