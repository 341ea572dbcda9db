/** The search's verdict on histories written by hand: what it must accept, what it must reject, and how. */
import { describe, expect, test } from "vitest";

import { checkLinearizable } from "../../support/linear/check.ts";
import type { Operation } from "../../support/linear/history.ts";
import { KEY_VALUE_MODEL } from "../../support/linear/key-value-model.ts";
import type { KeyValueOp, Value } from "../../support/linear/key-value.ts";
import type { Machine, Model } from "../../support/linear/model.ts";

type History = readonly Operation<KeyValueOp>[];

/** From, to (undefined: the outcome is unknown). */
type Times = readonly [number, number | undefined];

function at(
  [calledAt, returnedAt]: Times,
  op: KeyValueOp,
  client: string | number = "c",
): Operation<KeyValueOp> {
  return { client, calledAt, returnedAt, op };
}

const found = (value: Value | undefined) => ({ found: value === undefined ? undefined : { value } });
const get = (times: Times, value: Value | undefined, key = "a") =>
  at(times, { kind: "get", key, answer: found(value) });
const put = (times: Times, value: Value, key = "a", revision?: number) =>
  at(times, { kind: "put", key, value, answer: revision === undefined ? {} : { revision } });
const remove = (times: Times, existed: boolean, key = "a") =>
  at(times, { kind: "delete", key, answer: { existed } });
const swap = (times: Times, expected: Value, value: Value, isDone: boolean) =>
  at(times, { kind: "compareAndPut", key: "a", expected: { value: expected }, value, answer: { isDone } });
const create = (times: Times, value: Value, isDone: boolean) =>
  at(times, { kind: "compareAndPut", key: "a", expected: "absent", value, answer: { isDone } });
const both = (times: Times, a: Value, b: Value) =>
  at(times, {
    kind: "transaction",
    compares: [],
    writes: [
      { key: "a", value: a },
      { key: "b", value: b },
    ],
    answer: { isDone: true },
  });
const range = (times: Times, values: Readonly<Record<string, Value>>) =>
  at(times, {
    kind: "range",
    keys: ["a", "b"],
    answer: { found: Object.entries(values).map(([key, value]) => ({ key, value })) },
  });

const GOOD: Readonly<Record<string, History>> = {
  "nothing at all": [],
  "a read of what was never written": [get([1, 2], undefined)],
  "a read of the last write": [put([1, 2], 1), put([3, 4], 2), get([5, 6], 2)],
  "a read that runs beside a write and sees it, or does not": [
    put([1, 9], 1),
    get([2, 3], 1),
    get([2, 3], undefined, "b"),
    put([1, 9], 2, "b"),
  ],
  "a read that begins when a write returns: equal times are concurrent": [
    put([1, 5], 1),
    get([5, 6], undefined),
  ],
  "writes beside each other in the order that the reads tell": [
    put([1, 9], 1),
    put([1, 9], 2),
    get([2, 3], 2),
    get([4, 5], 1),
  ],
  "numbers and texts as different values": [put([1, 2], "1"), swap([3, 4], 1, 2, false), get([5, 6], "1")],
  "a delete of what is there, and one of what is not": [
    put([1, 2], 1),
    remove([3, 4], true),
    remove([5, 6], false),
    get([7, 8], undefined),
  ],
  "one of two swaps that race": [put([1, 2], 1), swap([3, 9], 1, 2, true), swap([3, 9], 1, 3, false)],
  "one of two creations that race": [create([1, 9], 1, false), create([1, 9], 2, true), get([10, 11], 2)],
  "a transaction that is seen whole": [both([1, 2], 1, 2), range([3, 4], { a: 1, b: 2 })],
  "an empty range": [range([1, 2], {})],
  "an unknown write that takes effect at once": [put([1, undefined], 1), get([2, 3], 1)],
  "an unknown write that takes effect late": [put([1, undefined], 1), get([2, 3], undefined), get([8, 9], 1)],
  "an unknown write that never takes effect": [
    put([1, undefined], 1),
    get([2, 3], undefined),
    remove([8, 9], false),
  ],
  "an unknown write that shows only in a refusal": [
    put([1, 2], 1),
    put([1, undefined], 2),
    swap([3, 4], 1, 3, false),
    remove([5, 6], true),
  ],
  "an unknown delete that takes effect late": [
    put([1, 2], 1),
    remove([3, undefined], true),
    get([4, 5], 1),
    get([6, 7], undefined),
  ],
  "an unknown swap that took effect": [
    put([1, 2], 1),
    swap([3, undefined], 1, 2, true),
    swap([4, 5], 2, 3, true),
  ],
  "two unknown writes that nobody reads, one for each delete": [
    put([1, undefined], 1),
    put([2, undefined], 2),
    remove([3, 4], true),
    remove([5, 6], true),
    remove([7, 8], false),
  ],
  "a delete of nothing, untold its revision, before a write that was told": [
    put([1, 2], 1, "a", 5),
    at([3, 4], { kind: "delete", key: "a", answer: { existed: true, revision: 6 } }),
    at([5, 9], {
      kind: "transaction",
      compares: [{ key: "a", expected: "absent" }],
      writes: [{ key: "a", value: undefined }],
      answer: { isDone: true },
    }),
    put([6, 8], 2, "a", 7),
  ],
  "a value that is written twice, and read with the later revision": [
    put([1, 2], 1),
    at([3, 4], { kind: "delete", key: "a", answer: { existed: true, revision: 2 } }),
    put([5, 6], 1),
    at([7, 8], { kind: "get", key: "a", answer: { found: { value: 1, revision: 3 } } }),
  ],
  "a put that finds its like there, and is needed later": [
    put([1, 2], 1),
    put([1, 9], 2),
    remove([3, 4], true),
    remove([5, 9], true),
  ],
};

