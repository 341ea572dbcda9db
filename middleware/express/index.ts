/** `coterie/express`: coterie in Express 4 and 5. */
export type { Problem, ProblemCode } from "./problem.ts";
export {
  type ProblemHandler,
  problems,
  type ProblemsOptions,
  type RequestCoterie,
  type RequestShard,
  shard,
  shardOf,
  type ShardOptions,
} from "./shard.ts";
