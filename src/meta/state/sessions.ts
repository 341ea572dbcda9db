/**
 * Sessions, by which a retried command is applied once (Raft thesis, 6.3): each keeps the answers that its
 * client may still ask for again. A session has a floor. A sequence below it is refused and never applied,
 * so an answer may be forgotten only together with raising the floor above it.
 * Everything is bounded, and what goes first is decided by entries alone: of a session's answers that to
 * the lowest sequence, of sessions the least recently used. No session may hold more than an eighth of all
 * bytes, so a client whose answers are large forgets its own before any other client's.
 */
import type { Stamp } from "../command.ts";
import { type Refusal, refusalOf } from "../outcome.ts";
import { Digest, Sum } from "./digest.ts";

const SESSION_TAG = 5;
const ANSWER_TAG = 6;
/** What a kept answer counts besides its bytes. */
const ANSWER_BYTES = 64;
/** One session's answers count at most this part of all. */
const SHARES = 8;

export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionAnswersMax: number;
  readonly answersBytesMax: number;
}

/** What a session answered to a sequence: an encoded outcome. */
export class KeptAnswer {
  readonly bytes: Uint8Array;
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

class Session {
  readonly session: number;
  readonly answers: Map<number, KeptAnswer> = new Map();
  /** The index of the entry that used it last. */
  usedAt: number;
  /** The lowest sequence that may still be applied or answered. */
  floor: number;
  /** What its answers count. */
  bytes = 0;

  constructor(session: number, usedAt: number, floor: number) {
    this.session = session;
    this.usedAt = usedAt;
    this.floor = floor;
  }
}

export type SessionState = Readonly<Pick<Session, "session" | "usedAt" | "floor">>;

export class SessionTable {
  readonly sum: Sum = new Sum();
  readonly #limits: SessionLimits;
  /** The least recently used first. */
  readonly #sessions = new Map<number, Session>();
  readonly #digest = new Digest();
  /** The last one in the map, so that its next use need not move it. */
  #latest: Session | undefined;
  #answerCount = 0;
  #bytes = 0;

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get answerCount(): number {
    return this.#answerCount;
  }

  has(session: number): boolean {
    return this.#sessions.has(session);
  }

