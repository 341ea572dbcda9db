/** A hundred thousand operations: accepted in seconds, and rejected for one wrong answer among them. */
import { expect, test } from "vitest";

import { seededRandom } from "../../../src/testing/index.ts";
import { checkLinearizable } from "../../support/linear/check.ts";
import type { Operation } from "../../support/linear/history.ts";
import { KEY_VALUE_MODEL } from "../../support/linear/key-value-model.ts";
import type { KeyValueOp } from "../../support/linear/key-value.ts";
import { madeHistory } from "../../support/linear/made-history.ts";
import { checkRevisionOrder } from "../../support/linear/revision-order.ts";

const SIZE = {
  operations: 100_000,
  clients: 20,
  keys: 10,
  weights: { get: 50, put: 30, delete: 5, compareAndPut: 15 },
  unknownPerMille: 5,
};
/** A bound on work, not on time: the machine may be busy. A good history takes a twentieth of it. */
const BOUND = { stepsMax: 5_000_000 };

/** In the middle, a read of `k3` answers what another one was answered long before. */
function withOneStaleRead(history: readonly Operation<KeyValueOp>[]): Operation<KeyValueOp>[] {
  const reads = history.filter(
    ({ op, returnedAt }) =>
      op.kind === "get" && op.key === "k3" && returnedAt !== undefined && op.answer?.found !== undefined,
  );
  const stale = reads[Math.floor(reads.length / 2)]!;
  const old = reads[Math.floor(reads.length / 4)]!.op as KeyValueOp & { kind: "get" };
  const { op } = stale;
  if (op.kind !== "get" || op.answer === undefined || old.answer === undefined) throw new Error("no reads");
  const answer = { ...op.answer, found: old.answer.found };
  return history.map((one) => (one === stale ? { ...one, op: { ...op, answer } } : one));
}

test.each([false, true])(
  "many operations are accepted, and rejected with one stale read (revisions: %s)",
  (hasRevisions) => {
    const history = madeHistory(seededRandom(1), { ...SIZE, hasRevisions });
    const bad = withOneStaleRead(history);

    expect(history.filter(({ returnedAt }) => returnedAt === undefined).length).toBeGreaterThan(300);
    expect(checkLinearizable(KEY_VALUE_MODEL, history, BOUND)).toMatchObject({ outcome: "accepted" });
    expect(checkLinearizable(KEY_VALUE_MODEL, bad, BOUND)).toMatchObject({
      outcome: "rejected",
      operation: { op: { kind: "get", key: "k3" } },
    });
    if (!hasRevisions) return;
    expect(checkRevisionOrder(history)).toMatchObject({ outcome: "accepted" });
    expect(checkRevisionOrder(bad)).toMatchObject({
      outcome: "rejected",
      operation: { op: { kind: "get", key: "k3" } },
    });
  },
);

test("operations on several keys are accepted within the bound when answers carry revisions", () => {
  const weights = { ...SIZE.weights, range: 5, transaction: 5 };
  const history = madeHistory(seededRandom(2), { ...SIZE, operations: 10_000, weights, hasRevisions: true });

  expect(checkLinearizable(KEY_VALUE_MODEL, history, BOUND)).toMatchObject({ outcome: "accepted" });
  expect(checkLinearizable(KEY_VALUE_MODEL, withOneStaleRead(history), BOUND).outcome).not.toBe("accepted");
});
