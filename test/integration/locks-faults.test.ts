/**
 * Locks while their instances and their holders fail. Each run has processes of its own that contend for
 * locks of every kind, and each ends with a look at its whole history.
 */
import { describe, expect, test } from "vitest";

import { micros } from "../support/lock-events.ts";
import {
  breakAndMend,
  DEADLINE_MS,
  LEASE_MS,
  LEASE_MS_MAX,
  LockRun,
  LONG,
  SOUND,
} from "../support/lock-run.ts";

const LIMIT = { timeout: 60_000 };

describe.each([1, 3, 5])("in a group of %i", LIMIT, (instances) => {
  test.concurrent("instances that are killed cost grants only when too many are gone", async () => {
    await using run = await LockRun.open({ instances });
    const broken = run.some(Math.max(1, run.spare));

    await breakAndMend(run, broken, {
      break: (at) => run.instances[at]!.kill(),
      mend: (at) => run.instances[at]!.restart(),
    });

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("instances that are paused grant nothing until they are resumed", async () => {
    await using run = await LockRun.open({ instances });
    const broken = run.some(Math.max(1, run.spare));

    await breakAndMend(run, broken, {
      break: (at) => run.instances[at]!.pause(),
      mend: (at) => run.instances[at]!.resume(),
    });

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("an instance that restarts empty, again and again, abstains each time", async () => {
    await using run = await LockRun.open({ instances, locker: { assumeNew: false } });

    for (const round of [0, 1, 2]) {
      const at = round % instances;
      const wipedAt = micros();
      await run.instances[at]!.restart({ wipe: true });
      await run.healthy(micros());

      const abstains = { by: at, before: wipedAt + LEASE_MS_MAX * 1000 };
      expect(run.grants(wipedAt + DEADLINE_MS * 1000, abstains)).toBe(0);
    }

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("all may restart empty at once: none grants before old leases are over", async () => {
    await using run = await LockRun.open({ instances, locker: { assumeNew: false } });

    const wipedAt = micros();
    await Promise.all(run.instances.map((instance) => instance.restart({ wipe: true })));
    await run.healthy(micros());

    expect(run.grants(wipedAt + DEADLINE_MS * 1000, { before: wipedAt + LEASE_MS_MAX * 1000 })).toBe(0);
    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("a majority that is gone ends all grants, and grants come back with it", async () => {
    await using run = await LockRun.open({ instances });

    await breakAndMend(run, run.some(instances - run.spare), {
      break: (at) => run.instances[at]!.kill(),
      mend: (at) => run.instances[at]!.restart(),
    });

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("a holder whose process is paused loses its lock to another", async () => {
    await using run = await LockRun.open({ instances });
    const [paused, other] = run.processes;
    await run.granted(1, micros(), { process: paused!.name, resource: LONG });

    const pausedAt = micros();
    paused!.signal("SIGSTOP");
    await run.granted(1, pausedAt, { process: other!.name, resource: LONG });
    await run.granted(20, pausedAt + 2 * LEASE_MS * 1000, { process: other!.name });
    const resumedAt = micros();
    paused!.signal("SIGCONT");
    await run.lost(1, resumedAt);
    await run.healthy(resumedAt);

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("a holder whose event loop is blocked loses its lock, and says so at once", async () => {
    await using run = await LockRun.open({ instances });
    const [blocked, other] = run.processes;
    await run.granted(1, micros(), { process: blocked!.name, resource: LONG });

    const blockedAt = micros();
    blocked!.block(2 * LEASE_MS);
    await run.granted(1, blockedAt, { process: other!.name, resource: LONG });
    await run.lost(1, blockedAt);
    await run.healthy(micros());

    expect(await run.finish()).toEqual(SOUND);
  });
});