  /** Opens a session under the number, which is that of an entry and so was never used before. */
  open(session: number): void {
    while (this.#sessions.size >= this.#limits.sessionsMax) this.#forget(this.#leastRecent());
    this.#add(new Session(session, session, 1));
  }

  /** False if there is no such session. */
  close(session: number): boolean {
    const found = this.#sessions.get(session);
    if (found !== undefined) this.#forget(found);
    return found !== undefined;
  }

  /** The answer that was given already, or a refusal; undefined if the command is new and to be applied. */
  begin({ session, sequence, firstWanted }: Stamp, index: number): KeptAnswer | Refusal | undefined {
    const found = this.#sessions.get(session);
    if (found === undefined) return refusalOf("SESSION_UNKNOWN", 0, session);
    this.#addDigest(found, -1);
    found.usedAt = index;
    if (firstWanted > found.floor) this.#raiseFloor(found, firstWanted);
    this.#addDigest(found, 1);
    if (this.#latest !== found) {
      this.#sessions.delete(session);
      this.#sessions.set(session, found);
      this.#latest = found;
    }
    if (sequence < found.floor) return refusalOf("SEQUENCE_DISCARDED", found.floor, sequence);
    return found.answers.get(sequence);
  }

  /**
   * Keeps the answer to a command that `begin` let through. One that is larger alone than a session's share
   * is not kept: the floor is raised above its sequence instead.
   */
  keep({ session, sequence }: Stamp, bytes: Uint8Array): void {
    const found = this.#sessions.get(session) as Session;
    if (ANSWER_BYTES + bytes.length > this.#shareBytes) return this.#discardBelow(found, sequence + 1);
    this.#addAnswer(found, sequence, bytes);
    if (found.answers.size > this.#limits.sessionAnswersMax) this.#dropLowest(found);
    if (found.bytes > this.#shareBytes) this.#dropLowest(found);
    if (found.bytes > this.#shareBytes) this.#dropToShare(found);
    if (this.#bytes > this.#limits.answersBytesMax) this.#forgetOthers(found);
  }

  /** All sessions, the least recently used first. */
  sessions(): IterableIterator<SessionState> {
    return this.#sessions.values();
  }

  /** The answers that a session keeps, in order of sequence. */
  answersOf(session: number): [sequence: number, answer: KeptAnswer][] {
    const answers = this.#sessions.get(session)?.answers ?? [];
    return [...answers].toSorted(([a], [b]) => a - b);
  }

  /** Puts back what a snapshot holds: sessions from the least recently used on. */
  restoreSession({ session, usedAt, floor }: SessionState): void {
    this.#add(new Session(session, usedAt, floor));
  }

  /** False if there is no such session, or it cannot have this answer. */
  restoreAnswer(session: number, sequence: number, bytes: Uint8Array): boolean {
    const found = this.#sessions.get(session);
    if (found === undefined || sequence < found.floor || found.answers.has(sequence)) return false;
    this.#addAnswer(found, sequence, bytes);
    const { sessionAnswersMax, answersBytesMax } = this.#limits;
    if (found.answers.size > sessionAnswersMax || found.bytes > this.#shareBytes) return false;
    return this.#bytes <= answersBytesMax;
  }

  /** What `sum` must be, from the sessions alone. */
  sumFully(): Sum {
    const sum = new Sum();
    const digest = new Digest();
    for (const session of this.#sessions.values()) {
      digestSession(digest, session);
      sum.add(digest.low, digest.high);
      for (const [sequence, { bytes }] of session.answers) {
        digestAnswer(digest, session.session, sequence, bytes);
        sum.add(digest.low, digest.high);
      }
    }
    return sum;
  }

  #add(session: Session): void {
    this.#sessions.set(session.session, session);
    this.#latest = session;
    this.#addDigest(session, 1);
  }

  get #shareBytes(): number {
    return Math.floor(this.#limits.answersBytesMax / SHARES);
  }

  /** The least recently used first, and none that holds nothing, until all answers fit. */
  #forgetOthers(user: Session): void {
    for (const session of this.#sessions.values()) {
      if (session !== user && session.answers.size > 0) this.#forget(session);
      if (this.#bytes <= this.#limits.answersBytesMax) return;
    }
  }

  #leastRecent(): Session {
    const [first] = this.#sessions.values();
    return first as Session;
  }

  #forget(session: Session): void {
    for (const sequence of session.answers.keys()) this.#dropAnswer(session, sequence);
    this.#addDigest(session, -1);
    this.#sessions.delete(session.session);
    if (this.#latest === session) this.#latest = undefined;
  }

  /** The caller takes the session's digest out before, and puts it in after. */
  #raiseFloor(session: Session, floor: number): void {
    const { answers } = session;
    if (floor - session.floor <= answers.size) {
      for (let sequence = session.floor; sequence < floor; sequence++) this.#dropAnswer(session, sequence);
    } else {
      for (const sequence of answers.keys()) if (sequence < floor) this.#dropAnswer(session, sequence);
    }
    session.floor = floor;
  }

  #dropLowest(session: Session): void {
    let lowest = session.floor;
    if (!session.answers.has(lowest)) {
      lowest = Number.MAX_SAFE_INTEGER;
      for (const sequence of session.answers.keys()) lowest = Math.min(lowest, sequence);
    }
    this.#discardBelow(session, lowest + 1);
  }

  /** The same for as many as it takes, in one pass: a large answer may take the place of thousands. */
  #dropToShare(session: Session): void {
    let { bytes, floor } = session;
    for (const [sequence, answer] of this.answersOf(session.session)) {
      if (bytes <= this.#shareBytes) break;
      bytes -= ANSWER_BYTES + answer.bytes.length;
      floor = sequence + 1;
    }
    this.#discardBelow(session, floor);
  }

  #discardBelow(session: Session, floor: number): void {
    this.#addDigest(session, -1);
    this.#raiseFloor(session, floor);
    this.#addDigest(session, 1);
  }

  #addAnswer(session: Session, sequence: number, bytes: Uint8Array): void {
    const answer = new KeptAnswer(bytes);
    digestAnswer(this.#digest, session.session, sequence, bytes);
    answer.low = this.#digest.low;
    answer.high = this.#digest.high;
    session.answers.set(sequence, answer);
    this.sum.add(answer.low, answer.high);
    this.#answerCount += 1;
    session.bytes += ANSWER_BYTES + bytes.length;
    this.#bytes += ANSWER_BYTES + bytes.length;
  }

  #dropAnswer(session: Session, sequence: number): void {
    const answer = session.answers.get(sequence);
    if (answer === undefined) return;
    session.answers.delete(sequence);
    this.sum.remove(answer.low, answer.high);
    this.#answerCount -= 1;
    session.bytes -= ANSWER_BYTES + answer.bytes.length;
    this.#bytes -= ANSWER_BYTES + answer.bytes.length;
  }

  #addDigest(session: Session, sign: 1 | -1): void {
    digestSession(this.#digest, session);
    if (sign === 1) this.sum.add(this.#digest.low, this.#digest.high);
    else this.sum.remove(this.#digest.low, this.#digest.high);
  }
}

function digestSession(digest: Digest, { session, usedAt, floor }: SessionState): void {
  digest.begin(SESSION_TAG);
  digest.number(session);
  digest.number(usedAt);
  digest.number(floor);
  digest.end();
}

function digestAnswer(digest: Digest, session: number, sequence: number, bytes: Uint8Array): void {
  digest.begin(ANSWER_TAG);
  digest.number(session);
  digest.number(sequence);
  digest.bytes(bytes);
  digest.end();
}
