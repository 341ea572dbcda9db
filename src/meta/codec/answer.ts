/**
 * An outcome as bytes: how a session keeps its answers for retries. The events are left out, for a repeated
 * answer causes none; everything else comes back as it was.
 */
import {
  accepted, type Answer, type KeyValue, NO_ANSWER, NO_EVENTS, type OpAnswer, type Outcome, REFUSAL_CODES,
  refusalOf, refused,
} from "../outcome.ts";
import { ANSWER } from "./kinds.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** It belongs to the thread; encoding is synchronous, so it is never needed twice at a time. */
const scratch = new Writer(256);

export function encodeOutcome(outcome: Outcome): Uint8Array {
  scratch.clear();
  scratch.varint(outcome.revision);
  if (outcome.ok) writeAnswer(scratch, outcome.answer);
  else {
    scratch.byte(ANSWER.refusal);
    scratch.byte(REFUSAL_CODES.indexOf(outcome.refusal.code));
    scratch.varint(outcome.refusal.expected);
    scratch.varint(outcome.refusal.received);
  }
  return scratch.take();
}

/** The outcome as a repeat, or undefined if the bytes are none. */
export function decodeOutcome(bytes: Uint8Array): Outcome | undefined {
  const from = new Reader(bytes);
  const revision = from.varint();
  const kind = from.byte();
  const outcome = kind === ANSWER.refusal ? readRefused(from, revision) : readAccepted(from, kind, revision);
  return from.isBad || !from.isAtEnd ? undefined : outcome;
}

function readAccepted(from: Reader, kind: number, revision: number): Outcome | undefined {
  const answer = readAnswer(from, kind);
  return answer === undefined ? undefined : accepted(revision, answer, NO_EVENTS, true);
}

function readRefused(from: Reader, revision: number): Outcome | undefined {
  const code = REFUSAL_CODES[from.byte()];
  const expected = from.varint();
  const received = from.varint();
  return code === undefined ? undefined : refused(revision, refusalOf(code, expected, received), true);
}

function writeAnswer(to: Writer, answer: Answer): void {
  to.byte(ANSWER[answer.type]);
  switch (answer.type) {
    case "none":
      return undefined;
    case "put":
      return to.varint(answer.previousRevision);
    case "delete":
      return to.varint(answer.deletedCount);
    case "get":
      to.byte(answer.record === undefined ? 0 : 1);
      return answer.record === undefined ? undefined : writeRecord(to, answer.record);
    case "range":
      to.varint(answer.count);
      to.byte(answer.more ? 1 : 0);
      to.varint(answer.records.length);
      for (const record of answer.records) writeRecord(to, record);
      return undefined;
    case "transaction":
      to.byte(answer.succeeded ? 1 : 0);
      to.varint(answer.answers.length);
      for (const each of answer.answers) writeAnswer(to, each);
      return undefined;
    case "lease":
      to.varint(answer.lease);
      to.varint(answer.ttlMs);
      return to.varint(answer.renewal);
    case "session":
      return to.varint(answer.session);
    case "compacted":
      return to.varint(answer.compactedRevision);
  }
}

function readAnswer(from: Reader, kind: number): Answer | undefined {
  switch (kind) {
    case ANSWER.none:
      return NO_ANSWER;
    case ANSWER.transaction: {
      const succeeded = readFlag(from);
      const answers: OpAnswer[] = [];
      for (let left = from.varint(); left > 0 && !from.isBad; left--) {
        const answer = readOpAnswer(from, from.byte());
        if (answer !== undefined) answers.push(answer);
      }
      return { type: "transaction", succeeded, answers };
    }
    case ANSWER.lease: {
      const lease = from.varint();
      const ttlMs = from.varint();
      return { type: "lease", lease, ttlMs, renewal: from.varint() };
    }
    case ANSWER.session:
      return { type: "session", session: from.varint() };
    case ANSWER.compacted:
      return { type: "compacted", compactedRevision: from.varint() };
    default:
      return readOpAnswer(from, kind);
  }
}

function readOpAnswer(from: Reader, kind: number): OpAnswer | undefined {
  switch (kind) {
    case ANSWER.put:
      return { type: "put", previousRevision: from.varint() };
    case ANSWER.delete:
      return { type: "delete", deletedCount: from.varint() };
    case ANSWER.get:
      return { type: "get", record: readFlag(from) ? readRecord(from) : undefined };
    case ANSWER.range: {
      const count = from.varint();
      const more = readFlag(from);
      const records: KeyValue[] = [];
      for (let left = from.varint(); left > 0 && !from.isBad; left--) records.push(readRecord(from));
      return { type: "range", records, count, more };
    }
    default:
      from.fail();
      return undefined;
  }
}

function readFlag(from: Reader): boolean {
  const byte = from.byte();
  if (byte > 1) from.fail();
  return byte === 1;
}

/** All of a record, for answers and snapshots. */
export function writeRecord(to: Writer, record: KeyValue): void {
  to.text(record.key);
  to.bytes(record.value);
  to.varint(record.createRevision);
  to.varint(record.revision);
  to.varint(record.version);
  to.varint(record.lease);
}

/** Its value is a view on what is read. */
export function readRecord(from: Reader): KeyValue {
  const key = from.text();
  const value = from.bytes();
  const createRevision = from.varint();
  const revision = from.varint();
  const version = from.varint();
  return { key, value, createRevision, revision, version, lease: from.varint() };
}
