/**
 * What an acquisition is told, what it keeps of each instance, and what comes of it. Pure.
 */
import type { CoterieError } from "../../errors.ts";
import type { Op, Target } from "./ops.ts";
import type { Grant, Vote } from "./votes.ts";

/** What is the same for all acquisitions of a locker. */
export interface Rules {
  readonly instances: readonly string[];
  readonly quorum: number;
  /** How long a reservation lasts. */
  readonly reserveMs: number;
  /** After how long less than a quorum is given back where somebody else is first. */
  readonly splitMs: number;
  /** How often a ticket is filed again. */
  readonly refreshMs: number;
  /** How often the first in the queue looks at a holder that announces nothing. */
  readonly pollMs: number;
}

export interface AcquisitionPlan {
  readonly rules: Rules;
  readonly target: Target;
  /** As the caller named them. */
  readonly resources: readonly string[];
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly deadlineMs: number;
  readonly fair: boolean;
  /** The ticket's time, when it is not its own: several acquisitions of one caller share one. */
  readonly ticketTime: number | undefined;
  /** By instance: true for those that are asked at once, a quorum; undefined: all are. */
  readonly first: readonly boolean[] | undefined;
  /** How long the others are left alone. */
  readonly spareMs: number;
}

export interface Acquired {
  readonly fencingToken: number;
  /** When the lease is over, on the steady clock. */
  readonly endsAt: number;
  /** From when it counts. */
  readonly startedAt: number;
}

/** What is known of one instance. */
export interface Ballot {
  vote: Vote | undefined;
  /** True until it is asked for the first time. */
  isSpare: boolean;
  /** The op that is on its way; its answer alone counts. */
  asked: Op | undefined;
  /** True once the instance may have something of ours. */
  isTouched: boolean;
  sentAt: number;
  /** The token that it was asked to store: an answer may come when a later round proposes another. */
  proposal: number;
  grant: Grant | undefined;
  /** A grant that is being given back unless we are first: it does not count until that is known. */
  kept: Grant | undefined;
  raised: boolean;
  /** A message came while an op was on its way: what that op finds may be older. */
  wasWoken: boolean;
  /** When to look without having been told. */
  lookAt: number;
  waitMs: number;
  isFull: boolean;
  error: CoterieError | undefined;
}

export function newBallot(): Ballot {
  return {
    vote: undefined,
    isSpare: true,
    asked: undefined,
    isTouched: false,
    sentAt: 0,
    proposal: 0,
    grant: undefined,
    kept: undefined,
    raised: false,
    wasWoken: false,
    lookAt: Number.POSITIVE_INFINITY,
    waitMs: 0,
    isFull: false,
    error: undefined,
  };
}
