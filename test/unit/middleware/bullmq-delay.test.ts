/** How long a job whose resource is in use stays away. */
import { expect, test } from "vitest";

import { delayMsFor, uncountedStarts } from "../../../middleware/bullmq/delay.ts";

const SETTINGS = { delayMs: 100, delayMsMax: 1000 };

test("a delay doubles each time, up to the bound, and stays there", () => {
  const longest = [0, 1, 2, 3, 4, 5, 1000].map((starts) => delayMsFor(starts, SETTINGS, 1));

  expect(longest).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
});

test("chance shortens a delay by up to half, and never to nothing", () => {
  expect([0, 0.5, 1].map((chance) => delayMsFor(0, SETTINGS, chance))).toEqual([50, 75, 100]);
  expect(delayMsFor(0, { delayMs: 1, delayMsMax: 1 }, 0)).toBe(1);
});

test("a bound below the first delay is the bound of that one too", () => {
  expect(delayMsFor(0, { delayMs: 500, delayMsMax: 20 }, 1)).toBe(20);
});

test("starts that used up no attempt are counted, this one and failed ones left out", () => {
  const jobs = [
    { attemptsStarted: 1, attemptsMade: 0 },
    { attemptsStarted: 4, attemptsMade: 0 },
    { attemptsStarted: 4, attemptsMade: 2 },
    { attemptsStarted: 0, attemptsMade: 0 },
  ];

  expect(jobs.map(uncountedStarts)).toEqual([0, 3, 1, 0]);
});
