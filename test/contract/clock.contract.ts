/**
 * What every clock and its timers promise. The suite never knows which clock it has: `pass(ms)` lets
 * time go by, really or by simulation, and everything is asked of the clock itself.
 */
import { describe, expect, test } from "vitest";

import type { Clock, Timers } from "../../src/env/index.ts";
import { CoterieError } from "../../src/index.ts";

export interface ClockUnderTest {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Resolves when at least `ms` have passed on the clock and all that was due has run. */
  readonly pass: (ms: number) => Promise<void>;
}

/** The system's timers may be this early against its own monotonic clock. */
const EARLY_MS = 1;

export function clockContract(name: string, make: () => ClockUnderTest): void {
  describe(`Clock: ${name}`, () => {
    test("all three readings grow while time passes, and now() never goes back", async () => {
      const { clock, pass } = make();
      const before = { now: clock.now(), wall: clock.wallNow(), boot: clock.bootNow() };

      await pass(40);

      expect(clock.now() - before.now).toBeGreaterThanOrEqual(40 - EARLY_MS);
      expect(clock.wallNow()).toBeGreaterThan(before.wall);
      // The boot clock is coarse: the system's counts in hundredths of a second.
      expect(clock.bootNow() - before.boot).toBeGreaterThanOrEqual(20);
      const readings = Array.from({ length: 1000 }, () => clock.now());
      expect(readings.every((reading, at) => at === 0 || reading >= (readings[at - 1] ?? 0))).toBe(true);
    });

    test("sleep resolves once its time has passed, not before", async () => {
      const { clock, pass } = make();
      const start = clock.now();
      const slept = clock.sleep(15).then(() => clock.now() - start);

      await pass(30);

      expect(await slept).toBeGreaterThanOrEqual(15 - EARLY_MS);
    });

    test("sleep rejects with ABORTED and the reason at once when its signal aborts", async () => {
      const { clock, pass } = make();
      const abort = new AbortController();
      const start = clock.now();
      const slept = clock.sleep(60_000, abort.signal).catch((error: unknown) => error);

      await pass(5);
      abort.abort("enough");
      const error = await slept;

      expect(CoterieError.is(error, "ABORTED") && error.cause).toBe("enough");
      expect(clock.now() - start).toBeLessThan(30_000);
    });

    test.each([-1, NaN, Infinity, 2 ** 31])("a wait of %d ms is refused, not shortened", async (ms) => {
      const { clock, timers } = make();
      const message = expect.stringContaining(`got ${ms}`) as string;
      const refused = { code: "INVALID_ARGUMENT", message };

      await expect(clock.sleep(ms)).rejects.toMatchObject(refused);
      expect(() => timers.after(ms, () => {})).toThrow(expect.objectContaining(refused));
      expect(() => timers.every(ms, () => {})).toThrow(expect.objectContaining(refused));
    });

    test("a period of 0 ms is refused", () => {
      const { timers } = make();

      expect(() => timers.every(0, () => {})).toThrow("every: a wait is above 0 to 2147483647 ms, got 0");
    });

    test("sleep with a signal that has aborted rejects without waiting", async () => {
      const { clock } = make();

      await expect(clock.sleep(60_000, AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
    });
  });

  describe(`Timers: ${name}`, () => {
    test("after calls back once, later, and never inside the call", async () => {
      const { timers, pass } = make();
      let calls = 0;

      timers.after(0, () => (calls += 1));
      const inside = calls;
      await pass(20);

      expect(inside).toBe(0);
      expect(calls).toBe(1);
    });

    test("timers fire in order of time, and in order of setting where the time is equal", async () => {
      const { timers, pass } = make();
      const fired: string[] = [];

      timers.after(30, () => fired.push("30"));
      timers.after(10, () => fired.push("10 first"));
      timers.after(10, () => fired.push("10 second"));
      timers.after(20, () => fired.push("20"));
      await pass(60);

      expect(fired).toEqual(["10 first", "10 second", "20", "30"]);
    });

    test("what a timer's callback awaits goes on before the next timer", async () => {
      const { timers, pass } = make();
      const fired: string[] = [];

      timers.after(5, () => {
        fired.push("first");
        void Promise.resolve().then(() => fired.push("its promise"));
      });
      timers.after(5, () => fired.push("second"));
      await pass(25);

      expect(fired).toEqual(["first", "its promise", "second"]);
    });

    test("every calls back again and again until it is cancelled", async () => {
      const { timers, pass } = make();
      let calls = 0;
      const ticking = timers.every(5, () => {
        calls += 1;
        if (calls === 3) ticking.cancel();
      });

      await pass(80);

      expect(calls).toBe(3);
    });

    test("a cancelled timer never fires, and cancelling twice or late does no harm", async () => {
      const { timers, pass } = make();
      const fired: string[] = [];
      const cancelled = timers.after(5, () => fired.push("cancelled"));
      const late = timers.after(5, () => fired.push("late"));

      cancelled.cancel();
      cancelled.cancel();
      await pass(25);
      late.cancel();

      expect(fired).toEqual(["late"]);
    });
  });
}
