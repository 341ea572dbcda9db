import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  driftAllowance,
  leaseEnd,
  lossAt,
  remainingMin,
  renewalRetry,
  renewalStart,
} from "../../../src/locks/core/lease.ts";

const lease = fc.integer({ min: 10, max: 86_400_000 });

describe("a lease", () => {
  test("is shorter for its holder than for the instances, by 1 % and 2 ms", () => {
    expect(driftAllowance(1000)).toBe(12);
    expect(leaseEnd(500, 1000)).toBe(1488);
  });

  test("ends before an instance whose clock runs 1 % fast lets it go", () => {
    fc.assert(fc.property(lease, (leaseMs) => leaseEnd(0, leaseMs) < leaseMs / 1.01));
  });

  test("is worth having with a quarter of it left", () => {
    expect(remainingMin(1000)).toBe(250);
  });

  test("is renewed from a third of it on, tried again soon, and given up before it ends", () => {
    fc.assert(
      fc.property(lease, (leaseMs) => {
        const end = leaseEnd(0, leaseMs);
        const start = renewalStart(0, leaseMs, 0);
        const spread = renewalStart(0, leaseMs, 1);
        return (
          start === leaseMs / 3 &&
          spread < start &&
          spread > leaseMs / 4 &&
          start < lossAt(end, leaseMs) &&
          lossAt(end, leaseMs) < end &&
          renewalRetry(start, leaseMs) > start
        );
      }),
    );
  });

  test("leaves room for several tries between the first renewal and its end", () => {
    const leaseMs = 1000;
    let tries = 0;
    for (let at = renewalStart(0, leaseMs, 0); at < lossAt(leaseEnd(0, leaseMs), leaseMs); tries += 1) {
      at = renewalRetry(at, leaseMs);
    }

    expect(tries).toBeGreaterThan(10);
  });
});
