import { describe, expect, test } from "vitest";

import { MetaStore } from "../../../src/meta/index.ts";
import { applyAll, applyOne, put } from "../../support/meta-entries.ts";

describe("a grant", () => {
  test("without a number takes the index of its entry", () => {
    const store = new MetaStore();

    const [, outcome] = applyAll(store, [{ type: "noop" }, { type: "grantLease", ttlMs: 500 }]);

    expect(outcome?.answer).toEqual({ type: "lease", lease: 2, ttlMs: 500, renewal: 2 });
    expect(store.lease(2)).toEqual({ lease: 2, ttlMs: 500, renewal: 2, keyCount: 0 });
  });

  test("without a number takes the next free one if somebody chose its index before", () => {
    const store = new MetaStore();

    const outcomes = applyAll(store, [
      { type: "grantLease", lease: 3, ttlMs: 1 },
      { type: "grantLease", lease: 4, ttlMs: 1 },
      { type: "grantLease", ttlMs: 1 },
    ]);

    expect(outcomes[2]?.answer).toMatchObject({ lease: 5, renewal: 3 });
  });

  test("of a number that is taken is refused", () => {
    const store = new MetaStore();

    const [, again] = applyAll(store, [
      { type: "grantLease", lease: 7, ttlMs: 1 },
      { type: "grantLease", lease: 7, ttlMs: 2 },
    ]);

    expect(again?.refusal).toEqual({ code: "LEASE_EXISTS", expected: 0, received: 7 });
    expect(store.lease(7)?.ttlMs).toBe(1);
  });

  test("beyond the bound is refused until a lease ends", () => {
    const store = new MetaStore({ leasesMax: 1 });

    const outcomes = applyAll(store, [
      { type: "grantLease", lease: 7, ttlMs: 1 },
      { type: "grantLease", lease: 8, ttlMs: 1 },
      { type: "revokeLease", lease: 7 },
      { type: "grantLease", lease: 8, ttlMs: 1 },
    ]);

    expect(outcomes[1]?.refusal).toEqual({ code: "LEASES_FULL", expected: 1, received: 1 });
    expect(outcomes[3]?.ok).toBe(true);
  });
});

describe("a key with a lease", () => {
  test("is not put if there is no such lease", () => {
    const store = new MetaStore();

    const outcome = applyOne(store, put("k", "", { lease: 7 }));

    expect(outcome.refusal).toEqual({ code: "LEASE_UNKNOWN", expected: 0, received: 7 });
    expect(store.get("k")).toBeUndefined();
  });

  test("moves to the lease of its last put, or to none", () => {
    const store = new MetaStore();
    applyAll(store, [{ type: "grantLease", lease: 7, ttlMs: 1 }, { type: "grantLease", lease: 8, ttlMs: 1 }]);

    applyAll(store, [put("a", "", { lease: 7 }), put("b", "", { lease: 7 }), put("c", "", { lease: 7 })]);
    applyAll(
      store,
      [put("a", "", { lease: 8 }), put("b"), put("c", "", { lease: 7 }), { type: "delete", key: "c" }],
    );

    expect([store.leaseKeys(7), store.leaseKeys(8)]).toEqual([[], ["a"]]);
    expect(store.lease(8)?.keyCount).toBe(1);
    expect(store.get("a")?.lease).toBe(8);
  });
});

describe("the end of a lease", () => {
  test("by revoking deletes its keys in order, under one revision", () => {
    const store = new MetaStore();
    applyOne(store, { type: "grantLease", lease: 7, ttlMs: 1 });
    applyAll(store, ["c", "a", "b"].map((key) => put(key, "", { lease: 7 })));

    const outcome = applyOne(store, { type: "revokeLease", lease: 7 });

    expect(outcome.answer).toEqual({ type: "delete", deletedCount: 3 });
    expect(outcome.events.map(({ type, key, revision }) => [type, key, revision])).toEqual([
      ["delete", "a", 4], ["delete", "b", 4], ["delete", "c", 4],
    ]);
    expect([store.keyCount, store.leaseCount, store.lease(7)]).toEqual([0, 0, undefined]);
  });

  test("makes the same events on a peer that was restored", () => {
    const store = new MetaStore();
    applyOne(store, { type: "grantLease", lease: 7, ttlMs: 1 });
    applyAll(store, ["c", "a", "b"].map((key) => put(key, "", { lease: 7 })));
    const restored = MetaStore.restore(store.snapshot());

    const [one, other] = [store, restored].map((each) => applyOne(each, { type: "revokeLease", lease: 7 }));

    expect(other).toEqual(one);
  });

  test("without keys leaves the revision as it was", () => {
    const store = new MetaStore();

    const [, outcome] = applyAll(store, [
      { type: "grantLease", lease: 7, ttlMs: 1 },
      { type: "revokeLease", lease: 7 },
    ]);

    expect([outcome?.ok, outcome?.revision]).toEqual([true, 0]);
  });

  test.each(["renewLease", "revokeLease", "expireLease"] as const)("that is unknown refuses %s", (type) => {
    const outcome = applyOne(new MetaStore(), { type, lease: 7, term: 1, renewal: 1 });

    expect(outcome.refusal).toEqual({ code: "LEASE_UNKNOWN", expected: 0, received: 7 });
  });
});

describe("an expiry", () => {
  test("of the entry's term and the last renewal ends the lease", () => {
    const store = new MetaStore();
    applyAll(store, [{ type: "grantLease", lease: 7, ttlMs: 1 }, put("k", "", { lease: 7 })], 3);

    const outcome = applyOne(store, { type: "expireLease", lease: 7, term: 3, renewal: 1 }, 3);

    expect(outcome).toMatchObject(
      { ok: true, answer: { deletedCount: 1 }, events: [{ type: "delete", key: "k" }] },
    );
    expect(store.lease(7)).toBeUndefined();
  });

  test("that was overtaken by a renewal is stale", () => {
    const store = new MetaStore();
    applyOne(store, { type: "grantLease", lease: 7, ttlMs: 900 });

    const renewed = applyOne(store, { type: "renewLease", lease: 7 });
    const outcome = applyOne(store, { type: "expireLease", lease: 7, term: 1, renewal: 1 });

    expect(renewed.answer).toEqual({ type: "lease", lease: 7, ttlMs: 900, renewal: 2 });
    expect(outcome.refusal).toEqual({ code: "STALE_RENEWAL", expected: 2, received: 1 });
    expect(store.leaseCount).toBe(1);
  });

  test.each([2, 4])("that names term %i in an entry of term 3 is stale", (term) => {
    const store = new MetaStore();
    applyOne(store, { type: "grantLease", lease: 7, ttlMs: 1 }, 3);

    const outcome = applyOne(store, { type: "expireLease", lease: 7, term, renewal: 1 }, 3);

    expect(outcome.refusal).toEqual({ code: "STALE_TERM", expected: 3, received: term });
    expect(store.leaseCount).toBe(1);
  });

  test("never ends another lease that took the number", () => {
    const store = new MetaStore();
    applyAll(store, [
      { type: "grantLease", lease: 7, ttlMs: 1 },
      { type: "revokeLease", lease: 7 },
      { type: "grantLease", lease: 7, ttlMs: 1 },
    ]);

    const late = applyOne(store, { type: "expireLease", lease: 7, term: 1, renewal: 1 });

    expect(late.refusal).toEqual({ code: "STALE_RENEWAL", expected: 3, received: 1 });
  });
});
