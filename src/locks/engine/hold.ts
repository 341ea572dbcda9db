/**
 * A lock that is held, from the acquire's answer until it is released or lost. It knows on which instances
 * it stands, renews it, and says in time when it cannot be kept. It must never call itself held after its
 * end, whatever an instance answers later: a renewal confirmed too late is a loss, never a revival.
 */
import { CoterieError } from "../../errors.ts";
import type { Acquisition } from "../core/acquisition.ts";
import type { Agenda, AgendaItem } from "../core/agenda.ts";
import { leaseEnd, lossAt, renewalRetry, renewalStart } from "../core/lease.ts";
import { type Op, type OpSink, releaseOp, renewOp } from "../core/ops.ts";
import type { Acquired, Ballot } from "../core/plan.ts";
import type { Listed } from "../core/roster.ts";
import { Grant, type Vote } from "../core/votes.ts";
import { describe } from "../resources.ts";
import { type InstanceVote, votesOf } from "../core/failure.ts";

/** What a hold needs of its locker. */
export interface HoldPort {
  readonly agenda: Agenda;
  /** From 0 to 1, for the beginning of a renewal. */
  spread(): number;
  send(at: number, op: Op): void;
  look(): number;
  /** It is over: nobody needs to find it any more. */
  onOver(hold: Hold, how: "released" | "lost"): void;
  onRenewed(hold: Hold): void;
}

/** One renewal on its way, and who waits for it. */
interface Round {
  readonly sentAt: number;
  readonly leaseMs: number;
  readonly number: number;
  readonly join: Op;
  readonly extend: Op;
  /** By instance: true while its answer is awaited. */
  readonly asked: boolean[];
  outstanding: number;
  confirmed: number;
  refused: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: CoterieError) => void;
}

/** What has not been told that it is released, and who waits for that. */
class Release {
  readonly op: Op;
  readonly promise: Promise<boolean>;
  outstanding = 0;
  confirmed = 0;
  resolve!: (isConfirmed: boolean) => void;

