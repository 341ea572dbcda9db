import { describe, expect, test } from "vitest";

import { Rounds } from "../../../src/locks/group/rounds.ts";
import { simEnv } from "../../../src/testing/index.ts";

/** Rounds on simulated time: when each began, and how it shall end. */
function rounds(run: (nth: number) => Promise<void>, pauseMs = 1000) {
  const env = simEnv(7);
  const began: number[] = [];
  const failures: unknown[] = [];
  const state = { mayRun: true };
  const startMs = env.clock.now();
  const all = new Rounds(env, {
    mayRun: () => state.mayRun,
    run: () => {
      began.push(env.clock.now() - startMs);
      return run(began.length);
    },
    onFailure: (error) => failures.push(error),
    onDone: () => {},
    pauseMs: () => pauseMs,
  });
  return { env, began, failures, state, all };
}

const done = (): Promise<void> => Promise.resolve();

describe("rounds", () => {
  test("follow each other with a pause, and at once when asked", async () => {
    const { env, began, all } = rounds(done);

    all.ask();
    await env.clock.advance(2500);
    all.ask();
    await env.clock.advance(1500);

    expect(began).toEqual([0, 1000, 2000, 2500, 3500]);
    expect(env.clock.pendingTimers).toBe(1);
  });

  test("do not overlap; being asked in between means one more, not many", async () => {
    const { env, began, all } = rounds(() => env.clock.sleep(100));

    all.ask();
    await env.clock.advance(50);
    for (let n = 0; n < 10; n += 1) all.ask();
    const idleThen = all.isIdle;
    const idle = all.idle();
    await env.clock.advance(500);
    await idle;

    expect([idleThen, all.isIdle]).toEqual([false, true]);
    expect(began).toEqual([0, 100]);
  });

  test("that fail are followed by growing pauses, however often somebody asks", async () => {
    const { env, began, failures, all } = rounds(() => Promise.reject(new Error("no")), 10);

    all.ask();
    await env.clock.advance(20_000);
    const pauses = began.slice(1).map((at, nth) => at - began[nth]!);

    expect(failures).toHaveLength(began.length);
    expect(pauses[0]).toBeGreaterThanOrEqual(25);
    expect(pauses[4]).toBeGreaterThan(pauses[1]!);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(2000);
    expect(began.length).toBeLessThan(30);
  });

  test("start again with short pauses after one that succeeded", async () => {
    const run = (nth: number): Promise<void> => (nth % 8 === 0 ? done() : Promise.reject(new Error("no")));
    const { env, began, all } = rounds(run, 10);

    all.ask();
    await env.clock.advance(30_000);
    const pauses = began.slice(1).map((at, nth) => at - began[nth]!);

    expect(pauses[7]).toBe(10);
    expect(pauses[8]).toBeLessThanOrEqual(50);
  });

  test("rest while there is nobody to ask", async () => {
    const { env, began, state, all } = rounds(done);
    all.ask();
    await env.clock.advance(10);

    state.mayRun = false;
    await env.clock.advance(5000);
    all.ask();
    const pending = env.clock.pendingTimers;
    state.mayRun = true;
    all.ask();
    await env.clock.advance(10);

    expect(pending).toBe(0);
    expect(began).toEqual([0, 5010]);
  });

  test("end for good when closed, and leave no timer", async () => {
    const { env, began, all } = rounds(() => env.clock.sleep(100));
    all.ask();
    await env.clock.advance(10);
    all.ask();

    all.close();
    await env.clock.advance(5000);
    all.ask();
    await env.clock.advance(5000);

    expect(began).toEqual([0]);
    expect(env.clock.pendingTimers).toBe(0);
  });

  test("that rest leave no timer when closed", async () => {
    const { env, all } = rounds(done);
    all.ask();
    await env.clock.advance(10);
    const before = env.clock.pendingTimers;

    all.close();

    expect([before, env.clock.pendingTimers]).toEqual([1, 0]);
  });
});
