/**
 * Sends ops to one member of the lock group: all ops of one event-loop turn leave as one script call, and
 * each sink hears its own answer. An answer counts only if the instance was a member when it gave it and its
 * clock had not leapt.
 *
 * What may still hold a lock on an instance that could not be told to release it is owed: it is told when
 * the instance is back, for as long as a lease can last.
 */
import type { SteadyClock } from "../core/steady-clock.ts";
import { Op, type OpSink } from "../core/ops.ts";
import { CoterieError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import type { Clock, Env, Timer, Timers } from "../../env/index.ts";
import { Encoded, encodeArguments, encodeAscii, type Outcome } from "../../redis/index.ts";
import type { Member } from "../group/index.ts";
import { BATCH } from "../scripts/index.ts";

/** What stands before the ops in every call: see ARGV of `batch-n.lua`. */
export interface ExchangeSettings {
  readonly prefix: string;
  readonly clientId: string;
  readonly deadlineMs: number;
  readonly leaseMsMax: number;
  readonly reserveMs: number;
  readonly ticketMs: number;
  readonly bargeMaxMs: number;
  readonly waitersMax: number;
}

/** A script call with more ops or keys would keep the instance from others for too long. */
const OPS_PER_CALL_MAX = 128;
const KEYS_PER_CALL_MAX = 1000;
/**
 * While so many calls are on their way, what is asked for waits for one of them to come back, or until it
 * fills a call: then many callers share a few calls, and one alone does not wait.
 */
const CALLS_IN_FLIGHT = 2;
/** Nor does it wait for longer than this: the instance is slow or silent, and others must not pay for it. */
const HELD_BACK_MS_MAX = 10;
/** Longer than any: ops that never come too late have it. */
const DEADLINE_MS_MAX = 1e10;
/** What stands before the ops: see ARGV of `batch-n.lua`. */
const HEAD_ARGS = 6;
const CALLS_AVERAGED = 8;
/** What is kept for us is kept for so many calls, in steps, so that it seldom changes. */
const RESERVE_CALLS = 3;
const RESERVE_STEP_MS = 10;
const RESERVE_MS_MAX = 500;
/** More releases than these are not owed: the rest ends with its lease. */
const OWED_MAX = 100_000;

export class Exchange {
  readonly #member: Member;
  readonly #settings: ExchangeSettings;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #steady: SteadyClock;
  readonly #tells: () => boolean;
  /** For an instance that tells who comes next, and for one that does not. */
  #constants: readonly [Encoded, Encoded];
  #reserveMs: number;
  readonly #ownKeys: Encoded;
  #ops: Op[] = [];
  #isScheduled = false;
  #inFlight = 0;
  #callMs = 0;
  #heldBack: Timer | undefined;
  #idlers: (() => void)[] = [];
  /** Releases that the instance has not confirmed; the oldest first. */
  readonly #owed = new Set<OwedOp>();

  /** `tells`: whether the instance is the one that tells waiters who comes next. */
  constructor(
    member: Member,
    settings: ExchangeSettings,
    env: Env,
    steady: SteadyClock,
    tells: () => boolean,
  ) {
    this.#tells = tells;
    this.#timers = env.timers;
    this.#member = member;
    this.#settings = settings;
    this.#clock = env.clock;
    this.#steady = steady;
    const { prefix } = settings;
    this.#reserveMs = settings.reserveMs;
    this.#constants = encodeConstants(settings, this.#reserveMs);
    this.#ownKeys = encodeArguments([`${prefix}:boot`, `${prefix}:counters`, `${prefix}:waits`]);
    member.onChange(() => this.#payOwed());
  }

  /** What a call took lately, in milliseconds; only of those that were answered. */
  get callMs(): number {
    return this.#callMs;
  }

  get owed(): number {
    return this.#owed.size;
  }

  /** Once everything that was sent is answered or has failed. */
  whenIdle(): Promise<void> {
    if (this.#ops.length === 0 && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  close(): void {
    this.#heldBack?.cancel();
    this.#callNow();
  }

  /** The op's sink hears of it after this turn. */
  send(op: Op): void {
    this.#ops.push(op);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // After all that this turn still does, and before anything else happens.
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    let count = this.#countOfCall();
    while (count < this.#ops.length || count === OPS_PER_CALL_MAX) {
      this.#call(this.#ops.splice(0, count));
      count = this.#countOfCall();
    }
    if (count === 0) return;
    if (this.#inFlight >= CALLS_IN_FLIGHT) this.#holdBack();
    else this.#callNow();
  };

  /** How many of the ops may leave together. */
  #countOfCall(): number {
    const most = Math.min(this.#ops.length, OPS_PER_CALL_MAX);
    let keys = 0;
    for (let count = 0; count < most; count += 1) {
      keys += (this.#ops[count] as Op).keys.count;
      if (keys > KEYS_PER_CALL_MAX && count > 0) return count;
    }
    return most;
  }

  #callNow(): void {
    const ops = this.#ops;
    this.#ops = [];
    if (ops.length > 0) this.#call(ops);
  }

  #holdBack(): void {
    this.#heldBack ??= this.#timers.after(HELD_BACK_MS_MAX, () => {
      this.#heldBack = undefined;
      this.#callNow();
    });
  }

  #call(ops: Op[]): void {
    const { boot, instance } = this.#member;
    if (boot === undefined) {
      this.#failAll(ops, this.#refusal());
      return this.#rest();
    }
    const sentAt = this.#clock.now();
    this.#steady.look();
    const serverUs = Math.floor(this.#member.serverTime(sentAt));
    const short = countShort(ops);
    const constants = this.#constants[this.#tells() ? 0 : 1];
    let keys = this.#ownKeys.text;
    let args = encodeArguments([boot, this.#settings.prefix, String(serverUs)]).text + constants.text;
    args += encodeAscii(String(short)) + encodeAscii(String(earliestUs(ops, short, serverUs)));
    let [keyCount, argCount] = [this.#ownKeys.count, HEAD_ARGS];
    let [leastMs, mostMs] = [Number.POSITIVE_INFINITY, 0];
    for (const op of ops) {
      args += op.fields.text;
      argCount += op.fields.count;
      keys += op.keys.text;
      keyCount += op.keys.count;
      const deadlineMs = this.#deadlineOf(op);
      leastMs = Math.min(leastMs, deadlineMs);
      mostMs = Math.max(mostMs, deadlineMs);
    }
    const waiting: (Op | undefined)[] = ops;
    const timers = leastMs < mostMs ? this.#failEarlier(waiting, mostMs) : [];
    this.#inFlight += 1;
    const outcome = new CallOutcome((reply, error) => {
      for (const timer of timers) timer.cancel();
      this.#onOutcome(waiting, sentAt, reply, error);
    });
    instance.evaluate(BATCH, new Encoded(keyCount, keys), new Encoded(argCount, args), mostMs, outcome);
  }

  #onOutcome(ops: (Op | undefined)[], sentAt: number, reply: unknown, error: Error | undefined): void {
    this.#inFlight -= 1;
    if (error === undefined) {
      try {
        this.#onReply(ops, String(reply), sentAt);
      } catch (cause) {
        // Whoever was told already does not count it again.
        this.#failAll(ops, notUnderstood(this.#member.id, cause));
      }
    } else {
      this.#failAll(ops, CoterieError.is(error) ? error : notUnderstood(this.#member.id, error));
    }
    this.#rest();
  }

  /** After a call: what was held back goes on, or those hear of it who wait for the end. */
  #rest(): void {
    if (this.#ops.length > 0) this.#schedule();
    else if (this.#inFlight === 0) for (const resolve of this.#idlers.splice(0)) resolve();
  }

  #deadlineOf({ deadlineMs }: Op): number {
    return Number.isFinite(deadlineMs) ? deadlineMs : this.#settings.deadlineMs;
  }

  /** Ops with a shorter deadline than the call they are in fail at theirs, and the call goes on. */
  #failEarlier(waiting: (Op | undefined)[], mostMs: number): Timer[] {
    const deadlines = new Set(waiting.map((op) => this.#deadlineOf(op as Op)));
    deadlines.delete(mostMs);
    return [...deadlines].map((deadlineMs) =>
      this.#timers.after(deadlineMs, () => {
        const late = waiting.map((op) => (op && this.#deadlineOf(op) === deadlineMs ? op : undefined));
        late.forEach((op, n) => op && (waiting[n] = undefined));
        this.#failAll(late, unanswered(this.#member.id, deadlineMs));
      }),
    );
  }

  #onReply(ops: readonly (Op | undefined)[], reply: string, sentAt: number): void {
    const answers = reply.split("\n");
    const first = answers[0] ?? "";
    const abstains = first.startsWith("ABSTAIN ");
    const [seconds, micros] = (abstains ? first.slice(8) : first).split(" ");
    const serverUs = Number(seconds) * 1e6 + Number(micros);
    invariant(Number.isFinite(serverUs), "a reply begins with the server's time", { first });
    const now = this.#clock.now();
    // The first one as it is: else a client would seem near until it had asked often.
    const before = this.#callMs === 0 ? now - sentAt : this.#callMs;
    this.#callMs = before + (now - sentAt - before) / CALLS_AVERAGED;
    this.#keepForLongEnough();
    const isTrue = this.#member.heard(serverUs, sentAt, now);
    this.#steady.look();
    if (abstains) this.#member.doubt();
    if (abstains) return this.#failAll(ops, this.#refusal());
    if (!isTrue) return this.#failAll(ops, leapt(this.#member.id));
    invariant(answers.length === ops.length + 1, "each op has an answer", {
      ops: ops.length,
      answers: answers.length - 1,
    });
    const { at } = this.#member;
    for (let n = 0; n < ops.length; n += 1) {
      const op = ops[n];
      op?.sink.onAnswer(at, op, answers[n + 1] as string);
    }
  }

  /** What is kept for us there must still be kept when our answer to the message comes. */
  #keepForLongEnough(): void {
    const callsMs = RESERVE_STEP_MS * Math.ceil((RESERVE_CALLS * this.#callMs) / RESERVE_STEP_MS);
    const reserveMs = Math.min(RESERVE_MS_MAX, Math.max(this.#settings.reserveMs, callsMs));
    if (reserveMs === this.#reserveMs) return;
    this.#reserveMs = reserveMs;
    this.#constants = encodeConstants(this.#settings, reserveMs);
  }

  #failAll(ops: readonly (Op | undefined)[], error: CoterieError): void {
    const { at } = this.#member;
    for (const op of ops) {
      if (op === undefined) continue;
      if (op.letter === "r") this.#owe(op);
      op.sink.onFailure(at, op, error);
    }
  }

  #refusal(): CoterieError {
    const { id } = this.#member;
    return (
      this.#member.refusal() ??
      new CoterieError("ABSTAINING", `instance "${id}" has just become a member again`, {
        details: { instance: id },
      })
    );
  }

  #owe(op: Op): void {
    const now = this.#steady.now();
    for (const owed of this.#owed) {
      if (owed.until > now && this.#owed.size < OWED_MAX) break;
      this.#owed.delete(owed);
    }
    const until = op instanceof OwedOp ? op.until : now + this.#settings.leaseMsMax;
    this.#owed.add(new OwedOp(op, until));
  }

  #payOwed(): void {
    if (this.#member.boot === undefined || this.#owed.size === 0) return;
    const now = this.#steady.now();
    const owed = [...this.#owed];
    this.#owed.clear();
    for (const op of owed) if (op.until > now) this.send(op);
  }
}

/** The end of one call, either way. */
class CallOutcome implements Outcome {
  readonly #hear: (reply: unknown, error: Error | undefined) => void;

  constructor(hear: (reply: unknown, error: Error | undefined) => void) {
    this.#hear = hear;
  }

  succeed(reply: unknown): void {
    this.#hear(reply, undefined);
  }

  fail(error: Error): void {
    this.#hear(undefined, error);
  }
}

/** Nobody waits for a release that was owed. */
const NOBODY: OpSink = { onAnswer: () => {}, onFailure: () => {} };

class OwedOp extends Op {
  /** When it is of no use any more, on the steady clock. */
  readonly until: number;

  constructor({ letter, isShort, fields, keys, deadlineMs }: Op, until: number) {
    super(letter, isShort, fields, keys, deadlineMs, NOBODY);
    this.until = until;
  }
}

/** How many of the first ops are in the shorter form and about different keys. */
function countShort(ops: readonly Op[]): number {
  const keys = new Set<string>();
  let count = 0;
  for (; count < ops.length; count += 1) {
    const op = ops[count] as Op;
    if (!op.isShort || keys.has(op.keys.text)) break;
    keys.add(op.keys.text);
  }
  return count;
}

/** When the first of these ops would come too late, on the server's clock. */
function earliestUs(ops: readonly Op[], count: number, serverUs: number): number {
  let deadlineMs = DEADLINE_MS_MAX;
  for (let n = 0; n < count; n += 1) deadlineMs = Math.min(deadlineMs, (ops[n] as Op).deadlineMs);
  return serverUs + deadlineMs * 1000;
}

function encodeConstants(settings: ExchangeSettings, reserveMs: number): readonly [Encoded, Encoded] {
  const { clientId, ticketMs, bargeMaxMs, waitersMax } = settings;
  const numbers = [clientId, reserveMs, ticketMs, bargeMaxMs, waitersMax].join(" ");
  return [encodeArguments([`${numbers} 1`]), encodeArguments([`${numbers} 0`])];
}

/** It may have done what was asked, but its word does not count. */
function leapt(instance: string): CoterieError {
  const message = `instance "${instance}": its clock leapt, or this machine slept; its answer does not count`;
  return new CoterieError("ABSTAINING", message, { retryable: false, details: { instance } });
}

function unanswered(instance: string, deadlineMs: number): CoterieError {
  const message = `instance "${instance}" did not answer within ${deadlineMs} ms; it may or may not have run`;
  return new CoterieError("MAYBE_APPLIED", message, { details: { instance, deadlineMs } });
}

function notUnderstood(instance: string, cause: unknown): CoterieError {
  const message = `instance "${instance}" gave an answer that was not understood`;
  return new CoterieError("INVARIANT", message, { details: { instance }, cause });
}