const BAD: Readonly<Record<string, History>> = {
  "a stale read": [put([1, 2], 1), put([3, 4], 2), get([5, 6], 1)],
  "a lost write": [put([1, 2], 1), get([3, 4], undefined)],
  "a write that reappears after another one": [
    put([1, 2], 1),
    put([3, 4], 2),
    get([5, 6], 2),
    get([7, 8], 1),
  ],
  "a write that reappears after a delete": [put([1, 2], 1), remove([3, 4], true), get([5, 6], 1)],
  "a read of a value that nobody wrote": [put([1, 2], 1), get([3, 4], 7)],
  "a read of a value before it is written": [get([1, 2], 1), put([3, 4], 1)],
  "reads of two clients that go back": [put([1, 2], 1), put([3, 20], 2), get([4, 5], 2), get([6, 7], 1)],
  "clients that see two writes in different orders": [
    put([1, 20], 1),
    put([1, 20], 2),
    get([2, 3], 1),
    get([4, 5], 2),
    get([6, 7], 1),
  ],
  "a write behind one that began after it was over": [
    put([1, 2], 1),
    put([3, 4], 2),
    swap([5, 6], 1, 3, true),
  ],
  "a put that is applied twice": [put([1, 2], 1), remove([3, 4], true), remove([5, 6], true)],
  "a swap that succeeds twice": [put([1, 2], 1), swap([3, 9], 1, 2, true), swap([3, 9], 1, 3, true)],
  "a creation that succeeds twice": [create([1, 9], 1, true), create([1, 9], 2, true)],
  "a swap that is refused without a reason": [put([1, 2], 1), swap([3, 4], 1, 2, false), get([5, 6], 1)],
  "a refused swap that was applied": [put([1, 2], 1), swap([3, 4], 7, 2, false), get([5, 6], 2)],
  "a transaction that is seen by half": [both([1, 9], 1, 2), range([3, 4], { a: 1 })],
  "two transactions that are mixed": [
    both([1, 9], 1, 2),
    both([1, 9], 3, 4),
    range([10, 11], { a: 1, b: 4 }),
  ],
  "a range that goes back behind a read of one of its keys": [
    both([1, 9], 1, 2),
    get([2, 3], 1),
    range([4, 5], {}),
  ],
  "a range that finds what it did not ask for": [
    put([1, 2], 1, "z"),
    at([3, 4], { kind: "range", keys: ["a"], answer: { found: [{ key: "z", value: 1 }] } }),
  ],
  "an unknown write that takes effect twice": [
    put([1, undefined], 1),
    get([2, 3], 1),
    put([4, 5], 2),
    get([6, 7], 1),
  ],
  "an unknown write that takes effect twice, unread": [
    put([1, undefined], 1),
    remove([2, 3], true),
    remove([4, 5], true),
  ],
  "an unknown write that takes effect before its call": [get([1, 2], 1), put([3, undefined], 1)],
  "an unknown swap whose value was not there": [swap([1, undefined], 7, 2, true), get([3, 4], 2)],
  "an unknown transaction that is seen by half": [
    at([1, undefined], { ...both([1, 2], 1, 2).op }),
    range([3, 4], { b: 2 }),
  ],
};

function check(history: History) {
  // The order of the list means nothing.
  return checkLinearizable(KEY_VALUE_MODEL, history.toReversed());
}

describe("it accepts", () => {
  test.each(Object.entries(GOOD))("%s", (_, history) => {
    expect(check(history)).toMatchObject({ outcome: "accepted" });
  });
});

describe("it rejects", () => {
  test.each(Object.entries(BAD))("%s", (_, history) => {
    expect(check(history)).toMatchObject({ outcome: "rejected" });
  });
});

test("what is bad on one key is found among many good keys", () => {
  const good = Array.from({ length: 50 }, (_, nth) => put([nth, nth + 100], nth, `k${nth}`));

  expect(check([...good, ...BAD["a stale read"]!])).toMatchObject({ outcome: "rejected" });
});

