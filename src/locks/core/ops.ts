/**
 * What a client asks of an instance, as the fields that `batch-n.lua` reads, and what it answers. One op is
 * the same text for every instance, so it is made and encoded once.
 */
import type { CoterieError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import { type Encoded, encodeArguments } from "../../redis/index.ts";

/** x exclusive, m several resources at once, w writer, r reader. */
export type Kind = "x" | "m" | "w" | "r";

/** Hears what became of an op, exactly once for each instance that it was sent to. */
export interface OpSink {
  /** The instance's own answer: see the head of each op in `batch-n.lua`. */
  onAnswer(at: number, op: Op, answer: string): void;
  /** It was not sent, or not answered, or its answer must not count. */
  onFailure(at: number, op: Op, error: CoterieError): void;
}

export interface Op {
  readonly letter: string;
  /** The letter and its fields. */
  readonly fields: Encoded;
  readonly keys: Encoded;
  /** Whether it does nothing when it arrives later than this after it was sent. */
  readonly deadlineMs: number;
  readonly sink: OpSink;
}

/** What all ops of one acquisition and its hold have in common. */
export interface Target {
  readonly kind: Kind;
  /** Who holds: 28 hex digits, the client's 16 first. */
  readonly base: string;
  /** The lock keys; made by `encodeKeys`. */
  readonly keys: Encoded;
  /** The fence counters of the resources, each once. */
  readonly counters: readonly number[];
  /** What stands behind the number in the lock's value, with its leading space; or nothing. */
  readonly info: string;
}

export interface AcquireFields {
  readonly number: number;
  readonly leaseMs: number;
  readonly deadlineMs: number;
  readonly proposal: number;
  /** The ticket's time in microseconds; 0 files no ticket. */
  readonly score: number;
  readonly barge: boolean;
}

export function acquireOp(target: Target, sink: OpSink, fields: AcquireFields): Op {
  const { number, leaseMs, deadlineMs, proposal, score, barge } = fields;
  const { counters } = target;
  const value = valueOf(target, number);
  const { kind, keys } = target;
  const list = ["a", kind, value, text(leaseMs), text(deadlineMs), text(proposal), text(score)];
  list.push(barge ? "1" : "0", text(counters.length));
  for (const counter of counters) list.push(text(counter));
  list.push(text(keys.parts.length));
  return op(list, keys, deadlineMs, sink);
}

export interface RenewFields {
  readonly number: number;
  readonly leaseMs: number;
  readonly deadlineMs: number;
  /** True for an instance on which the hold never was. */
  readonly mayTake: boolean;
}

export function renewOp(target: Target, sink: OpSink, fields: RenewFields): Op {
  const { number, leaseMs, deadlineMs, mayTake } = fields;
  const { kind, keys } = target;
  const list = ["m", kind, valueOf(target, number), text(leaseMs), text(deadlineMs), mayTake ? "1" : "0"];
  list.push(text(keys.parts.length));
  return op(list, keys, deadlineMs, sink);
}

export function raiseOp(target: Target, sink: OpSink, token: number, deadlineMs: number): Op {
  invariant(Number.isSafeInteger(token), "a fencing token is below 2^53", { token });
  const { kind, base, counters, keys } = target;
  const list = ["f", kind, base, text(token), text(deadlineMs), text(counters.length)];
  for (const counter of counters) list.push(text(counter));
  list.push(text(keys.parts.length));
  return op(list, keys, deadlineMs, sink);
}

/** Takes back whatever the holder has up to this number, and its ticket if it may have one. */
export function releaseOp(target: Target, sink: OpSink, number: number, withTicket: boolean): Op {
  const { kind, base, keys } = target;
  const fields = ["r", kind, base, numberText(number), withTicket ? "1" : "0", text(keys.parts.length)];
  return op(fields, keys, Number.POSITIVE_INFINITY, sink);
}

/** Gives the keys back where somebody in the queue is before the holder. */
export function giveBackOp(target: Target, sink: OpSink, number: number, score: number): Op {
  const { kind, base, keys } = target;
  const fields = ["g", kind, base, numberText(number), text(score), text(keys.parts.length)];
  return op(fields, keys, Number.POSITIVE_INFINITY, sink);
}

export function forceReleaseOp(keys: Encoded, sink: OpSink, deadlineMs: number): Op {
  return op(["x", text(deadlineMs), text(keys.parts.length)], keys, deadlineMs, sink);
}

/** What an acquire is answered. */
export type AcquireAnswer =
  | { readonly vote: "granted"; readonly stored: boolean; readonly counter: number }
  | { readonly vote: "refused"; readonly waitMs: number; readonly place: number; readonly foreign: boolean }
  | { readonly vote: "late" }
  | { readonly vote: "full" }
  | { readonly vote: "tooLong"; readonly leaseMsMax: number };

export function readAcquireAnswer(answer: string): AcquireAnswer {
  if (answer === "+") return { vote: "granted", stored: true, counter: 0 };
  if (answer.startsWith("+")) return { vote: "granted", stored: false, counter: Number(answer.slice(1)) };
  if (answer === "L") return { vote: "late" };
  if (answer === "F") return { vote: "full" };
  const [mark, ...numbers] = answer.split(" ");
  const [first = 0, place = -1, foreign = 0] = numbers.map(Number);
  if (mark === "E") return { vote: "tooLong", leaseMsMax: first };
  invariant(mark === "-", "an acquire is answered with one of + - L F E", { answer });
  return { vote: "refused", waitMs: first, place, foreign: foreign === 1 };
}

function op(fields: readonly string[], keys: Encoded, deadlineMs: number, sink: OpSink): Op {
  return { letter: fields[0] as string, fields: encodeArguments(fields), keys, deadlineMs, sink };
}

function valueOf({ base, info }: Target, number: number): string {
  return base + numberText(number) + info;
}

/** Eight hex digits, so that texts compare as numbers do. */
function numberText(number: number): string {
  invariant(number >= 0 && number < 2 ** 32, "a holder sends less than 2^32 times", { number });
  return number.toString(16).padStart(8, "0");
}

/** A number as Lua reads it back. */
function text(value: number): string {
  return String(value);
}
