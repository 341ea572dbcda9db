/** For tests, of users too: real Redis that is gone afterwards; time and chance that a seed replays. */
export { findRedisServer, redisInstallCommand } from "./redis/find.ts";
export type {
  RedisCapability,
  RedisGroup,
  RedisInstanceHandle,
  RedisProvider,
  RestartOptions,
} from "./redis/handle.ts";
export type { RedisConfig } from "./redis/config.ts";
export { startRedis, type StartRedisOptions } from "./redis/start.ts";
export { seededRandom, simEnv } from "./seeded-random.ts";
export { type RunUntilIdleOptions, SimClock, type SimClockOptions } from "./sim-clock.ts";
