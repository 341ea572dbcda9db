/** What no entry may cost, whatever it holds: these bounds are part of the state machine, not options. */
import { describe, expect, test } from "vitest";

import {
  ANSWER_BYTES_MAX, type Command, commandLimits, encodeCommand, MetaStore, type Op, type OpAnswer, OPS_MAX,
  RANGE_LIMIT_MAX,
} from "../../../src/meta/index.ts";
import { Writer } from "../../../src/meta/codec/writer.ts";
import { applyAll, applyData, applyOne, bytes, put } from "../../support/meta-entries.ts";
import { rejection } from "../../support/reject.ts";

const KIB = 1_024;
const stamp = { session: 1, sequence: 1, firstWanted: 1 };
const rangeOp: Op = { type: "range", range: { prefix: "k" } };

function transaction(...thenOps: readonly Op[]): Command {
  return { type: "transaction", stamp, compares: [], thenOps, elseOps: [] };
}

function putOp(key: string, size: number): Op {
  return { type: "put", key, value: new Uint8Array(size) };
}

/** Session 1, and then keys k1, k2 and so on with values of the sizes. */
function storeWith(...sizes: readonly number[]): MetaStore {
  const store = new MetaStore();
  applyOne(store, { type: "openSession" });
  for (const [at, size] of sizes.entries()) applyOne(store, { ...putOp(`k${at + 1}`, size) } as Command);
  return store;
}

function answersOf(store: MetaStore, command: Command): readonly OpAnswer[] {
  const { answer } = applyOne(store, command);
  return answer?.type === "transaction" ? answer.answers : [];
}

describe("R11: what a transaction answers is bounded", () => {
  test("in bytes over all its ranges, which say that there is more", () => {
    const store = storeWith(...Array.from({ length: 8 }, () => 300 * KIB));
    const command = transaction(putOp("counter", 1), ...Array.from({ length: 127 }, () => rangeOp));

    const first = applyOne(store, command);
    const again = applyOne(store, command);

    const [counts, sameCounts] = [first, again].map(({ answer }) => {
      const [, ...ranges] = answer?.type === "transaction" ? answer.answers : [];
      return ranges.map((each) => each.type === "range" && [each.count, each.records.length, each.more]);
    });
    const fit = Math.floor(ANSWER_BYTES_MAX / (300 * KIB + 66));
    expect(counts).toEqual([[fit, fit, true], ...Array.from({ length: 126 }, () => [0, 0, true])]);
    expect([sameCounts, again.isRepeat]).toEqual([counts, true]);
    expect(store.get("counter")?.version).toBe(1);
  });

  test("in records over all its ranges", () => {
    const store = storeWith(...Array.from({ length: 6_000 }, () => 0));
    const keysOnly: Op = { type: "range", range: { prefix: "k" }, keysOnly: true };
    const counting: Op = { type: "range", range: { prefix: "k" }, countOnly: true };

    const answers = answersOf(store, transaction(keysOnly, keysOnly, keysOnly, counting));

    expect(answers.map((each) => each.type === "range" && [each.count, each.more])).toEqual([
      [6_000, false], [RANGE_LIMIT_MAX - 6_000, true], [0, true], [6_000, false],
    ]);
  });

  test("and without values only keys count", () => {
    const store = storeWith(...Array.from({ length: 8 }, () => 300 * KIB));

    const [range] = answersOf(store, transaction({ type: "range", range: { prefix: "k" }, keysOnly: true }));

    expect(range).toMatchObject({ count: 8, more: false });
  });

  test("a range that ends where the bytes end says that there is no more", () => {
    const store = storeWith(ANSWER_BYTES_MAX - 66);

    const answers = answersOf(store, transaction(rangeOp, { type: "range", range: { prefix: "no" } }));

    expect(answers).toMatchObject([{ count: 1, more: false }, { count: 0, more: false }]);
  });

  test("gets that would take more are refused before the first op runs", () => {
    const store = storeWith(ANSWER_BYTES_MAX - 66, 1);
    const gets = ["k1", "k2", "none"].map((key): Op => ({ type: "get", key }));
    const command = transaction(putOp("counter", 1), ...gets);

    const outcomes = [applyOne(store, command), applyOne(store, command)];
    const fits = applyOne(store, { ...transaction(gets[0]!, gets[2]!), stamp: undefined } as Command);

    const refusal = { code: "ANSWER_TOO_LARGE", expected: ANSWER_BYTES_MAX, received: ANSWER_BYTES_MAX + 67 };
    expect(outcomes).toMatchObject([{ refusal, isRepeat: false }, { refusal, isRepeat: true }]);
    expect([store.get("counter"), store.revision, fits.ok]).toEqual([undefined, 2, true]);
    expect(store.hash()).toBe(store.hashFully());
  });

  test("gets see what the transaction puts before them, and that counts", () => {
    const store = storeWith(1);
    const get: Op = { type: "get", key: "k1" };
    const large = putOp("k1", ANSWER_BYTES_MAX / 2);

    const [after, before] = [[large, get, get], [get, get, large]].map((ops) => {
      return applyOne(store, { ...transaction(...ops), stamp: undefined } as Command);
    });

    expect([after?.refusal?.code, before?.ok]).toEqual(["ANSWER_TOO_LARGE", true]);
  });

  test("ranges leave room for the gets after them", () => {
    const store = storeWith(...Array.from({ length: 8 }, () => 300 * KIB));
    const gets = ["k7", "k8"].map((key): Op => ({ type: "get", key }));

    const [range, ...got] = answersOf(store, transaction(rangeOp, ...gets));

    const fit = Math.floor(ANSWER_BYTES_MAX / (300 * KIB + 66)) - 2;
    expect(range).toMatchObject({ count: fit, more: true });
    expect(got.map((each) => each.type === "get" && each.record?.key)).toEqual(["k7", "k8"]);
  });

  test("a value of the largest size by default can be read", () => {
    const store = storeWith(1_024 * KIB);

    const [get] = answersOf(store, transaction({ type: "get", key: "k1" }));

    expect(get?.type === "get" && get.record?.value.length).toBe(1_024 * KIB);
  });
});

