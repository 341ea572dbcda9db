/** `coterie/express`: coterie in Express 4 and 5. */
export type { Problem, ProblemCode } from "./problem.ts";
export type { ProblemHandler } from "./refuse.ts";
export type { RequestCoterie } from "./request.ts";
export {
  problems,
  type ProblemsOptions,
  type RequestShard,
  shard,
  shardOf,
  type ShardOptions,
} from "./shard.ts";
export { type LockedHandler, lockOf, withLock, type WithLockOptions } from "./with-lock.ts";
export type { RequestLock } from "./with-lock-hold.ts";
