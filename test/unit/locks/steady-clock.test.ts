import { describe, expect, test } from "vitest";

import type { Clock } from "../../../src/env/index.ts";
import { SteadyClock } from "../../../src/locks/core/steady-clock.ts";
import { SimClock } from "../../../src/testing/index.ts";

describe("the steady clock", () => {
  test("goes with the monotonic clock", async () => {
    const clock = new SimClock();
    const steady = new SteadyClock(clock);
    const start = steady.look();

    await clock.advance(250);

    expect(steady.now() - start).toBe(250);
    expect(steady.look() - start).toBe(250);
  });

  test("counts the time that the machine slept, once it looks", async () => {
    const clock = new SimClock();
    const steady = new SteadyClock(clock);
    const start = steady.look();

    clock.suspend(5000);
    const before = steady.now() - start;
    const looked = steady.look() - start;
    await clock.advance(10);
    clock.suspend(100);

    expect(before).toBe(0);
    // One step of the boot clock more than was measured, for each sleep.
    expect(looked).toBe(5010);
    expect(steady.look() - start).toBe(5130);
  });

  test("never counts less than passed over a sleep, wherever the boot clock's steps fall", async () => {
    const clock = new SimClock();
    const start = clock.bootNow();
    // In steps of 10 ms, as the system's.
    const stepped: Clock = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      bootNow: () => Math.floor(clock.bootNow() / 10) * 10,
      sleep: (ms, signal) => clock.sleep(ms, signal),
    };
    const short: number[] = [];
    for (let phase = 0; phase < 10; phase += 1) {
      const steady = new SteadyClock(stepped);
      for (const sleepMs of [37, 45, 33, 58, 41]) {
        await clock.advance(phase);
        const [from, trueFrom] = [steady.look(), clock.bootNow()];
        clock.suspend(sleepMs);
        const [passed, truePassed] = [steady.look() - from, clock.bootNow() - trueFrom];
        if (passed < truePassed) short.push(truePassed - passed);
      }
    }

    expect(short).toEqual([]);
    expect(clock.bootNow()).toBeGreaterThan(start);
  });

  test("counts a sleep that a wall clock set back hides, a moment later", async () => {
    const clock = new SimClock();
    const steady = new SteadyClock(clock);
    const start = steady.look();

    clock.suspend(5000);
    clock.leapWall(-5000);
    await clock.advance(100);

    expect(steady.look() - start).toBe(5110);
  });

  test("takes no notice of the wall clock, nor of the boot clock's coarse steps", () => {
    const clock = new SimClock();
    const steady = new SteadyClock(clock);
    const start = steady.look();

    clock.leapWall(3_600_000);
    clock.suspend(15);

    expect(steady.look() - start).toBe(0);
  });
});
