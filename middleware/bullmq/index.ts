/** `coterie/bullmq`: coterie in workers of BullMQ 5 and 6. */
export {
  guard,
  type GuardContext,
  type GuardedJob,
  type GuardedProcessor,
  type GuardOptions,
  type Processor,
} from "./guard.ts";
export { watch, type WatchedWorker } from "./worker-lock.ts";
