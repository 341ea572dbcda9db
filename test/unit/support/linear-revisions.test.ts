/** The verdict of the revision order on histories written by hand. */
import { describe, expect, test } from "vitest";

import type { Operation } from "../../support/linear/history.ts";
import type { Expected, KeyValueOp, Value, Write } from "../../support/linear/key-value.ts";
import { checkRevisionOrder } from "../../support/linear/revision-order.ts";

type History = readonly Operation<KeyValueOp>[];
/** From, to (undefined: the outcome is unknown), the revision in the answer. */
type Times = readonly [number, number | undefined, number?];

function at([calledAt, returnedAt]: Times, op: KeyValueOp): Operation<KeyValueOp> {
  return { client: "c", calledAt, returnedAt, op };
}

function told([, , revision]: Times): { revision?: number } {
  return revision === undefined ? {} : { revision };
}

/** `of`: the revision of the write that was read. */
function get(times: Times, value?: Value, of?: number, key = "a"): Operation<KeyValueOp> {
  const found = value === undefined ? undefined : { value, ...(of === undefined ? {} : { revision: of }) };
  return at(times, { kind: "get", key, answer: { found, ...told(times) } });
}

const put = (times: Times, value: Value, key = "a") =>
  at(times, { kind: "put", key, value, answer: told(times) });
const remove = (times: Times, existed: boolean) =>
  at(times, { kind: "delete", key: "a", answer: { existed, ...told(times) } });
const swap = (times: Times, expected: Expected, value: Value, isDone: boolean) =>
  at(times, { kind: "compareAndPut", key: "a", expected, value, answer: { isDone, ...told(times) } });
const transaction = (times: Times, writes: readonly Write[]) =>
  at(times, { kind: "transaction", compares: [], writes, answer: { isDone: true, ...told(times) } });
const both = (times: Times, a: Value | undefined, b: Value | undefined) =>
  transaction(times, [
    { key: "a", value: a },
    { key: "b", value: b },
  ]);
const range = (times: Times, values: readonly (readonly [string, Value, number?])[]) =>
  at(times, {
    kind: "range",
    keys: ["a", "b"],
    answer: {
      found: values.map(([key, value, of]) => ({
        key,
        value,
        ...(of === undefined ? {} : { revision: of }),
      })),
      ...told(times),
    },
  });

const GOOD: Readonly<Record<string, History>> = {
  "nothing at all": [],
  "writes and reads one after the other": [
    get([1, 2, 0]),
    put([3, 4, 1], 1),
    get([5, 6, 1], 1, 1),
    put([7, 8, 2], 2, "b"),
    get([9, 10, 2], 1, 1),
    range(
      [11, 12, 2],
      [
        ["a", 1, 1],
        ["b", 2, 2],
      ],
    ),
  ],
  "writes beside each other in the order of their revisions": [
    put([1, 9, 2], 2),
    put([1, 9, 1], 1),
    get([10, 11, 2], 2, 2),
  ],
  "a read with the revision of a write that has not returned": [put([1, 9, 1], 1), get([2, 3, 1], 1, 1)],
  "revisions that leave gaps": [put([1, 2, 5], 1), put([3, 4, 9], 2), get([5, 6, 11], 2, 9)],
  "deletes, of which one has nothing to delete": [
    put([1, 2, 1], 1),
    remove([3, 4, 2], true),
    remove([5, 6, 2], false),
    get([7, 8, 2]),
  ],
  "swaps by value and by revision": [
    swap([1, 2, 1], "absent", 1, true),
    swap([3, 4, 2], { value: 1 }, 2, true),
    swap([5, 6, 2], { revision: 1 }, 3, false),
    swap([7, 8, 3], { revision: 2 }, 4, true),
  ],
  "a transaction of deletes that changes nothing and has the revision of the last change": [
    put([1, 2, 1], 1, "c"),
    both([3, 4, 1], undefined, undefined),
    both([3, 4, 1], undefined, undefined),
  ],
  "two transactions of deletes with one revision, of which one changed something": [
    put([1, 2, 1], 1),
    transaction(
      [3, 9, 2],
      [
        { key: "b", value: undefined },
        { key: "a", value: undefined },
      ],
    ),
    transaction([3, 9, 2], [{ key: "a", value: undefined }]),
  ],
  "an unknown write that was read with its revision": [
    put([1, 2, 1], 1),
    put([3, undefined], 2),
    get([4, 5, 3], 2, 3),
  ],
  "an unknown write that was read with the store's revision": [
    put([1, 2, 1], 1),
    put([3, undefined], 2),
    put([4, 5, 3], 3, "b"),
    get([6, 7, 3], 2),
  ],
  "an unknown write that nobody saw": [put([1, 2, 1], 1), put([3, undefined], 2), get([4, 5, 1], 1, 1)],
  "an unknown delete that shows in a read": [put([1, 2, 1], 1), remove([3, undefined], true), get([4, 5, 2])],
  "an unknown write that shows in a refusal": [
    put([1, 2, 1], 1),
    put([3, undefined], 2),
    swap([4, 5, 2], { value: 1 }, 3, false),
  ],
  "an unknown write that shows in a swap": [put([1, undefined], 1), swap([2, 3, 2], { value: 1 }, 2, true)],
  "a write without a revision that was read when others had followed": [
    put([1, 2], 1),
    put([3, 4, 2], 2, "b"),
    put([5, 6, 3], 3, "b"),
    get([7, 8, 3], 1),
  ],
  "an unknown write that was read at two revisions of the store": [
    put([1, undefined], 1),
    put([1, 2, 2], 9, "b"),
    get([3, 4, 2], 1),
    put([5, 6, 3], 8, "b"),
    get([7, 8, 3], 1),
  ],
  "answers without revisions": [put([1, 2], 1), get([3, 4], 7)],
};

