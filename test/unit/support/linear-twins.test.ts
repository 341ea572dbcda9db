/** The checkers against their slow twin, and against a store that is right by construction. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { seededRandom } from "../../../src/testing/index.ts";
import { checkLinearizable } from "../../support/linear/check.ts";
import { damaged } from "../../support/linear/damage.ts";
import type { Operation } from "../../support/linear/history.ts";
import { KEY_VALUE_MODEL } from "../../support/linear/key-value-model.ts";
import type { KeyValueOp } from "../../support/linear/key-value.ts";
import { madeHistory, type MadeHistoryOptions } from "../../support/linear/made-history.ts";
import { checkRevisionOrder } from "../../support/linear/revision-order.ts";
import { isLinearizableSlowly } from "../../support/linear/slow-twin.ts";

const ALL_KINDS = { get: 8, put: 6, delete: 3, compareAndPut: 4, range: 2, transaction: 3 };
const ONE_KEY_KINDS = { get: 8, put: 6, delete: 3, compareAndPut: 4 };
/** As a run of the simulator leaves it. */
const USUAL = { operations: 200, clients: 8, keys: 5, weights: ALL_KINDS, unknownPerMille: 40 };

const seed = fc.nat();
/** Few operations, close together, on few keys: much overlaps. */
const small = fc.record({
  seed,
  operations: fc.integer({ min: 2, max: 7 }),
  clients: fc.integer({ min: 2, max: 5 }),
  keys: fc.integer({ min: 1, max: 3 }),
  weights: fc.constantFrom(ALL_KINDS, ONE_KEY_KINDS),
  unknownPerMille: fc.constantFrom(0, 200, 500),
  spreadMax: fc.constantFrom(3, 10),
  lateMax: fc.constant(40),
});
const damages = fc.record({ damageSeed: seed, count: fc.integer({ min: 0, max: 3 }) });

function outcome(history: readonly Operation<KeyValueOp>[]): string {
  return checkLinearizable(KEY_VALUE_MODEL, history).outcome;
}

function complaints(history: readonly Operation<KeyValueOp>[]): string[] {
  const verdicts = [checkLinearizable(KEY_VALUE_MODEL, history), checkRevisionOrder(history)];
  return verdicts.flatMap((one) => (one.outcome === "accepted" ? [] : [one.explanation]));
}

function made(options: MadeHistoryOptions & { readonly seed: number }): Operation<KeyValueOp>[] {
  return madeHistory(seededRandom(options.seed), options);
}

/** How many of the histories that a property looked at were good. */
class Tally {
  good = 0;
  bad = 0;

  add(isGood: boolean): boolean {
    if (isGood) this.good++;
    else this.bad++;
    return isGood;
  }
}

test("the search and its slow twin agree on every small history, good or damaged", () => {
  const tally = new Tally();

  fc.assert(
    fc.property(small, damages, (options, { damageSeed, count }) => {
      const history = damaged(seededRandom(damageSeed), made(options), count);
      const isGood = tally.add(isLinearizableSlowly(history));
      expect(outcome(history)).toBe(isGood ? "accepted" : "rejected");
    }),
    { numRuns: 4_000 },
  );

  expect(Math.min(tally.good, tally.bad)).toBeGreaterThan(400);
});

test("what the slow twin explains with revisions passes the search and the revision order", () => {
  const tally = new Tally();

  fc.assert(
    fc.property(small, damages, (options, { damageSeed, count }) => {
      const history = damaged(seededRandom(damageSeed), made({ ...options, hasRevisions: true }), count);
      if (!tally.add(isLinearizableSlowly(history))) return;
      expect(outcome(history)).toBe("accepted");
      expect(checkRevisionOrder(history).outcome).not.toBe("rejected");
    }),
    { numRuns: 2_000 },
  );

  expect(Math.min(tally.good, tally.bad)).toBeGreaterThan(200);
});

test("what passes the revision order, with all outcomes known, is linearizable for the slow twin", () => {
  const tally = new Tally();

  fc.assert(
    fc.property(small, damages, (options, { damageSeed, count }) => {
      const known = { ...options, unknownPerMille: 0, hasRevisions: true };
      const history = damaged(seededRandom(damageSeed), made(known), count).filter(
        ({ op }) => op.kind !== "compareAndPut" && op.kind !== "transaction",
      );
      if (!tally.add(checkRevisionOrder(history).outcome === "accepted")) return;
      expect(isLinearizableSlowly(history.map((one) => ({ ...one, op: withoutRevisions(one.op) })))).toBe(
        true,
      );
    }),
    { numRuns: 2_000 },
  );

  expect(Math.min(tally.good, tally.bad)).toBeGreaterThan(200);
});

test("a store that is right is accepted, whatever its clients do", () => {
  fc.assert(
    fc.property(seed, fc.boolean(), (one, hasRevisions) => {
      const history = made({ ...USUAL, seed: one, hasRevisions });
      expect(complaints(history)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test("answers of which some lack their revisions are accepted", () => {
  fc.assert(
    fc.property(seed, seed, (one, other) => {
      const random = seededRandom(other);
      const history = made({ ...USUAL, seed: one, hasRevisions: true }).map((operation) =>
        random.below(3) === 0 ? { ...operation, op: withoutRevisions(operation.op) } : operation,
      );
      expect(complaints(history)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

function withoutRevisions(op: KeyValueOp): KeyValueOp {
  if (op.answer === undefined) return op;
  if (op.kind === "get") {
    const { found } = op.answer;
    return { ...op, answer: { found: found === undefined ? undefined : { value: found.value } } };
  }
  if (op.kind === "range") {
    return { ...op, answer: { found: op.answer.found.map(({ key, value }) => ({ key, value })) } };
  }
  const { revision: _, ...answer } = op.answer;
  return { ...op, answer } as KeyValueOp;
}
