import { describe, expect, test } from "vitest";

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
    // One step of the boot clock more than was measured.
    expect(looked).toBe(5010);
    expect(steady.look() - start).toBe(5120);
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
