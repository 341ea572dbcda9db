/** The room of locks: quorum locks over independent Redis instances. */
export type { InstanceVote } from "./core/failure.ts";
export type { Vote } from "./core/votes.ts";
export type { LockerCounter, TryOptions } from "./engine/engine.ts";
export { type FencedClient, fencedSet } from "./fenced-set.ts";
export {
  type GroupStatus,
  type MemberState,
  type MemberStatus,
  type Replacement,
  replaceLockInstance,
  type ReplaceOptions,
} from "./group/index.ts";
export type { InstanceView, ListOptions, LockInfo } from "./inspect.ts";
export type { Lock, RenewOptions } from "./lock.ts";
export type { Locker, LockerStatus } from "./locker.ts";
export { openLocker } from "./open.ts";
export type { AcquireOptions, LockerOptions } from "./options.ts";
export type { LockSide, ReadWrite } from "./read-write.ts";
export type { Semaphore, SemaphoreOptions } from "./semaphore.ts";
export type { Body } from "./using.ts";
