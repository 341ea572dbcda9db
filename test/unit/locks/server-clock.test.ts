import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { areAlike, ServerClock, SleepWatch } from "../../../src/locks/core/server-clock.ts";

const WINDOW_MS = 30_000;
const WALL_US = 1_767_225_600_000_000;

/** A server whose clock is `aheadMs` ahead of local time, runs at `rate`, and leaps when told. */
class Server {
  aheadMs = 5000;
  readonly rate: number;

  constructor(rate = 1) {
    this.rate = rate;
  }

  timeUs(atMs: number): number {
    return WALL_US + Math.floor((atMs * this.rate + this.aheadMs) * 1000);
  }
}

interface Trip {
  /** Since the answer before this one, to the server, and back. */
  readonly pauseMs: number;
  readonly thereMs: number;
  readonly backMs: number;
}

const trips: fc.Arbitrary<Trip[]> = fc.array(
  fc.record({
    pauseMs: fc.double({ min: 0, max: 6000, noNaN: true }),
    thereMs: fc.double({ min: 0, max: 900, noNaN: true }),
    backMs: fc.double({ min: 0, max: 900, noNaN: true }),
  }),
  { minLength: 1, maxLength: 60 },
);
const rates = fc.double({ min: 0.9951, max: 1.0049, noNaN: true });

/** The exchange, and local time at its end. */
function exchange(clock: ServerClock, server: Server, sentMs: number, thereMs = 1, backMs = 1) {
  const receivedMs = sentMs + thereMs + backMs;
  return { leap: clock.hear(server.timeUs(sentMs + thereMs), sentMs, receivedMs), receivedMs };
}

describe("no leap is proved", () => {
  test("of clocks that drift by less than a hundredth, whatever the event loop does", () => {
    fc.assert(
      fc.property(trips, rates, (all, rate) => {
        const clock = new ServerClock(WINDOW_MS);
        const server = new Server(rate);
        let now = 1_000_000;
        for (const { pauseMs, thereMs, backMs } of all) {
          const { leap, receivedMs } = exchange(clock, server, now + pauseMs, thereMs, backMs);
          expect(leap).toBeUndefined();
          now = receivedMs;
        }
      }),
    );
  });

  test("over more than the window", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000);
    server.aheadMs += 60_000;

    expect(exchange(clock, server, 1000 + WINDOW_MS).leap).toBeUndefined();
  });

  test("after everything was forgotten", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000);
    server.aheadMs += 5000;

    clock.drop();

    expect(clock.isKnown).toBe(false);
    expect(exchange(clock, server, 2000).leap).toBeUndefined();
    expect(clock.isKnown).toBe(true);
  });

  test("twice of one leap", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000);
    server.aheadMs -= 5000;

    const both = [2000, 3000].map((at) => exchange(clock, server, at).leap !== undefined);

    expect(both).toEqual([true, false]);
  });

  test("when its size is within what the two answers leave open", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000, 200, 200);
    server.aheadMs += 300;

    expect(exchange(clock, server, 1500, 200, 200).leap).toBeUndefined();
  });
});

describe("a leap is proved", () => {
  test.each([5, -5, 1000, -1000, 3_600_000, -3_600_000])("of %i ms within a tenth of a second", (byMs) => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000, 0.2, 0.2);
    server.aheadMs += byMs;

    const { leap } = exchange(clock, server, 1100, 0.2, 0.2);

    expect(leap?.leastUs).toBeLessThanOrEqual(byMs * 1000);
    expect(leap?.mostUs).toBeGreaterThanOrEqual(byMs * 1000);
    expect(leap!.mostUs - leap!.leastUs).toBeLessThan(1000);
  });

  test("of any size beyond what the answers and the drift leave open, and told between two bounds", () => {
    const leaps = fc.record({ trips, rate: rates, isForward: fc.boolean(), extraMs: fc.nat(100_000) });
    fc.assert(
      fc.property(leaps, ({ trips: all, rate, isForward, extraMs }) => {
        const clock = new ServerClock(WINDOW_MS);
        const server = new Server(rate);
        let now = 1_000_000;
        let last = { windowMs: 0, tripMs: 0 };
        for (const { pauseMs, thereMs, backMs } of all) {
          last = { windowMs: pauseMs + thereMs + backMs, tripMs: thereMs + backMs };
          now = exchange(clock, server, now + pauseMs, thereMs, backMs).receivedMs;
        }
        const openMs = 2 * last.tripMs + 4 + 0.02 * (last.windowMs + last.tripMs + 102);
        const byMs = (isForward ? 1 : -1) * (openMs + 1 + extraMs);
        server.aheadMs += byMs;

        const { leap } = exchange(clock, server, now + 100);

        expect(leap).toBeDefined();
        const driftUs = 0.005 * 30_000 * 1000;
        expect(leap!.leastUs - driftUs).toBeLessThanOrEqual(byMs * 1000);
        expect(leap!.mostUs + driftUs).toBeGreaterThanOrEqual(byMs * 1000);
      }),
    );
  });

  test("of a clock that runs at another speed, though each step is small", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server(1.05);
    const leaps: unknown[] = [];
    for (let at = 1000; at < 1000 + WINDOW_MS; at += 20) leaps.push(exchange(clock, server, at).leap);

    expect(leaps.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
    expect(leaps.some((leap) => leap !== undefined)).toBe(true);
  });

  test("of many small steps that add up", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    const leaps: unknown[] = [];
    for (let at = 1000; at < 1000 + WINDOW_MS; at += 10) {
      leaps.push(exchange(clock, server, at).leap);
      server.aheadMs -= 1;
    }

    expect(leaps.some((leap) => leap !== undefined)).toBe(true);
  });
});

