/** For tests, of coterie's users too: time and chance that a seed replays. */
export { seededRandom, simEnv } from "./seeded-random.ts";
export { type RunUntilIdleOptions, SimClock, type SimClockOptions } from "./sim-clock.ts";
