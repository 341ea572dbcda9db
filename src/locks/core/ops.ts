/**
 * What a client asks of an instance, as the fields that `batch-n.lua` reads, and what it answers. One op is
 * the same text for every instance, so it is made and encoded once.
 */
import type { CoterieError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import { Encoded, encodeAscii } from "../../redis/index.ts";
import { COUNTER_COUNT } from "../resources.ts";

/** x exclusive, m several resources at once, w writer, r reader. */
export type Kind = "x" | "m" | "w" | "r";

/** Hears what became of an op, exactly once for each instance that it was sent to. */
export interface OpSink {
  /** The instance's own answer: see the head of each op in `batch-n.lua`. */
  onAnswer(at: number, op: Op, answer: string): void;
  /** It was not sent, or not answered, or its answer must not count. */
  onFailure(at: number, op: Op, error: CoterieError): void;
}

/**
 * A class, as is all else that an acquire makes and that refers to more: V8 moves what it finds in literals
 * to the old generation at once when they happen to outlive a few collections, and whatever they refer to
 * then stays until a full one. Measured, that was a third of a lock's cost.
 */
export class Op {
  /** What is asked for: see `ops` in `batch-n.lua`. */
  readonly letter: "a" | "m" | "f" | "r" | "g" | "x";
  /** True for one in the shorter form, which the script may do together with others like it. */
  readonly isShort: boolean;
  /** The letter and its fields. */
  readonly fields: Encoded;
  readonly keys: Encoded;
  /** Whether it does nothing when it arrives later than this after it was sent. */
  readonly deadlineMs: number;
  readonly sink: OpSink;

  constructor(
    letter: Op["letter"],
    isShort: boolean,
    fields: Encoded,
    keys: Encoded,
    deadlineMs: number,
    sink: OpSink,
  ) {
    this.letter = letter;
    this.isShort = isShort;
    this.fields = fields;
    this.keys = keys;
    this.deadlineMs = deadlineMs;
    this.sink = sink;
  }
}

/** The letters of ops in their shorter form: see A, M and R in `batch-n.lua`. */
const [ACQUIRE, RENEW, RELEASE] = ["A", "M", "R"].map(encodeAscii) as [string, string, string];
/** The counters' names. */
const COUNTERS = Array.from({ length: COUNTER_COUNT }, (_, counter) => encodeAscii(String(counter)));
const NEVER = Number.POSITIVE_INFINITY;

/** What all ops of one acquisition and its hold have in common. */
export class Target {
  readonly kind: Kind;
  /** Who holds: 28 hex digits, the client's 16 first. */
  readonly base: string;
  /** The lock keys; made by `encodeKeys`. */
  readonly keys: Encoded;
  /** The fence counters of the resources, each once. */
  readonly counters: readonly number[];
  /** What stands behind the number in the lock's value, with its leading space; or nothing. */
  readonly info: string;

  constructor(kind: Kind, base: string, keys: Encoded, counters: readonly number[], info: string) {
    this.kind = kind;
    this.base = base;
    this.keys = keys;
    this.counters = counters;
    this.info = info;
  }
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
  const { kind, keys, counters } = target;
  const value = encodeValue(target, number, leaseMs, deadlineMs);
  if (isUsual(target) && !barge) {
    const text = ACQUIRE + value + decimal(proposal) + COUNTERS[counters[0] as number] + decimal(score);
    return new Op("a", true, new Encoded(7, text), keys, deadlineMs, sink);
  }
  const head = encodeAscii(kind) + value + decimal(proposal) + decimal(score) + flag(barge);
  return general("a", 9 + counters.length, head + list(counters), keys, deadlineMs, sink);
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
  const text = encodeValue(target, number, leaseMs, deadlineMs) + flag(mayTake);
  return isUsual(target)
    ? new Op("m", true, new Encoded(5, RENEW + text), keys, deadlineMs, sink)
    : general("m", 6, encodeAscii(kind) + text, keys, deadlineMs, sink);
}

export function raiseOp(target: Target, sink: OpSink, token: number, deadlineMs: number): Op {
  invariant(Number.isSafeInteger(token), "a fencing token is below 2^53", { token });
  const { kind, base, counters, keys } = target;
  const text = encodeAscii(kind) + encodeAscii(base) + decimal(token) + decimal(deadlineMs) + list(counters);
  return general("f", 6 + counters.length, text, keys, deadlineMs, sink);
}

/** Takes back whatever the holder has up to this number, and its ticket. */
export function releaseOp(target: Target, sink: OpSink, number: number): Op {
  const { kind, base, keys } = target;
  const held = encodeAscii(base + numberText(number));
  return isUsual(target)
    ? new Op("r", true, new Encoded(2, RELEASE + held), keys, NEVER, sink)
    : general("r", 3, encodeAscii(kind) + held, keys, NEVER, sink);
}

/** Gives the keys back where somebody in the queue is before the holder. */
export function giveBackOp(target: Target, sink: OpSink, number: number, score: number): Op {
  const { kind, base, keys } = target;
  const text = encodeAscii(kind) + encodeAscii(base + numberText(number)) + decimal(score);
  return general("g", 4, text, keys, NEVER, sink);
}

export function forceReleaseOp(keys: Encoded, sink: OpSink, deadlineMs: number): Op {
  return general("x", 2, decimal(deadlineMs), keys, deadlineMs, sink);
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

/** `count` fields with the letter, before the number of keys. */
function general(
  letter: Op["letter"],
  count: number,
  text: string,
  keys: Encoded,
  deadlineMs: number,
  sink: OpSink,
): Op {
  const fields = new Encoded(count + 1, encodeAscii(letter) + text + decimal(keys.count));
  return new Op(letter, false, fields, keys, deadlineMs, sink);
}

/** What most ops are about: one exclusive key and its counter. They have a shorter form. */
function isUsual({ kind, keys, counters }: Target): boolean {
  return kind === "x" && keys.count === 1 && counters.length < 2;
}

/** What stands behind a holder token in a lock's value, with lease and deadline: often the same as before. */
let last = { info: "", number: -1, leaseMs: -1, deadlineMs: -1, head: "", tail: "" };

/** The lock's value, the lease and the deadline. */
function encodeValue({ base, info }: Target, number: number, leaseMs: number, deadlineMs: number): string {
  const isSame = last.info === info && last.number === number;
  if (!isSame || last.leaseMs !== leaseMs || last.deadlineMs !== deadlineMs) {
    const rest = numberText(number) + info;
    const head = `$${base.length + Buffer.byteLength(rest)}\r\n`;
    const tail = `${rest}\r\n${decimal(leaseMs)}${decimal(deadlineMs)}`;
    last = { info, number, leaseMs, deadlineMs, head, tail };
  }
  return last.head + base + last.tail;
}

/** Eight hex digits, so that texts compare as numbers do. */
function numberText(number: number): string {
  invariant(number >= 0 && number < 2 ** 32, "a holder sends less than 2^32 times", { number });
  return (2 ** 32 + number).toString(16).slice(1);
}

/** A number as Lua reads it back. */
function decimal(value: number): string {
  return encodeAscii(String(value));
}

function flag(value: boolean): string {
  return encodeAscii(value ? "1" : "0");
}

/** How many, and each. */
function list(values: readonly number[]): string {
  let text = decimal(values.length);
  for (const value of values) text += decimal(value);
  return text;
}