test("a rejection names the first operation that cannot be placed, and what is concurrent with it", () => {
  const history = [
    put([1, 2], 1),
    at([3, 4], { kind: "put", key: "a", value: 2, answer: { revision: 2 } }, "writer"),
    at([4, 7], { kind: "get", key: "a", answer: { found: { value: 2, revision: 2 } } }, "other"),
    at([5, 6], { kind: "get", key: "a", answer: found(1) }, "reader"),
    put([3, undefined], 9),
    put([5, 6], 5, "elsewhere"),
    get([20, 21], 7),
  ];

  const verdict = check(history);

  expect(verdict).toMatchObject({ outcome: "rejected", operation: { client: "reader" } });
  expect(verdict.outcome === "rejected" && verdict.explanation).toBe(
    [
      "cannot be placed: client reader [5, 6] get a -> 1",
      "the longest order found ends with:",
      "  client c [1, 2] put a = 1 -> done",
      "  client writer [3, 4] put a = 2 -> done @2",
      "  client other [4, 7] get a -> 2 of @2",
      "concurrent with it:",
      "  client other [4, 7] get a -> 2 of @2",
      "  client c [3, ?] put a = 9 -> ?",
    ].join("\n"),
  );
});

describe("beyond the bound nothing is decided", () => {
  const history = [
    ...BAD["a stale read"]!,
    ...GOOD["writes beside each other in the order that the reads tell"]!,
  ];

  test.each([
    [{ stepsMax: 3 }, "not decided within 3 steps"],
    [{ entriesMax: 1 }, "not decided within 1 configurations"],
  ])("with %j", (options, words) => {
    const verdict = checkLinearizable(KEY_VALUE_MODEL, history, options);

    expect(verdict.outcome).toBe("undecided");
    expect(verdict.outcome === "undecided" && verdict.explanation).toContain(words);
  });
});

describe("a broken harness is told so", () => {
  test.each([
    ["a return before the call", put([5, 4], 1)],
    ["a time that is none", put([Number.NaN, 4], 1)],
    ["a return without an answer", at([1, 2], { kind: "get", key: "a" })],
  ])("%s", (_, operation) => {
    expect(() => check([operation])).toThrow(RangeError);
  });
});

/** Another model: a queue from which each item comes out once, first in, first out. */
type QueueOp =
  { readonly kind: "add"; readonly item: number } | { readonly kind: "take"; readonly item?: number };

const QUEUE: Model<readonly number[], QueueOp> = {
  keysOf: () => ["queue"],
  isRead: () => false,
  describe: ({ kind, item }: QueueOp) => `${kind} ${item}`,
  begin: (operations): Machine<readonly number[]> => ({
    initial: [],
    step: (items, nth) => {
      const { op, returnedAt } = operations[nth]!;
      if (op.kind === "add") return [...items, op.item];
      if (returnedAt === undefined) return items.slice(1);
      return items[0] === op.item ? items.slice(1) : undefined;
    },
    isPure: (nth) =>
      operations[nth]!.op.kind === "take" && (operations[nth]!.op as QueueOp).item === undefined,
    isEqual: (a, b) => a.join() === b.join(),
    hash: (items) => items.length,
  }),
};

describe("a queue, as another model", () => {
  const add = (calledAt: number, returnedAt: number, item: number): Operation<QueueOp> => ({
    client: "c",
    calledAt,
    returnedAt,
    op: { kind: "add", item },
  });
  const take = (calledAt: number, returnedAt: number | undefined, item?: number): Operation<QueueOp> => ({
    client: "c",
    calledAt,
    returnedAt,
    op: { kind: "take", ...(item === undefined ? {} : { item }) },
  });

  test.each([
    ["in order", [add(1, 2, 1), add(3, 4, 2), take(5, 6, 1), take(7, 8, 2), take(9, 10)]],
    ["in either order of two that were added together", [add(1, 9, 1), add(1, 9, 2), take(10, 11, 2)]],
    [
      "with an item that somebody took without telling",
      [add(1, 2, 1), add(3, 4, 2), take(5, undefined), take(6, 7, 2)],
    ],
  ])("is accepted %s", (_, history) => {
    expect(checkLinearizable(QUEUE, history)).toMatchObject({ outcome: "accepted" });
  });

  test.each([
    ["in the wrong order", [add(1, 2, 1), add(3, 4, 2), take(5, 6, 2)]],
    ["with an item that comes out twice", [add(1, 2, 1), take(3, 9, 1), take(3, 9, 1)]],
    ["empty while something is in it", [add(1, 2, 1), take(3, 4)]],
  ])("is rejected %s", (_, history) => {
    expect(checkLinearizable(QUEUE, history)).toMatchObject({ outcome: "rejected" });
  });
});
