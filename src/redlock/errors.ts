/**
 * redlock's two errors, under redlock's names. Each is a CoterieError as well, so that its `code` says what
 * redlock's one sentence hides: whether another holds the lock (LOCKED), too few instances answered
 * (NO_QUORUM), or the lock was over before its time (LOCK_LOST).
 */
import { CoterieError } from "../errors.ts";
import type { Client } from "./clients.ts";

/** redlock's account of one attempt: who voted for it, and who against and why. */
export interface ExecutionStats {
  readonly membershipSize: number;
  readonly quorumSize: number;
  readonly votesFor: Set<Client>;
  readonly votesAgainst: Map<Client, Error>;
}

export interface ExecutionResult {
  readonly attempts: readonly Promise<ExecutionStats>[];
}

/** What redlock says when the votes were against it; kept, because people compare it. */
export const NO_QUORUM_TEXT = "The operation was unable to achieve a quorum during its retry window.";
export const EXPIRED_TEXT = "Cannot extend an already-expired lock.";

/** The vote of an instance on which another holds one of the resources. */
export class ResourceLockedError extends CoterieError {
  constructor(message: string) {
    super("LOCKED", message);
    this.name = "ResourceLockedError";
  }
}

/** An operation that did not get its quorum. `cause` is what the locker said. */
export class ExecutionError extends CoterieError {
  /** One for each try; none of them rejects. */
  readonly attempts: readonly Promise<ExecutionStats>[];

  constructor(message: string, attempts: readonly Promise<ExecutionStats>[], cause?: CoterieError) {
    const { code = "NO_QUORUM", retryable = true, details = {} } = cause ?? {};
    super(code, message, { retryable, details, cause });
    this.name = "ExecutionError";
    this.attempts = attempts;
  }
}
