/** The lease clock names the leases that its slow twin, which looks at all of them each time, names. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { LeaseClock, MetaStore } from "../../../src/meta/index.ts";
import { applyOne } from "../../support/meta-entries.ts";

const RETRY_MS = 50;

const lease = fc.integer({ min: 1, max: 5 });
const step = fc.record({
  afterMs: fc.nat(40),
  isNoted: fc.nat(4).map((drawn) => drawn > 0),
  change: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record(
        { type: fc.constant("grantLease" as const), lease, ttlMs: fc.integer({ min: 1, max: 100 }) },
      ),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("renewLease" as const), lease }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("revokeLease" as const), lease }) },
    { weight: 1, arbitrary: fc.constant("lead" as const) },
    { weight: 6, arbitrary: fc.constant("expire" as const) },
    { weight: 2, arbitrary: fc.constant("look" as const) },
  ),
});

test("the clock names what is due, with the renewal that it saw, and the store agrees", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80, size: "max" }), (steps) => {
      const store = new MetaStore();
      const clock = new LeaseClock(store, RETRY_MS);
      const ends = new Map<number, number>();
      /** The renewals from which those are counted. */
      const counted = new Map<number, number>();
      let nowMs = 1_000;
      clock.lead(nowMs);
      for (const { afterMs, isNoted, change } of steps) {
        nowMs += afterMs;
        if (change === "lead") {
          clock.lead(nowMs);
          for (const { lease: each, ttlMs, renewal } of store.leases()) {
            ends.set(each, nowMs + ttlMs);
            counted.set(each, renewal);
          }
        } else if (typeof change === "object") {
          const outcome = applyOne(store, change);
          if (!isNoted && change.type === "renewLease") continue;
          clock.note(outcome, nowMs);
          if (outcome.answer?.type === "lease") {
            ends.set(change.lease, nowMs + outcome.answer.ttlMs);
            counted.set(change.lease, outcome.answer.renewal);
          }
        }
        const due = clock.due(nowMs, 100).toSorted((a, b) => a.lease - b.lease);
        const expected = [...store.leases()]
          .filter((held) => ends.get(held.lease)! <= nowMs)
          .filter(({ lease: each, renewal, ttlMs }) => {
            if (counted.get(each) === renewal) return true;
            ends.set(each, nowMs + ttlMs);
            counted.set(each, renewal);
            return false;
          })
          .map((held) => ({ lease: held.lease, renewal: held.renewal }));

        expect(due).toEqual(expected.toSorted((a, b) => a.lease - b.lease));
        for (const each of due) ends.set(each.lease, nowMs + RETRY_MS);
        if (change !== "expire") continue;
        for (const each of due) {
          expect(applyOne(store, { type: "expireLease", ...each, term: 1 }).ok).toBe(true);
        }
      }
    }),
    { numRuns: 400 },
  );
});