const BAD: Readonly<Record<string, History>> = {
  "a write with the revision of another one": [put([1, 9, 1], 1), put([1, 9, 1], 2, "b")],
  "an unknown write with the revision of another one": [
    put([1, 9, 1], 1),
    put([1, undefined], 2, "b"),
    get([10, 11, 1], 2, 1, "b"),
  ],
  "two transactions of deletes with one revision that both changed something": [
    both([1, 2, 1], 1, 2),
    transaction([3, 9, 2], [{ key: "a", value: undefined }]),
    transaction([3, 9, 2], [{ key: "b", value: undefined }]),
  ],
  "a write with a smaller revision than one that was over": [put([1, 2, 2], 1), put([3, 4, 1], 2, "b")],
  "a write with the revision that a read before it has seen": [get([1, 2, 3]), put([4, 5, 3], 1)],
  "a read with a smaller revision than a write that was over": [put([1, 2, 2], 1, "b"), get([3, 4, 1])],
  "reads that go back": [get([1, 2, 5]), get([3, 4, 4])],
  "an unknown write with a smaller revision than one before its call": [
    put([1, 2, 5], 1),
    put([3, undefined], 2, "b"),
    get([4, 5, 6], 2, 4, "b"),
  ],
  "an unknown write that the store's revision puts before its call": [
    put([1, 9, 5], 1),
    get([2, 3, 5], 1, 5),
    put([4, undefined], 2, "b"),
    get([4, 5, 5], 2, undefined, "b"),
  ],
  "a stale read at a new revision": [put([1, 9, 1], 1), put([1, 9, 2], 2), get([1, 9, 2], 1, 1)],
  "a read of a later value at an old revision": [put([1, 9, 1], 1), put([1, 9, 2], 2), get([1, 9, 1], 2, 2)],
  "a lost write": [put([1, 2, 1], 1), get([3, 4, 1])],
  "a read of a value that nobody wrote": [get([1, 2, 1], 7)],
  "a value with the revision of another write": [
    put([1, 9, 1], 1),
    put([1, 9, 2], 2),
    get([10, 11, 2], 2, 1),
  ],
  "a write that reappears": [put([1, 9, 1], 1), remove([1, 9, 2], true), get([10, 11, 3], 1, 1)],
  "a swap that succeeds twice": [
    put([1, 2, 1], 1),
    swap([3, 9, 2], { value: 1 }, 2, true),
    swap([3, 9, 3], { value: 1 }, 3, true),
  ],
  "a swap by a revision that is over": [
    put([1, 2, 1], 1),
    put([3, 4, 2], 2),
    swap([5, 6, 3], { revision: 1 }, 3, true),
  ],
  "a swap that is refused without a reason": [put([1, 2, 1], 1), swap([3, 4, 1], { value: 1 }, 2, false)],
  "a delete of what is not there": [put([1, 2, 1], 1), remove([3, 9, 2], true), remove([3, 9, 3], true)],
  "a transaction that is seen by half": [both([1, 9, 1], 1, 2), range([10, 11, 1], [["a", 1, 1]])],
  "an unknown transaction that is seen by half": [
    at([1, undefined], both([1, 2], 1, 2).op),
    range([3, 4, 1], [["b", 2, 1]]),
  ],
  "an unknown delete that is seen, and undone by nobody": [
    put([1, 2, 1], 1),
    remove([3, undefined], true),
    get([4, 9, 2]),
    get([4, 9, 3], 1, 1),
  ],
  "an unknown write that shows in a refusal, and is gone again": [
    put([1, 2, 1], 1),
    put([3, undefined], 2),
    swap([4, 9, 2], { value: 1 }, 3, false),
    get([4, 9, 3], 1, 1),
  ],
  "an unknown write that excuses what was before its call": [
    put([1, 2, 1], 1),
    get([3, 4, 2]),
    remove([5, undefined], true),
  ],
  "a range that finds a key twice": [
    put([1, 2, 1], 1),
    range(
      [3, 4, 1],
      [
        ["a", 1, 1],
        ["a", 1, 1],
      ],
    ),
  ],
};

describe("it accepts", () => {
  test.each(Object.entries(GOOD))("%s", (_, history) => {
    expect(checkRevisionOrder(history.toReversed())).toMatchObject({ outcome: "accepted" });
  });
});

describe("it rejects", () => {
  test.each(Object.entries(BAD))("%s", (_, history) => {
    expect(checkRevisionOrder(history.toReversed())).toMatchObject({ outcome: "rejected" });
  });
});

test("a value of unknown fate that two operations write leaves it undecided", () => {
  const verdict = checkRevisionOrder([put([1, undefined], 1), put([2, 3, 1], 1), get([4, 5, 1], 1)]);

  expect(verdict.outcome).toBe("undecided");
  expect(verdict.outcome === "undecided" && verdict.explanation).toContain(
    "a = 1 is written by several operations",
  );
});

test.each([
  [
    [put([1, 2, 7], 1, "b"), put([3, 5, 6], 2), get([4, 6, 8], 9)],
    [
      "cannot be placed: client c [3, 5] put a = 2 -> done @6",
      "because its revision 6 is not above 7: client c had answered @7 at 2, before the call",
      "concurrent with it:",
      "  client c [4, 6] get a -> 9 @8",
    ],
  ],
  [
    [put([1, 2, 1], 1), get([3, 4, 1])],
    ["cannot be placed: client c [3, 4] get a -> absent @1", "because a is 1 of @1 at revision 1"],
  ],
])("a rejection says why", (history, lines) => {
  const verdict = checkRevisionOrder(history);

  expect(verdict.outcome === "rejected" && verdict.explanation).toContain(lines.join("\n"));
});
