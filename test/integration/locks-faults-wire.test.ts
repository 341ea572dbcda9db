/** Locks while the wire between a process and its instances fails, in each direction by itself. */
import { describe, expect, test } from "vitest";

import { micros } from "../support/lock-events.ts";
import { breakAndMend, LockRun, SOUND } from "../support/lock-run.ts";
import { DIRECTIONS } from "../support/tcp-proxy.ts";

const LIMIT = { timeout: 60_000 };
const SLOW_MS = 50;

describe.each([1, 3, 5])("in a group of %i", LIMIT, (instances) => {
  test.concurrent.each([
    ["requests", "toServer"],
    ["replies", "toClient"],
  ] as const)("instances whose %s are held back grant nothing, and late ones do no harm", async (_, way) => {
    await using run = await LockRun.open({ instances, wires: true });

    await breakAndMend(run, run.some(Math.max(1, run.spare)), {
      break: (at) => run.wires[at]!.hold(way),
      mend: (at) => run.wires[at]!.pass(),
    });

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("slow instances slow down only those calls that need them", async () => {
    await using run = await LockRun.open({ instances, wires: true });
    const slow = run.some(Math.max(1, run.spare));
    const sentBefore = run.wires[0]!.counts("toServer").deliveredBytes;

    for (const at of slow) for (const way of DIRECTIONS) run.wires[at]!.delay(way, SLOW_MS / 2);
    const slowAt = micros();
    await run.granted(50, slowAt + SLOW_MS * 1000);
    const fastest = Math.min(...run.callTimes(slowAt + SLOW_MS * 1000));
    await run.healthy(slowAt + SLOW_MS * 1000);
    const sent = run.wires[0]!.counts("toServer").deliveredBytes - sentBefore;
    for (const at of slow) run.wires[at]!.pass();
    await run.healthy(micros());

    const [least, most] = instances === 1 ? [SLOW_MS, Infinity] : [0, SLOW_MS];
    expect(fastest).toBeGreaterThanOrEqual(least);
    expect(fastest).toBeLessThan(most);
    expect(sent).toBeGreaterThan(0);
    expect(await run.finish()).toEqual(SOUND);
  });
});

describe("in a group of 3", LIMIT, () => {
  test.concurrent.each([
    ["requests", "toServer"],
    ["replies", "toClient"],
  ] as const)("an instance whose %s are lost for good is connected anew", async (_, way) => {
    await using run = await LockRun.open({ instances: 3, wires: true });

    await breakAndMend(run, [0], {
      break: (at) => run.wires[at]!.drop(way),
      mend: (at) => run.wires[at]!.pass(),
    });

    expect(run.wires[0]!.counts(way).droppedBytes).toBeGreaterThan(0);
    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("with a majority that refuses connections nothing is granted", async () => {
    await using run = await LockRun.open({ instances: 3, wires: true });

    await breakAndMend(run, [0, 1], {
      break: async (at) => {
        await run.wires[at]!.refuse();
        run.wires[at]!.cut();
      },
      mend: (at) => run.wires[at]!.accept(),
    });

    expect(await run.finish()).toEqual(SOUND);
  });

  test.concurrent("with every wire slow, each call costs its round trips and no more", async () => {
    await using run = await LockRun.open({ instances: 3, wires: true });

    for (const wire of run.wires) for (const way of DIRECTIONS) wire.delay(way, SLOW_MS / 2, 10);
    const slowAt = micros() + SLOW_MS * 1000;
    await run.granted(50, slowAt);
    await run.healthy(slowAt);

    expect(Math.min(...run.callTimes(slowAt))).toBeGreaterThanOrEqual(SLOW_MS);
    expect(await run.finish()).toEqual(SOUND);
  });
});
