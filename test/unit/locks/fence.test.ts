/** What tokens a client proposes: a wrong guess costs a second trip, so it must not be wrong for ever. */
import { expect, test } from "vitest";

import type { Clock } from "../../../src/env/index.ts";
import { Fence } from "../../../src/locks/engine/fence.ts";

const SKEW_MS_MAX = 600_000;

function clockAt(wall: { ms: number }): Clock {
  return { now: () => 0, wallNow: () => wall.ms, bootNow: () => 0, sleep: () => Promise.resolve() };
}

test("a proposal is above what is known, and above the one before", () => {
  const fence = new Fence(clockAt({ ms: 1_000_000 }), SKEW_MS_MAX);
  const first = fence.propose([1]);
  const second = fence.propose([1]);
  fence.learn([1], second + 500);

  expect(first).toBe(1_000_000_000);
  expect(second).toBe(first + 1);
  expect(fence.propose([1, 2])).toBe(second + 501);
});

test("a wall clock that was ahead for a while spoils no later proposal", () => {
  const wall = { ms: 1_000_000 };
  const fence = new Fence(clockAt(wall), SKEW_MS_MAX);
  wall.ms += 10 * SKEW_MS_MAX;
  fence.propose([1]);
  wall.ms = 1_000_500;

  expect(fence.propose([1])).toBe(1_000_500_000);
});