  constructor(op: Op) {
    this.op = op;
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

export class Hold implements OpSink, AgendaItem, Listed {
  readonly acquisition: Acquisition;
  readonly fencingToken: number;
  readonly renews: boolean;
  readonly heldSince: number;
  rosterAt = -1;
  heapAt = -1;
  dueAt = 0;

  readonly #port: HoldPort;
  #leaseMs: number;
  #startedAt: number;
  #endsAt: number;
  #state: "held" | "released" | "lost" = "held";
  #controller: AbortController | undefined;
  #error: CoterieError | undefined;
  #round: Round | undefined;
  /** The instances that were not asked for it, until they are told of it. */
  #joinAt: number;
  #join: Op | undefined;
  #waiters: Waiter[] | undefined;
  #release: Release | undefined;

  /** `now` is on the monotonic clock. */
  constructor(acquisition: Acquisition, acquired: Acquired, renews: boolean, now: number, port: HoldPort) {
    this.heldSince = now;
    this.acquisition = acquisition;
    this.fencingToken = acquired.fencingToken;
    this.renews = renews;
    this.#port = port;
    this.#leaseMs = acquisition.plan.leaseMs;
    this.#startedAt = acquired.startedAt;
    this.#endsAt = acquired.endsAt;
    const { first, spareMs } = acquisition.plan;
    const joins = first !== undefined && acquisition.ballots.some(({ isSpare }) => isSpare);
    this.#joinAt = joins ? port.look() + spareMs : Number.POSITIVE_INFINITY;
    this.#plan();
  }

  get resources(): readonly string[] {
    return this.acquisition.plan.resources;
  }

  get leaseMs(): number {
    return this.#leaseMs;
  }

  get isReleased(): boolean {
    return this.#state === "released";
  }

  /** True once it is lost; looks at the clock, so it is right even before any timer ran. */
  get isLost(): boolean {
    this.#checkEnd(this.#port.look());
    return this.#state === "lost";
  }

  get remainingMs(): number {
    const now = this.#port.look();
    this.#checkEnd(now);
    return this.#state === "held" ? this.#endsAt - now : 0;
  }

  get signal(): AbortSignal {
    this.#checkEnd(this.#port.look());
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#state === "lost") this.#controller.abort(this.#error);
    }
    return this.#controller.signal;
  }

  get votes(): readonly InstanceVote[] {
    return votesOf(this.acquisition.plan.rules.instances, this.acquisition.ballots);
  }

  /** Why it is lost; made anew when it was released, so that it never looks held. */
  lossError(): CoterieError {
    return this.#error ?? this.#lost("it was released");
  }

  renew(leaseMs: number = this.#leaseMs): Promise<void> {
    const now = this.#port.look();
    this.#checkEnd(now);
    if (this.#state !== "held") return Promise.reject(this.lossError());
    return new Promise((resolve, reject) => {
      (this.#waiters ??= []).push({ resolve, reject });
      // One that is on its way may do: else callers in quick succession would each undo the one before.
      if (!this.#isUnderWay(leaseMs)) this.#startRound(now, leaseMs);
    });
  }

  #isUnderWay(leaseMs: number): boolean {
    const { quorum } = this.acquisition.plan.rules;
    const round = this.#round;
    if (round === undefined || round.leaseMs !== leaseMs || round.confirmed >= quorum) return false;
    return round.confirmed + round.outstanding >= quorum;
  }

  release(): Promise<boolean> {
    this.#checkEnd(this.#port.look());
    if (this.#state === "lost") return Promise.resolve(false);
    if (this.#release !== undefined) return this.#release.promise;
    this.#become("released", undefined);
    return this.#giveUp().promise;
  }

  /** It is not looked after any more: over here at once, on the instances with its lease. */
  abandon(): void {
    if (this.#state === "held") this.#become("lost", this.#lost("its locker was destroyed"));
  }

  // AgendaItem

  onDue(now: number): void {
    if (this.#state !== "held") return;
    if (now >= lossAt(this.#endsAt, this.#leaseMs)) this.#lose("it could not be renewed in time");
    else if (now >= this.#joinAt) this.#joinSpares(now);
    else this.#startRound(now, this.#retriedLeaseMs());
  }

  // OpSink

  onAnswer(at: number, op: Op, answer: string): void {
    if (op === this.#release?.op) return this.#onReleased(at, true);
    if (op === this.#join) return this.#onJoined(at, answer === "+" ? "granted" : "refused");
    const round = this.#roundOf(at, op);
    if (round === undefined) return;
    const ballot = this.acquisition.ballots[at];
    if (answer === "+") {
      round.confirmed += 1;
      if (ballot !== undefined) {
        ballot.vote = "granted";
        ballot.grant = new Grant(round.sentAt, undefined, this.fencingToken);
      }
      if (round.confirmed === this.acquisition.plan.rules.quorum) return this.#onConfirmed(round);
    } else if (answer === "-") {
      round.refused += 1;
      if (ballot !== undefined) ballot.vote = "refused";
    }
    this.#judge(round);
  }

  onFailure(at: number, op: Op, error: CoterieError): void {
    if (op === this.#release?.op) return this.#onReleased(at, false);
    if (op === this.#join) return this.#onJoined(at, "unreachable");
    const round = this.#roundOf(at, op);
    if (round === undefined) return;
    const ballot = this.acquisition.ballots[at];
    if (ballot !== undefined) {
      ballot.vote = "unreachable";
      ballot.error = error;
      // What it held is void once it abstains; as a member again it may be joined like a new one.
      if (CoterieError.is(error, "ABSTAINING")) ballot.grant = undefined;
    }
    this.#judge(round);
  }

  /** The renewal that waits for this instance's answer to this op; it does so no longer. */
  #roundOf(at: number, op: Op): Round | undefined {
    const round = this.#round;
    if (round === undefined || (op !== round.extend && op !== round.join)) return undefined;
    if (round.asked[at] !== true) return undefined;
    round.asked[at] = false;
    round.outstanding -= 1;
    return round;
  }

  /** When to do something next, unless an answer comes first. */
  #plan(): void {
    const lost = lossAt(this.#endsAt, this.#leaseMs);
    const spread = this.#port.spread();
    const dueAt = this.renews ? Math.min(lost, renewalStart(this.#startedAt, this.#leaseMs, spread)) : lost;
    this.#port.agenda.set(this, Math.min(dueAt, this.#joinAt));
  }

  /** It is kept for long enough to be worth standing on all instances: then it outlives the loss of one. */
  #joinSpares(now: number): void {
    const { acquisition } = this;
    const { target } = acquisition.plan;
    this.#joinAt = Number.POSITIVE_INFINITY;
    this.#plan();
    const { number } = acquisition;
    const times = { leaseMs: this.#leaseMs, deadlineMs: this.#deadlineMs };
    const op = renewOp(target, this, { ...times, number, mayTake: true });
    this.#join = op;
    acquisition.ballots.forEach((ballot, at) => {
      if (!ballot.isSpare) return;
      ballot.isSpare = false;
      ballot.isTouched = true;
      ballot.sentAt = now;
      this.#port.send(at, op);
    });
  }

  #onJoined(at: number, vote: Vote): void {
    const ballot = this.acquisition.ballots[at];
    if (this.#state !== "held" || ballot === undefined || ballot.vote !== undefined) return;
    ballot.vote = vote;
    if (vote !== "granted") return;
    ballot.grant = new Grant(ballot.sentAt, undefined, this.fencingToken);
  }

  get #deadlineMs(): number {
    return Math.max(1, Math.min(this.acquisition.plan.deadlineMs, Math.floor(this.#leaseMs / 4)));
  }

  /** A new round takes the place of the one before; answers to that count no more. */
  #startRound(now: number, leaseMs: number): void {
    const { acquisition } = this;
    const { target } = acquisition.plan;
    acquisition.number += 1;
    const { number } = acquisition;
    const deadlineMs = this.#deadlineMs;
    const extend = renewOp(target, this, { number, leaseMs, deadlineMs, mayTake: false });
    const join = renewOp(target, this, { number, leaseMs, deadlineMs, mayTake: true });
    const asked = acquisition.ballots.map(() => true);
    const counts = { outstanding: asked.length, confirmed: 0, refused: 0 };
    this.#joinAt = Number.POSITIVE_INFINITY;
    this.#round = { sentAt: now, leaseMs, number, join, extend, asked, ...counts };
    acquisition.ballots.forEach((ballot, at) => {
      ballot.isTouched = true;
      ballot.isSpare = false;
      this.#port.send(at, this.#mayJoin(ballot, now) ? join : extend);
    });
    this.#port.agenda.set(this, lossAt(this.#endsAt, this.#leaseMs));
  }

  /**
   * True where it never was, or has ended for want of renewals: else each failure that lasts longer than the
   * lease would leave one instance less. Where it should be and is not, somebody took it away.
   */
  #mayJoin({ grant }: Ballot, now: number): boolean {
    return grant === undefined || grant.sentAt + this.#leaseMs < now;
  }

  #onConfirmed(round: Round): void {
    const now = this.#port.look();
    this.#checkEnd(now);
    if (this.#state !== "held") return;
    const endsAt = leaseEnd(round.sentAt, round.leaseMs);
    this.#leaseMs = round.leaseMs;
    this.#startedAt = round.sentAt;
    this.#endsAt = endsAt;
    this.#checkEnd(now);
    if (this.#state !== "held") return;
    this.#plan();
    this.#port.onRenewed(this);
    for (const { resolve } of this.#waiters?.splice(0) ?? []) resolve();
  }

  /** A round that cannot confirm any more: lost if the others have it, else tried again soon. */
  #judge(round: Round): void {
    const { quorum, instances } = this.acquisition.plan.rules;
    if (this.#state !== "held" || round.confirmed >= quorum) return;
    if (round.refused > instances.length - quorum) {
      return this.#lose(`${round.refused} of ${instances.length} instances say that it is not held`);
    }
    if (round.confirmed + round.outstanding >= quorum) return;
    const retryAt = renewalRetry(this.#port.look(), this.#leaseMs);
    this.#port.agenda.set(this, Math.min(retryAt, lossAt(this.#endsAt, this.#leaseMs)));
  }

  /** A renewal that was asked for and not confirmed yet goes on as it was asked for. */
  #retriedLeaseMs(): number {
    return ((this.#waiters?.length ?? 0) > 0 ? this.#round?.leaseMs : undefined) ?? this.#leaseMs;
  }

  #checkEnd(now: number): void {
    if (this.#state === "held" && now >= this.#endsAt) this.#lose("its lease is over");
  }

  #lose(why: string): void {
    this.#become("lost", this.#lost(why));
    void this.#giveUp();
  }

  #become(state: "released" | "lost", error: CoterieError | undefined): void {
    this.#state = state;
    this.#error = error;
    this.#round = undefined;
    this.#port.agenda.remove(this);
    this.acquisition.end();
    for (const { reject } of this.#waiters?.splice(0) ?? []) reject(this.lossError());
    if (state === "lost") this.#controller?.abort(error);
    this.#port.onOver(this, state);
  }

  /** Takes it back wherever it may stand. Nothing else is awaited of an instance from then on. */
  #giveUp(): Release {
    const { acquisition } = this;
    const { ballots } = acquisition;
    const release = new Release(releaseOp(acquisition.plan.target, this, acquisition.number));
    for (let at = 0; at < ballots.length; at += 1) {
      const ballot = ballots[at] as Ballot;
      if (!ballot.isTouched && ballot.asked === undefined) continue;
      release.outstanding += 1;
      ballot.asked = release.op;
      this.#port.send(at, release.op);
    }
    release.confirmed = ballots.length - release.outstanding;
    this.#release = release;
    return release;
  }

  #onReleased(at: number, isConfirmed: boolean): void {
    const release = this.#release as Release;
    const ballot = this.acquisition.ballots[at];
    if (ballot?.asked !== release.op) return;
    ballot.asked = undefined;
    release.outstanding -= 1;
    if (isConfirmed) release.confirmed += 1;
    const { quorum } = this.acquisition.plan.rules;
    if (release.confirmed >= quorum) release.resolve(true);
    else if (release.confirmed + release.outstanding < quorum) release.resolve(false);
  }

  #lost(why: string): CoterieError {
    const { plan } = this.acquisition;
    return new CoterieError("LOCK_LOST", `${describe(plan.resources)} is not held any more: ${why}`, {
      details: { fencingToken: this.fencingToken, needed: plan.rules.quorum, votes: this.votes },
    });
  }
}
