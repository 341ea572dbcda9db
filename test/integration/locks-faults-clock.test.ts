/** Locks while the clock of an instance is set, forward and back. Each run moves a real server's clock. */
import { describe, expect, test } from "vitest";

import { micros } from "../support/lock-events.ts";
import { DEADLINE_MS, LEASE_MS, LEASE_MS_MAX, LockRun, SOUND } from "../support/lock-run.ts";

const LIMIT = { timeout: 60_000 };
const HOUR_MS = 3_600_000;

describe.each([1, 3, 5])("in a group of %i", LIMIT, (instances) => {
  test.concurrent.each([
    ["an hour forward", HOUR_MS],
    ["an hour back", -HOUR_MS],
    ["forward by less than a lease", LEASE_MS / 2],
  ])("instances whose clocks leap %s abstain until old leases are over", async (_, byMs) => {
    await using run = await LockRun.open({ instances, clocks: true });
    const leaping = run.some(Math.max(1, run.spare));

    const leaptAt = micros();
    for (const at of leaping) run.leap(at, byMs);
    await run.granted(20, leaptAt);
    await run.healthy(leaptAt + LEASE_MS_MAX * 1000);

    for (const by of leaping) {
      const abstains = { by, before: leaptAt + LEASE_MS_MAX * 1000 };
      expect(run.grants(leaptAt + DEADLINE_MS * 1000, abstains)).toBe(0);
    }
    // A single instance cannot be spared: its leases end early, and the tokens alone say who is the later.
    const isBeyond = instances === 1 && byMs > 0;
    const { leaps, ...verdict } = await run.finish(isBeyond ? ["overlap", "permits"] : []);
    expect({ ...verdict, leaps: 0 }).toEqual(SOUND);
    expect(leaps).toBeGreaterThanOrEqual(leaping.length);
    expect(run.leaps().slice(leaping.length)).toEqual(run.instances.slice(leaping.length).map(() => 0));
  });
});