describe("the server's time", () => {
  test("is never later than it is, but by drift since the last period began", () => {
    fc.assert(
      fc.property(trips, rates, fc.nat(5000), (all, rate, laterMs) => {
        const clock = new ServerClock(WINDOW_MS);
        const server = new Server(rate);
        let now = 1_000_000;
        for (const { pauseMs, thereMs, backMs } of all) {
          now = exchange(clock, server, now + pauseMs, thereMs, backMs).receivedMs;
          const at = now + laterMs;
          const driftUs = Math.max(0, 1 - rate) * (WINDOW_MS / 4 + 8000 + laterMs) * 1000;
          expect(clock.least(at)).toBeLessThanOrEqual(server.timeUs(at) + driftUs + 2);
        }
      }),
    );
  });

  test("is exactly known to a round trip when clocks agree", () => {
    fc.assert(
      fc.property(trips, (all) => {
        const clock = new ServerClock(WINDOW_MS);
        const server = new Server();
        let now = 1_000_000;
        for (const { pauseMs, thereMs, backMs } of all) {
          now = exchange(clock, server, now + pauseMs, thereMs, backMs).receivedMs;
          const lateUs = server.timeUs(now) - clock.least(now);
          expect(lateUs).toBeGreaterThanOrEqual(-2);
          expect(lateUs).toBeLessThanOrEqual((thereMs + backMs) * 1000 + 2);
          expect(Math.abs(clock.guess(now) - server.timeUs(now))).toBeLessThanOrEqual(
            ((thereMs + backMs) * 1000) / 2 + 2,
          );
        }
      }),
    );
  });

  test("is not made early by one answer that was read late", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000, 1, 1);
    exchange(clock, server, 1100, 1, 800);

    expect(server.timeUs(2000) - clock.least(2000)).toBeLessThanOrEqual(1002);
  });

  test("follows the last answer where it contradicts the ones before", () => {
    const clock = new ServerClock(WINDOW_MS);
    const server = new Server();
    exchange(clock, server, 1000, 0.1, 0.1);
    server.aheadMs -= 20;

    expect(exchange(clock, server, 5000, 0.1, 0.1).leap).toBeUndefined();
    expect(clock.least(5001)).toBeLessThanOrEqual(server.timeUs(5001));
  });

  test("is not told before anything was heard", () => {
    expect(() => new ServerClock(WINDOW_MS).least(1)).toThrow(/has been heard/);
  });
});

describe("leaps are alike", () => {
  const leap = (leastUs: number, mostUs: number) => ({ leastUs, mostUs });

  test.each([
    ["when they may be the same", [leap(5000, 9000), leap(7000, 12_000)], true],
    ["when they miss by less than the clocks' own noise", [leap(5000, 9000), leap(10_500, 12_000)], true],
    ["not when they cannot be the same", [leap(5000, 9000), leap(20_000, 30_000)], false],
    ["not when they go opposite ways", [leap(5000, 9000), leap(-9000, -5000)], false],
    ["not when one is far from two others", [leap(0, 9), leap(0, 9), leap(90_000, 99_000)], false],
    ["not when there is only one: nobody bears it out", [leap(5000, 9000)], false],
  ])("%s", (_, leaps, isAlike) => {
    expect(areAlike(leaps)).toBe(isAlike);
  });
});

describe("sleep is seen", () => {
  /** Looks every five seconds of a minute; the boot clock moves in steps, and gains at 30 s. */
  function minute(stepMs: number, sleptMs: number): boolean {
    const watch = new SleepWatch();
    const bootAt = (now: number): number =>
      Math.floor((now + 77_777 + (now > 30_000 ? sleptMs : 0)) / stepMs) * stepMs;
    for (let now = 1000; now < 60_000; now += 5000) watch.look(now, bootAt(now));
    return watch.hasSlept(60_000 - WINDOW_MS - 5000, 60_000, bootAt(60_000));
  }

  test.each([
    ["not while both clocks go on alike", 10, 0, false],
    ["not in a coarse clock's steps", 1000, 0, false],
    ["when a second is missing", 10, 1000, true],
    ["not when less is missing than a coarse clock can tell", 1000, 900, false],
    ["on a coarse clock when enough is missing", 1000, 4000, true],
  ])("%s", (_, stepMs, sleptMs, hasSlept) => {
    expect(minute(stepMs, sleptMs)).toBe(hasSlept);
  });

  test("only since the time asked about", () => {
    const watch = new SleepWatch();
    watch.look(1000, 51_000);
    watch.look(2000, 62_000);
    watch.look(3000, 63_000);

    expect([1500, 2500].map((since) => watch.hasSlept(since, 4000, 64_000))).toEqual([true, false]);
  });
});