describe("the items of a list in a command", () => {
  const gets = (count: number): Command => transaction(
    ...Array.from({ length: count }, (): Op => ({ type: "get", key: "k" })),
  );

  test("are read up to a bound, and beyond it the entry is no command", () => {
    const store = storeWith();

    const most = applyData(store, encodeCommand({ ...gets(OPS_MAX), stamp: undefined } as Command));
    const beyond = applyData(store, encodeCommand(gets(OPS_MAX + 1)));

    expect([most.ok, beyond.refusal?.code, store.malformedCount]).toEqual([true, "MALFORMED", 1]);
  });

  test("cannot be allowed beyond it", async () => {
    const error = await rejection(() => commandLimits({ opsMax: OPS_MAX + 1 }), "INVALID_OPTION");

    expect(error.message).toContain(`opsMax must be an integer from 1 to ${OPS_MAX}`);
  });
});

test("a writer that was emptied keeps no large buffer", () => {
  const writer = new Writer(16);
  writer.bytes(new Uint8Array(1_000));
  writer.clear();
  const small = writer.capacity;
  writer.bytes(new Uint8Array(3_000 * KIB));

  expect(writer.take().length).toBeGreaterThan(3_000 * KIB);
  expect([small > 1_000, writer.length, writer.capacity]).toEqual([true, 0, 16]);
});

describe("R11: one client's answers", () => {
  const get = transaction({ type: "get", key: "k" });
  const stamped = (session: number, sequence: number, command: Command = get): Command => {
    return { ...command, stamp: { session, sequence, firstWanted: 1 } } as Command;
  };

  test("beyond an eighth of all bytes are forgotten before any other session is", () => {
    const store = new MetaStore({ answersBytesMax: 16_000 });
    for (let session = 1; session <= 9; session++) applyOne(store, { type: "openSession" });
    for (let session = 1; session <= 8; session++) applyOne(store, stamped(session, 1, put("s")));
    applyOne(store, put("k", "x".repeat(800)));

    for (let sequence = 1; sequence <= 50; sequence++) applyOne(store, stamped(9, sequence));

    expect(store.sessionCount).toBe(9);
    expect(applyOne(store, stamped(1, 1, put("s"))).isRepeat).toBe(true);
    expect([50, 49].map((sequence) => applyOne(store, stamped(9, sequence)).isRepeat)).toEqual([true, true]);
    expect(applyOne(store, stamped(9, 48)).refusal?.code).toBe("SEQUENCE_DISCARDED");
  });

  test("of all sessions together are bounded by forgetting sessions that hold some, not idle ones", () => {
    const store = new MetaStore({ answersBytesMax: 8_000 });
    for (let session = 1; session <= 12; session++) applyOne(store, { type: "openSession" });
    applyOne(store, put("k", "x".repeat(850)));

    for (let session = 4; session <= 12; session++) applyOne(store, stamped(session, 1));

    const open = Array.from({ length: 12 }, (_, at) => at + 1).filter((session) => store.hasSession(session));
    expect(open).toEqual([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(store.hash()).toBe(store.hashFully());
  });

  test("give way to a large one, the lowest sequences first, however many those are", () => {
    const store = new MetaStore({ answersBytesMax: 8 * 2 ** 22, sessionAnswersMax: 100_000 });
    applyAll(store, [{ type: "openSession" }, { type: "put", key: "k", value: new Uint8Array(2_000 * KIB) }]);
    const renewal: Command = { type: "renewLease", lease: 1 };
    for (let at = 1; at <= 50_000; at++) applyOne(store, stamped(1, 2 * at, renewal));
    const before = store.answerCount;

    applyOne(store, stamped(1, 100_002));

    expect(before).toBe(50_000);
    expect(store.answerCount).toBeLessThan(35_000);
    expect(applyOne(store, stamped(1, 100_000, renewal)).isRepeat).toBe(true);
    expect(applyOne(store, stamped(1, 2, renewal)).refusal?.code).toBe("SEQUENCE_DISCARDED");
    expect(store.hash()).toBe(store.hashFully());
  });

  test("that are too large alone are not kept, and their retry is refused", () => {
    const store = new MetaStore({ answersBytesMax: 8_000 });
    applyAll(store, [{ type: "openSession" }, { type: "openSession" }, put("k", "x".repeat(1_000))]);
    const twice = transaction({ type: "put", key: "n", value: bytes("") }, { type: "get", key: "k" });

    const outcomes = [stamped(1, 3, put("s")), stamped(1, 5, twice), stamped(1, 5, twice)]
      .map((command) => applyOne(store, command));

    const codes = outcomes.map(({ ok, refusal }) => refusal?.code ?? ok);
    expect(codes).toEqual([true, true, "SEQUENCE_DISCARDED"]);
    expect([store.get("n")?.version, store.sessionCount, store.answerCount]).toEqual([1, 2, 0]);
    expect(store.hash()).toBe(store.hashFully());
  });
});
