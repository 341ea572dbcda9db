import { describe, expect, test } from "vitest";

import {
  type Command,
  type Compare,
  type CompareOperator,
  MetaStore,
  type Op,
} from "../../../src/meta/index.ts";
import { applyAll, applyOne, bytes, put } from "../../support/meta-entries.ts";

function transaction(
  compares: readonly Compare[],
  thenOps: readonly Op[],
  elseOps: readonly Op[] = [],
): Command {
  return { type: "transaction", compares, thenOps, elseOps };
}

function putOp(key: string, value = "", lease?: number): Op {
  return { type: "put", key, value: bytes(value), lease };
}

/** A store in which `k` has value "m", create revision 2, revision 4, version 3 and lease 9. */
function storeWithK(): MetaStore {
  const store = new MetaStore();
  applyAll(store, [
    { type: "grantLease", lease: 9, ttlMs: 1_000 },
    put("other"), put("k", "a"), put("k", "b"), put("k", "m", { lease: 9 }),
  ]);
  return store;
}

describe("a comparison", () => {
  const numbers = [["revision", 4], ["createRevision", 2], ["version", 3], ["lease", 9]] as const;

  test.each(numbers)("with the %s, %i, holds as the operator says", (target, actual) => {
    const store = storeWithK();
    const succeeds = (operator: CompareOperator, operand: number) => {
      const { answer } = applyOne(store, transaction([{ target, key: "k", operator, operand }], []));
      return answer?.type === "transaction" && answer.succeeded;
    };

    expect([-1, 0, 1].map((by) => succeeds("=", actual + by))).toEqual([false, true, false]);
    expect([-1, 0, 1].map((by) => succeeds("!=", actual + by))).toEqual([true, false, true]);
    expect([-1, 0, 1].map((by) => succeeds("<", actual + by))).toEqual([false, false, true]);
    expect([-1, 0, 1].map((by) => succeeds(">", actual + by))).toEqual([true, false, false]);
  });

  test("with the value goes byte by byte, as unsigned numbers", () => {
    const store = storeWithK();
    const compare = (operator: CompareOperator, operand: Uint8Array): Compare => {
      return { target: "value", key: "k", operator, operand };
    };
    const outcomes = [
      compare("=", bytes("m")), compare("=", bytes("mm")), compare(
        "<",
        bytes("m\0"),
      ), compare(">", bytes("m\0")),
      compare("<", Uint8Array.of(0xff)), compare(">", bytes("")), compare("!=", bytes("n")),
    ].map((each) => applyOne(store, transaction([each], [])).answer);

    expect(outcomes.map((answer) => answer?.type === "transaction" && answer.succeeded)).toEqual([
      true, false, true, false, true, true, true,
    ]);
  });

  test("of a key that does not exist is with 0, and with its value never holds", () => {
    const store = storeWithK();
    const succeeds = (compare: object) => {
      const { answer } = applyOne(store, transaction([{ key: "no", ...compare } as Compare], []));
      return answer?.type === "transaction" && answer.succeeded;
    };

    expect(succeeds({ target: "revision", operator: "=", operand: 0 })).toBe(true);
    expect(succeeds({ target: "version", operator: ">", operand: 0 })).toBe(false);
    expect(succeeds({ target: "value", operator: "=", operand: bytes("") })).toBe(false);
    expect(succeeds({ target: "value", operator: "!=", operand: bytes("x") })).toBe(false);
  });

  test("that fails among others that hold leads to the other branch", () => {
    const store = storeWithK();
    const holding: Compare = { target: "version", key: "k", operator: "=", operand: 3 };
    const failing: Compare = { target: "version", key: "k", operator: "=", operand: 4 };

    const outcome = applyOne(store, transaction([holding, failing], [putOp("then")], [putOp("else")]));

    expect(outcome.answer).toMatchObject({ succeeded: false });
    expect([store.get("then"), store.get("else")?.version]).toEqual([undefined, 1]);
  });
});

describe("the ops of a transaction", () => {
  test("share one revision, and each sees what those before it did", () => {
    const store = new MetaStore();
    applyAll(store, [put("a", "1"), put("b", "2"), put("c", "3")]);

    const outcome = applyOne(store, transaction([], [
      putOp("a", "new"),
      { type: "get", key: "a" },
      { type: "delete", key: "b" },
      { type: "deleteRange", range: { from: "c" } },
      { type: "range", range: { prefix: "" }, limit: 1 },
      { type: "range", range: { prefix: "" }, countOnly: true },
      { type: "get", key: "b" },
    ]));

    const a = { key: "a", value: bytes("new"), createRevision: 1, revision: 4, version: 2, lease: 0 };
    expect(outcome.answer).toEqual({
      type: "transaction",
      succeeded: true,
      answers: [
        { type: "put", previousRevision: 1 },
        { type: "get", record: a },
        { type: "delete", deletedCount: 1 },
        { type: "delete", deletedCount: 1 },
        { type: "range", records: [a], count: 1, more: false },
        { type: "range", records: [], count: 1, more: false },
        { type: "get", record: undefined },
      ],
    });
    expect(outcome.events.map(({ type, key, revision }) => [type, key, revision])).toEqual([
      ["put", "a", 4], ["delete", "b", 4], ["delete", "c", 4],
    ]);
    expect(store.revision).toBe(4);
  });

  test("that only read leave the revision as it was", () => {
    const store = new MetaStore();
    applyOne(store, put("a"));

    const outcome = applyOne(store, transaction([], [{ type: "get", key: "a" }]));

    expect([outcome.revision, outcome.events, store.revision]).toEqual([1, [], 1]);
  });

  test("change nothing at all when one of them names a lease that is not there", () => {
    const store = new MetaStore();
    const ops = [putOp("a"), putOp("b", "", 7)];

    const refused = applyOne(store, transaction([], ops));
    const unused = applyOne(store, transaction([], [putOp("c")], ops));

    expect(refused.refusal).toEqual({ code: "LEASE_UNKNOWN", expected: 0, received: 7 });
    expect(unused.ok).toBe(true);
    expect(store.range({ prefix: "" }).records.map(({ key }) => key)).toEqual(["c"]);
  });

  test("that change one key twice do so in order, although no proposal may", () => {
    const store = new MetaStore();

    const outcome = applyOne(
      store,
      transaction([], [putOp("a", "1"), { type: "delete", key: "a" }, putOp("a", "2")]),
    );

    expect(store.get("a")).toMatchObject({ value: bytes("2"), createRevision: 1, revision: 1, version: 1 });
    expect(outcome.events.map(({ type, previousRevision }) => [type, previousRevision])).toEqual([
      ["put", 0], ["delete", 1], ["put", 0],
    ]);
    expect(store.hash()).toBe(store.hashFully());
  });
});
