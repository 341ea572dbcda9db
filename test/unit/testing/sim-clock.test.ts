import { describe, expect, test } from "vitest";

import { SimClock } from "../../../src/testing/index.ts";

describe("SimClock", () => {
  test("time stands still until it is moved", async () => {
    const clock = new SimClock();
    const before = [clock.now(), clock.wallNow(), clock.bootNow()];

    await Promise.resolve();

    expect([clock.now(), clock.wallNow(), clock.bootNow()]).toEqual(before);
  });

  test("advance moves all three clocks by exactly what was asked", async () => {
    const clock = new SimClock({ wallMs: 5000 });
    const before = { now: clock.now(), boot: clock.bootNow() };

    await clock.advance(1500);

    expect(clock.now() - before.now).toBe(1500);
    expect(clock.bootNow() - before.boot).toBe(1500);
    expect(clock.wallNow()).toBe(6500);
  });

  test("each timer sees the time it was due at, not the time advance goes to", async () => {
    const clock = new SimClock();
    const start = clock.now();
    const seen: number[] = [];
    clock.after(30, () => seen.push(clock.now() - start));
    clock.after(10, () => seen.push(clock.now() - start));

    await clock.advance(100);

    expect(seen).toEqual([10, 30]);
  });

  test("a timer set by a timer fires within the same advance when it is due", async () => {
    const clock = new SimClock();
    const start = clock.now();
    const seen: number[] = [];
    clock.after(10, () => void clock.after(15, () => seen.push(clock.now() - start)));

    await clock.advance(24);
    const early = [...seen];
    await clock.advance(1);

    expect(early).toEqual([]);
    expect(seen).toEqual([25]);
  });

  test("a chain of sleeps runs to its end, however many promises stand between", async () => {
    const clock = new SimClock();
    const start = clock.now();
    const ends: number[] = [];
    const walk = async () => {
      for (let step = 0; step < 20; step += 1) {
        await clock.sleep(10);
        for (let hop = 0; hop < 50; hop += 1) await Promise.resolve();
        ends.push(clock.now() - start);
      }
    };
    void walk();

    await clock.advance(200);

    expect(ends).toEqual(Array.from({ length: 20 }, (_, step) => (step + 1) * 10));
  });

  test("every keeps its own rhythm and never drifts", async () => {
    const clock = new SimClock();
    const start = clock.now();
    const seen: number[] = [];
    clock.every(7, () => seen.push(clock.now() - start));

    await clock.advance(10);
    await clock.advance(20);

    expect(seen).toEqual([7, 14, 21, 28]);
  });

  test("a leap of the wall clock moves nothing else and fires nothing", async () => {
    const clock = new SimClock();
    const before = { now: clock.now(), wall: clock.wallNow(), boot: clock.bootNow() };
    let fired = 0;
    clock.after(1000, () => (fired += 1));

    clock.leapWall(3_600_000);
    clock.leapWall(-7_200_000);
    await clock.advance(0);

    expect(clock.wallNow() - before.wall).toBe(-3_600_000);
    expect([clock.now(), clock.bootNow()]).toEqual([before.now, before.boot]);
    expect(fired).toBe(0);
  });

  test("a suspended machine counts on its boot and wall clocks only, and its timers stand still", async () => {
    const clock = new SimClock();
    const before = { now: clock.now(), wall: clock.wallNow(), boot: clock.bootNow() };
    let fired = 0;
    clock.after(100, () => (fired += 1));

    clock.suspend(60_000);
    await clock.advance(99);

    expect(clock.now() - before.now).toBe(99);
    expect(clock.bootNow() - before.boot).toBe(60_099);
    expect(clock.wallNow() - before.wall).toBe(60_099);
    expect(fired).toBe(0);
    await clock.advance(1);
    expect(fired).toBe(1);
  });

  test("runUntilIdle runs what is pending to the end and says how long that took", async () => {
    const clock = new SimClock();
    const done = clock.sleep(250).then(() => clock.sleep(500));

    const elapsedMs = await clock.runUntilIdle();

    expect(elapsedMs).toBe(750);
    expect(clock.pendingTimers).toBe(0);
    await done;
  });

  test("runUntilIdle gives up on what never ends, and says how many timers are left", async () => {
    const clock = new SimClock();
    clock.every(10, () => undefined);

    await expect(clock.runUntilIdle({ limitMs: 1000 })).rejects.toMatchObject({
      code: "INVARIANT",
      message: expect.stringContaining("1 timer") as string,
    });
  });

  test("a timer that sets itself again for now is stopped, not followed for ever", async () => {
    const clock = new SimClock();
    const again = () => void clock.after(0, again);
    again();

    await expect(clock.advance(1)).rejects.toMatchObject({ code: "INVARIANT" });
  });

  test("an error thrown by a timer rejects the advance, and the clock goes on afterwards", async () => {
    const clock = new SimClock();
    const start = clock.now();
    let later = false;
    clock.after(10, () => {
      throw new Error("from the timer");
    });
    clock.after(20, () => (later = true));

    await expect(clock.advance(50)).rejects.toThrow("from the timer");
    expect(clock.now() - start).toBe(10);
    await clock.advance(10);

    expect(later).toBe(true);
  });

  test("two advances at once are refused", async () => {
    const clock = new SimClock();

    const first = clock.advance(10);

    await expect(clock.advance(10)).rejects.toMatchObject({ code: "INVARIANT" });
    await first;
  });

  test("a cancelled timer is no longer pending, and cancelling after it fired counts nothing twice", async () => {
    const clock = new SimClock();
    const one = clock.after(10, () => undefined);
    const two = clock.after(20, () => undefined);

    one.cancel();
    one.cancel();
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(20);
    two.cancel();

    expect(clock.pendingTimers).toBe(0);
  });

  test.each([[-1], [Number.NaN], [2 ** 31], [Number.POSITIVE_INFINITY]])(
    "a wait of %d ms is refused",
    async (ms) => {
      const clock = new SimClock();

      expect(() => clock.after(ms, () => undefined)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
      expect(() => clock.every(ms, () => undefined)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
      await expect(clock.advance(ms)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(() => clock.suspend(ms)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );

  test("a period of zero is refused", () => {
    expect(() => new SimClock().every(0, () => undefined)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});
