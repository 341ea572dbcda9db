import { describe, expect, test } from "vitest";

import { LEASE_RETRY_MS, LeaseClock, MetaStore } from "../../../src/meta/index.ts";
import { applyAll, applyOne } from "../../support/meta-entries.ts";

const grant = (lease: number, ttlMs: number) => ({ type: "grantLease", lease, ttlMs }) as const;

describe("a lease clock", () => {
  test("gives every lease its full length when its peer becomes leader", () => {
    const store = new MetaStore();
    applyAll(store, [grant(7, 100), grant(8, 200)]);
    const clock = new LeaseClock(store);

    clock.lead(5_000);

    expect(clock.nextAtMs).toBe(5_100);
    expect(clock.due(5_099, 10)).toEqual([]);
    expect(clock.due(5_100, 10)).toEqual([{ lease: 7, renewal: 1 }]);
    expect(clock.due(5_200, 10)).toEqual([{ lease: 8, renewal: 2 }]);
  });

  test("counts anew from each renewal", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.lead(0);
    clock.note(applyOne(store, grant(7, 100)), 0);

    clock.note(applyOne(store, { type: "renewLease", lease: 7 }), 60);

    expect(clock.due(159, 10)).toEqual([]);
    expect(clock.due(160, 10)).toEqual([{ lease: 7, renewal: 2 }]);
  });

  test("names a lease again after a while, for its proposal may be lost", () => {
    const store = new MetaStore();
    applyOne(store, grant(7, 100));
    const clock = new LeaseClock(store);
    clock.lead(0);

    const times = [100, 101, 99 + LEASE_RETRY_MS, 100 + LEASE_RETRY_MS].map((ms) => clock.due(ms, 10).length);

    expect(times).toEqual([1, 0, 0, 1]);
  });

  test("names no lease that has ended, nor a second time for its old length when the number is taken again", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.lead(0);
    const revoke = { type: "revokeLease", lease: 7 } as const;
    for (const command of [grant(7, 100), grant(8, 50), revoke, grant(7, 10)]) {
      clock.note(applyOne(store, command), 0);
    }
    applyOne(store, { type: "revokeLease", lease: 8 });

    const due = [10, 50, 100].map((ms) => clock.due(ms, 10).map(({ lease }) => lease));

    expect(due).toEqual([[7], [], []]);
  });

  test("names at most as many as asked for, the longest due first", () => {
    const store = new MetaStore();
    applyAll(store, [grant(1, 30), grant(2, 10), grant(3, 20)]);
    const clock = new LeaseClock(store);
    clock.lead(0);

    expect(clock.due(40, 2).map(({ lease }) => lease)).toEqual([2, 3]);
    expect(clock.due(40, 2).map(({ lease }) => lease)).toEqual([1]);
  });

  test("names nothing before it leads and after", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.note(applyOne(store, grant(7, 1)), 0);
    const before = clock.due(1_000, 10);
    clock.lead(0);
    clock.rest();

    expect([before, clock.due(1_000, 10), clock.nextAtMs]).toEqual([[], [], Number.POSITIVE_INFINITY]);
  });

  test("takes no notice of a repeated answer", () => {
    const store = new MetaStore();
    applyOne(store, { type: "openSession" });
    const clock = new LeaseClock(store);
    clock.lead(0);
    const stamped = { ...grant(7, 100), stamp: { session: 1, sequence: 1, firstWanted: 1 } };
    clock.note(applyOne(store, stamped), 0);

    clock.note(applyOne(store, stamped), 90);

    expect(clock.due(100, 10)).toEqual([{ lease: 7, renewal: 2 }]);
  });

  test("keeps 100,000 leases that are renewed all the time in one place each", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.lead(0);
    for (let lease = 1; lease <= 100_000; lease++) clock.note(applyOne(store, grant(lease, 1_000)), 0);
    for (let lease = 1; lease <= 100_000; lease++) {
      clock.note(applyOne(store, { type: "renewLease", lease }), 500);
    }

    const counts = [1_000, 1_499, 1_500, 1_501].map((ms) => clock.due(ms, 1_000_000).length);

    expect(counts).toEqual([0, 0, 100_000, 0]);
  });

  test("names no lease with a renewal that it has not counted from", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.lead(0);
    clock.note(applyOne(store, grant(7, 100)), 0);
    applyOne(store, { type: "renewLease", lease: 7 });

    const due = [100, 199, 200].map((ms) => clock.due(ms, 10));

    expect(due).toEqual([[], [], [{ lease: 7, renewal: 2 }]]);
  });

  test("forgets leases that ended long before they were due", () => {
    const store = new MetaStore();
    const clock = new LeaseClock(store);
    clock.lead(0);
    for (let lease = 1; lease <= 20_000; lease++) {
      clock.note(applyOne(store, grant(lease, 1_000_000)), 0);
      if (lease % 100 !== 0) applyOne(store, { type: "revokeLease", lease });
    }

    expect(clock.heapSize).toBeLessThan(2 * store.leaseCount + 2_000);
    expect(clock.due(1_000_000, 1_000).length).toBe(store.leaseCount);
  });
});
