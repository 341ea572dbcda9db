/**
 * One acquire, from the first send to the lock or the error: a synchronous state machine. Answers, messages
 * and the time come in; ops go out through its port. It never waits for the slowest: a round ends as soon
 * as a quorum granted or cannot any more.
 *
 *   asking ──quorum──▶ (raising ──▶) acquired       a round to all instances
 *     └──refused──▶ waiting ──message, look──▶      asks single instances; a quorum ends it as above
 *
 * While it waits it may hold some instances: where nobody is before it, it keeps them, else it gives back.
 * It must never count a vote twice, nor one whose lease began before the vote's own command was sent.
 */
import { CoterieError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import type { AgendaItem } from "./agenda.ts";
import { answerError, failedToAcquire } from "./failure.ts";
import { leaseEnd, remainingMin } from "./lease.ts";
import { acquireOp, giveBackOp, type Op, type OpSink, raiseOp, readAcquireAnswer, releaseOp } from "./ops.ts";
import { Acquired, type AcquisitionPlan, Ballot } from "./plan.ts";
import type { Listed, Registered } from "./roster.ts";
import { decideToken, Grant, leaseStart, type Vote } from "./votes.ts";

/** What an acquisition needs of the outside. */
export interface AcquisitionPort {
  /** Sends to one instance; the op's sink hears of it later, never before this returns. */
  send(at: number, op: Op): void;
  isUsable(at: number): boolean;
  /** The steady clock; whoever brings an answer has asked how long the machine slept. */
  now(): number;
  /** The servers' time in microseconds, as a ticket's time. */
  ticketTime(): number;
  /** A token that is probably above the counters. */
  propose(counters: readonly number[]): number;
  /** A counter that an instance told. */
  learn(counters: readonly number[], counter: number): void;
  /** When to call its `onDue`; never again when undefined. */
  schedule(acquisition: Acquisition, dueAt: number | undefined): void;
  onWaiting(): void;
  onRaise(): void;
  onOutcome(acquisition: Acquisition): void;
}

type Phase = "asking" | "waiting" | "raising" | "acquired" | "failed";

const NEVER = Number.POSITIVE_INFINITY;
/** How long until an instance that could not be asked is tried again. */
const RETRY_MS = 250;
const SPLIT_MS_MAX = 1000;
/** Tickets are filed again on the same instants for all that wait, so that they leave together. */
const LOOK_STEP_MS = 20;

/** Written and read within one call: made anew each time it would be much of what an acquire throws away. */
const GRANTS: Grant[] = [];

/** The grants of these ballots, or of those alone that raised their counters; until the next call. */
function grantsOf(ballots: readonly Ballot[], raisedOnly: boolean): readonly Grant[] {
  let count = 0;
  for (const { grant, raised } of ballots) {
    if (grant === undefined || (raisedOnly && !raised)) continue;
    GRANTS[count] = grant;
    count += 1;
  }
  if (GRANTS.length > count) GRANTS.length = count;
  return GRANTS;
}

export class Acquisition implements OpSink, AgendaItem, Listed, Registered<Acquisition> {
  readonly plan: AcquisitionPlan;
  readonly ballots: readonly Ballot[];
  acquired: Acquired | undefined;
  error: CoterieError | undefined;
  /** Grows with each round: what was sent under a lower number must not undo a higher one. */
  number = 0;
  /** True once it had to wait for others. */
  hasWaited = false;
  heapAt = -1;
  dueAt = 0;
  rosterAt = -1;
  nextRegistered: Acquisition | undefined;
  /** Called once it is over. */
  whenOver: (() => void) | undefined;

  readonly #port: AcquisitionPort;
  #phase: Phase = "asking";
  #startedAt = 0;
  #ticketTime = 0;
  #roundOp: Op | undefined;
  #proposal = 0;
  #splitAt = NEVER;
  /** Doubles with each look that found us first, and changed nothing. */
  #splitMs: number;
  #graceAt = NEVER;
  #spareAt = NEVER;
  /** When to look whether those before us in the queue went on. */
  #nextAt = NEVER;
  #raiseTo = 0;

  constructor(plan: AcquisitionPlan, port: AcquisitionPort) {
    this.plan = plan;
    this.#port = port;
    this.#ticketTime = plan.ticketTime ?? 0;
    this.#splitMs = plan.rules.splitMs;
    this.ballots = plan.rules.instances.map(() => new Ballot());
  }

  get base(): string {
    return this.plan.target.base;
  }

  get isOver(): boolean {
    return this.#phase === "acquired" || this.#phase === "failed";
  }

  get waitedMs(): number {
    return this.#port.now() - this.#startedAt;
  }

  start(): void {
    const { first, spareMs } = this.plan;
    this.#startedAt = this.#port.now();
    if (first === undefined) return this.#askAll();
    this.#spareAt = this.#startedAt + spareMs;
    this.ballots.forEach((_, at) => {
      if (first[at] === true) this.#ask(at);
    });
    this.#port.schedule(this, this.#spareAt);
  }

  /** Ends it with this error, and gives back whatever it has. */
  abort(error: CoterieError): void {
    if (!this.isOver) this.#fail(error);
  }

  /** The lock that came of it is over: nothing is asked for any more. */
  end(): void {
    this.#phase = "failed";
  }

  /** A message of an instance: w, the lock is kept for us there, or after how many ms to look. */
  onMessage(at: number, word: string): void {
    const ballot = this.#ballot(at);
    if (this.#phase === "failed") return;
    if (word !== "w") {
      if (this.isOver) return;
      // Things went on until now: what was to be looked for before need not be.
      this.#nextAt = this.#port.now() + Number(word) + 2;
      this.#reschedule();
    } else if (ballot.asked === undefined) {
      if (ballot.vote !== "granted") this.#ask(at);
    } else ballot.wasWoken = true;
  }

  /** An instance became usable, or stopped being so. */
  onMemberChange(at: number): void {
    if (this.#phase !== "waiting") return;
    const ballot = this.#ballot(at);
    if (this.#port.isUsable(at)) {
      if (ballot.asked === undefined && ballot.vote !== "granted") this.#ask(at);
    } else if (ballot.asked === undefined) {
      ballot.vote = "unreachable";
      ballot.grant = undefined;
      ballot.lookAt = this.#port.now() + RETRY_MS;
      this.#decide();
    }
  }

  // AgendaItem

  onDue(now: number): void {
    if (this.#phase === "asking" || this.#phase === "raising") this.#askSpares();
    if (this.#phase !== "waiting") return;
    if (now >= this.#endAt) return this.#fail(this.#failure("waited"));
    if (now >= this.#graceAt && this.#isTooFew()) return this.#fail(this.#failure("refused"));
    this.#graceAt = this.#isTooFew() ? this.#graceAt : NEVER;
    if (now >= this.#splitAt) this.#giveBack();
    const isNext = now >= this.#nextAt;
    if (isNext) this.#nextAt = NEVER;
    this.ballots.forEach((ballot, at) => {
      const isDue = ballot.lookAt <= now || (isNext && ballot.vote !== "granted");
      if (!isDue || ballot.asked !== undefined) return;
      if (this.#port.isUsable(at)) this.#ask(at);
      else ballot.lookAt = now + RETRY_MS;
    });
    this.#reschedule();
  }

  // OpSink

  onAnswer(at: number, op: Op, answer: string): void {
    const ballot = this.#ballot(at);
    if (ballot.asked !== op) return;
    ballot.asked = undefined;
    ballot.isTouched = true;
    if (op.letter === "a") this.#onAsked(at, ballot, answer);
    else if (op.letter === "f") this.#onRaised(at, ballot, answer);
    else this.#onGivenBack(at, ballot, answer);
    this.#decide();
  }

  onFailure(at: number, op: Op, error: CoterieError): void {
    const ballot = this.#ballot(at);
    if (ballot.asked !== op) return;
    ballot.asked = undefined;
    ballot.error = error;
    ballot.vote = "unreachable";
    ballot.grant = undefined;
    // What can be tried again was not written.
    ballot.isTouched ||= !error.retryable;
    ballot.wasWoken = false;
    ballot.lookAt = this.#port.now() + RETRY_MS;
    this.#decide();
  }

  get #endAt(): number {
    return this.#startedAt + this.plan.waitMs;
  }

  #ballot(at: number): Ballot {
    const ballot = this.ballots[at];
    invariant(ballot !== undefined, "an answer comes from a member of the group", { at });
    return ballot;
  }

  #askAll(): void {
    this.#roundOp = undefined;
    this.ballots.forEach((ballot, at) => {
      if (ballot.asked === undefined) this.#ask(at);
    });
  }

  /** True when there were any. */
  #askSpares(): boolean {
    if (this.#spareAt === NEVER) return false;
    this.#spareAt = NEVER;
    this.ballots.forEach(({ isSpare }, at) => {
      if (isSpare) this.#ask(at);
    });
    return true;
  }

  #ask(at: number): void {
    const ballot = this.#ballot(at);
    if (this.#holds() === 0 && this.#outstanding() === 0) this.#roundOp = undefined;
    this.#roundOp ??= this.#newRound();
    ballot.asked = this.#roundOp;
    ballot.isSpare = false;
    ballot.sentAt = this.#port.now();
    ballot.proposal = this.#proposal;
    ballot.wasWoken = false;
    ballot.lookAt = NEVER;
    this.#port.send(at, this.#roundOp);
  }

  /** A token proposed for the last round is no better than the one before: each round has its own. */
  #newRound(): Op {
    const { target, leaseMs, deadlineMs, waitMs, fair } = this.plan;
    this.number += 1;
    this.#splitMs = this.plan.rules.splitMs;
    this.#proposal = this.#port.propose(target.counters);
    if (waitMs > 0 && this.#ticketTime === 0) this.#ticketTime = this.#port.ticketTime();
    return acquireOp(target, this, {
      number: this.number,
      leaseMs,
      deadlineMs,
      proposal: this.#proposal,
      score: waitMs > 0 ? this.#ticketTime : 0,
      barge: !fair,
    });
  }

  #onAsked(at: number, ballot: Ballot, text: string): void {
    const { target, rules } = this.plan;
    const { reserveMs, refreshMs, pollMs } = rules;
    const answer = readAcquireAnswer(text);
    const now = this.#port.now();
    if (answer.vote === "granted") {
      const counter = answer.stored ? ballot.proposal : answer.counter;
      this.#port.learn(target.counters, counter);
      ballot.vote = "granted";
      ballot.grant = new Grant(ballot.sentAt, answer.stored ? counter : undefined, counter);
      ballot.raised = false;
      // What is kept while waiting is renewed in time.
      ballot.lookAt = ballot.sentAt + this.plan.leaseMs / 3;
      // A higher counter may be the token of a holder between this grant and one that was decided upon.
      if (this.#phase === "raising" && counter < this.#raiseTo) this.#raise(at);
      return;
    }
    ballot.grant = undefined;
    if (answer.vote === "refused") {
      ballot.vote = "refused";
      ballot.waitMs = answer.waitMs;
      const place = Math.max(0, answer.place);
      const polls = answer.foreign && place === 0;
      const untilMs = polls ? Math.min(answer.waitMs, pollMs) : answer.waitMs + place * reserveMs;
      const refreshAt = Math.ceil((now + refreshMs) / LOOK_STEP_MS) * LOOK_STEP_MS;
      ballot.lookAt = Math.min(refreshAt, now + untilMs + 1);
      if (ballot.wasWoken && this.#phase !== "failed") this.#ask(at);
    } else {
      ballot.vote = "unreachable";
      ballot.isFull = answer.vote === "full";
      ballot.error = answerError(this.plan, at, answer.vote);
      ballot.lookAt = now + RETRY_MS;
    }
  }

  #onRaised(at: number, ballot: Ballot, answer: string): void {
    if (ballot.grant === undefined) {
      // The round that it was about was given up meanwhile.
      if (!this.isOver) this.#ask(at);
    } else if (answer === "+") ballot.raised = true;
    else {
      ballot.vote = answer === "-" ? "refused" : "unreachable";
      ballot.grant = undefined;
    }
  }

  #onGivenBack(at: number, ballot: Ballot, answer: string): void {
    const { kept } = ballot;
    ballot.kept = undefined;
    if (answer === "+") {
      ballot.grant = kept;
      return;
    }
    ballot.vote = "refused";
    ballot.lookAt = this.#port.now() + this.plan.rules.reserveMs * 2;
    // The message that it is ours again may overtake this answer.
    if (ballot.wasWoken && !this.isOver) this.#ask(at);
  }

  #count(vote: Vote): number {
    let count = 0;
    for (const ballot of this.ballots) if (ballot.vote === vote && ballot.asked === undefined) count += 1;
    return count;
  }

  #outstanding(): number {
    let count = 0;
    for (const { asked } of this.ballots) if (asked !== undefined) count += 1;
    return count;
  }

  #decide(): void {
    if (this.isOver) return;
    const { quorum } = this.plan.rules;
    if (this.#phase === "raising") {
      if (this.#confirm(true)) return;
      const possible = this.ballots.filter(({ raised, asked }) => raised || asked !== undefined).length;
      if (possible >= quorum || this.#askSpares()) return;
      this.#phase = "asking";
      return this.#again();
    }
    if (this.#holds() >= quorum) return this.#drawToken();
    if (this.#phase === "asking") {
      if (this.#count("granted") + this.#outstanding() >= quorum) return;
      if (this.#askSpares()) return;
      if (this.#isTooFew() && !this.#mayWaitForMembers()) return this.#fail(this.#failure("refused"));
      if (this.plan.waitMs <= 0) return this.#fail(this.#failure("refused"));
      this.#phase = "waiting";
      this.#noteWaiting();
    }
    if (this.#isTooFew() && this.#graceAt === NEVER && !this.#mayWaitForMembers()) {
      this.#graceAt = this.#port.now() + this.plan.deadlineMs;
    }
    if (this.#splitAt === NEVER && this.#holds() > 0) this.#splitAt = this.#port.now() + this.#splitMs;
    this.#reschedule();
  }

  #noteWaiting(): void {
    if (!this.hasWaited) this.#port.onWaiting();
    this.hasWaited = true;
  }

  /** Instances that granted and are not being asked for anything else. */
  #holds(): number {
    let count = 0;
    for (const { grant } of this.ballots) if (grant !== undefined) count += 1;
    return count;
  }

  #isTooFew(): boolean {
    return this.#count("unreachable") > this.#spare;
  }

  /** How many instances may fail. */
  get #spare(): number {
    const { instances, quorum } = this.plan.rules;
    return instances.length - quorum;
  }

  /** True when enough of those that abstain will be members again before the waiting ends. */
  #mayWaitForMembers(): boolean {
    const leftMs = this.#endAt - this.#port.now();
    const coming = this.ballots.filter(({ vote, error }) => {
      const { retryAfterMs } = (error?.details ?? {}) as { retryAfterMs?: unknown };
      const abstains = vote === "unreachable" && CoterieError.is(error, "ABSTAINING");
      return abstains && typeof retryAfterMs === "number" && retryAfterMs < leftMs;
    });
    const missing = this.#count("unreachable") - this.#spare;
    return coming.length >= missing;
  }

  #drawToken(): void {
    const decision = decideToken(grantsOf(this.ballots, false), this.plan.rules.quorum);
    if ("token" in decision) {
      this.#raiseTo = decision.token;
      this.#confirm(false);
      return;
    }
    this.#phase = "raising";
    this.#raiseTo = decision.raiseTo;
    this.#port.onRaise();
    this.ballots.forEach(({ grant, asked }, at) => {
      if (grant !== undefined && asked === undefined) this.#raise(at);
    });
  }

  #raise(at: number): void {
    const ballot = this.#ballot(at);
    const op = raiseOp(this.plan.target, this, this.#raiseTo, this.plan.deadlineMs);
    ballot.asked = op;
    this.#port.send(at, op);
  }

  /** The lock is ours if a quorum holds it for long enough; if so, of those alone that raised counters. */
  #confirm(raisedOnly: boolean): boolean {
    const { leaseMs, target, rules } = this.plan;
    const startedAt = leaseStart(grantsOf(this.ballots, raisedOnly), rules.quorum);
    if (startedAt === undefined) return false;
    const endsAt = leaseEnd(startedAt, leaseMs);
    if (endsAt - this.#port.now() < remainingMin(leaseMs)) {
      this.#again();
      return true;
    }
    this.#port.learn(target.counters, this.#raiseTo);
    this.#phase = "acquired";
    this.#roundOp = undefined;
    this.acquired = new Acquired(this.#raiseTo, endsAt, startedAt);
    this.#port.schedule(this, undefined);
    this.#port.onOutcome(this);
    return true;
  }

  /** The round came to nothing although instances granted: once more while there is time to wait. */
  #again(): void {
    if (this.#port.now() >= this.#endAt) return this.#fail(this.#failure("slow"));
    this.#phase = "waiting";
    this.#noteWaiting();
    for (const ballot of this.ballots) {
      ballot.grant = undefined;
      ballot.raised = false;
    }
    this.#askAll();
    this.#reschedule();
  }

  #giveBack(): void {
    this.#splitAt = NEVER;
    this.#splitMs = Math.min(SPLIT_MS_MAX, this.#splitMs * 2);
    this.#roundOp = undefined;
    const op = giveBackOp(this.plan.target, this, this.number, this.#ticketTime);
    this.ballots.forEach((ballot, at) => {
      if (ballot.grant === undefined || ballot.asked !== undefined) return;
      ballot.asked = op;
      ballot.kept = ballot.grant;
      ballot.grant = undefined;
      this.#port.send(at, op);
    });
  }

  #reschedule(): void {
    if (this.#phase !== "waiting") return;
    let dueAt = Math.min(this.#endAt, this.#splitAt, this.#graceAt, this.#nextAt);
    for (const { lookAt, asked } of this.ballots) if (asked === undefined) dueAt = Math.min(dueAt, lookAt);
    this.#port.schedule(this, dueAt);
  }

  #fail(error: CoterieError): void {
    this.#phase = "failed";
    this.error = error;
    this.#port.schedule(this, undefined);
    const op = releaseOp(this.plan.target, this, this.number);
    this.ballots.forEach(({ isTouched, asked }, at) => {
      if (isTouched || asked !== undefined) this.#port.send(at, op);
    });
    this.#port.onOutcome(this);
  }

  #failure(why: "refused" | "waited" | "slow"): CoterieError {
    return failedToAcquire(this.plan, this.ballots, why, this.waitedMs);
  }
}
