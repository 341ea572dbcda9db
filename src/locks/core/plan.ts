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

/** What one acquisition is told. */
export class AcquisitionPlan {
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

  constructor(plan: AcquisitionPlan) {
    this.rules = plan.rules;
    this.target = plan.target;
    this.resources = plan.resources;
    this.leaseMs = plan.leaseMs;
    this.waitMs = plan.waitMs;
    this.deadlineMs = plan.deadlineMs;
    this.fair = plan.fair;
    this.ticketTime = plan.ticketTime;
    this.first = plan.first;
    this.spareMs = plan.spareMs;
  }
}

export class Acquired {
  readonly fencingToken: number;
  /** When the lease is over, on the steady clock. */
  readonly endsAt: number;
  /** From when it counts. */
  readonly startedAt: number;

  constructor(fencingToken: number, endsAt: number, startedAt: number) {
    this.fencingToken = fencingToken;
    this.endsAt = endsAt;
    this.startedAt = startedAt;
  }
}

/** What is known of one instance. */
export class Ballot {
  vote: Vote | undefined;
  /** True until it is asked for the first time. */
  isSpare = true;
  /** The op that is on its way; its answer alone counts. */
  asked: Op | undefined;
  /** True once the instance may have something of ours. */
  isTouched = false;
  sentAt = 0;
  /** The token that it was asked to store: an answer may come when a later round proposes another. */
  proposal = 0;
  grant: Grant | undefined;
  /** A grant that is being given back unless we are first: it does not count until that is known. */
  kept: Grant | undefined;
  raised = false;
  /** A message came while an op was on its way: what that op finds may be older. */
  wasWoken = false;
  /** When to look without having been told. */
  lookAt: number = Number.POSITIVE_INFINITY;
  waitMs = 0;
  isFull = false;
  error: CoterieError | undefined;
}
