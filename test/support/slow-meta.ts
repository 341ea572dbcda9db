/**
 * The slow, obvious twin of the metadata store: lists that are searched from front to back and sorted when
 * asked, whole copies instead of undoing, no bytes and no hash. It is given commands, not their encodings.
 */
import {
  ANSWER_BYTES_MAX,
  type Command,
  type Compare,
  type KeyRange,
  type KeyValue,
  type MetaLimits,
  type Op,
  type Outcome,
  RANGE_LIMIT_MAX,
  type Stamp,
  type WatchEvent,
} from "../../src/meta/index.ts";

interface SlowSession {
  readonly session: number;
  usedAt: number;
  floor: number;
  answers: { readonly sequence: number; readonly outcome: Outcome }[];
}

interface SlowLease {
  readonly lease: number;
  readonly ttlMs: number;
  renewal: number;
}

type Result = { readonly answer: Outcome["answer"] } | {
  readonly refusal: [code: string, expected: number, received: number],
};

export class SlowMeta {
  records: KeyValue[] = [];
  leases: SlowLease[] = [];
  sessions: SlowSession[] = [];
  events: WatchEvent[] = [];
  revision = 0;
  compactedRevision = 0;
  malformedCount = 0;
  readonly #limits: MetaLimits;
  #changes: WatchEvent[] = [];
  /** What the ranges of the transaction may still answer. */
  #bytesLeft = 0;
  #recordsLeft = 0;

  constructor(limits: MetaLimits) {
    this.#limits = limits;
  }

  /** `undefined` stands for bytes that are no command. */
  apply(command: Command | undefined, index: number, term: number, bytes = 0, badAt = 0): Outcome {
    if (command === undefined) {
      this.malformedCount += 1;
      return this.#outcome({ refusal: ["MALFORMED", bytes, badAt] });
    }
    const stamp = "stamp" in command ? command.stamp : undefined;
    if (stamp === undefined) return this.#run(command, index, term);
    const session = this.sessions.find((each) => each.session === stamp.session);
    if (session === undefined) return this.#outcome({ refusal: ["SESSION_UNKNOWN", 0, stamp.session] });
    session.usedAt = index;
    this.#raiseFloor(session, stamp.firstWanted);
    if (stamp.sequence < session.floor) {
      return this.#outcome({ refusal: ["SEQUENCE_DISCARDED", session.floor, stamp.sequence] });
    }
    const known = session.answers.find((each) => each.sequence === stamp.sequence);
    if (known !== undefined) return { ...known.outcome, isRepeat: true, events: [] };
    const outcome = this.#run(command, index, term);
    this.#keep(session, stamp, outcome);
    return outcome;
  }

  list(range: KeyRange): KeyValue[] {
    return this.records.filter(({ key }) => isIn(key, range)).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  leaseKeys(lease: number): string[] {
    return this.list({ prefix: "" }).filter((each) => each.lease === lease).map(({ key }) => key);
  }

  #run(command: Command, index: number, term: number): Outcome {
    this.#changes = [];
    const result = this.#result(command, index, term);
    if (this.#changes.length > 0) {
      this.revision += 1;
      this.events.push(...this.#changes);
      this.#trim();
    }
    return this.#outcome(result);
  }

  #outcome(result: Result): Outcome {
    const { revision } = this;
    if ("refusal" in result) {
      const [code, expected, received] = result.refusal;
      const refusal = { code, expected, received };
      return { ok: false, isRepeat: false, revision, events: [], answer: undefined, refusal } as Outcome;
    }
    const { answer } = result;
    const events = this.#changes;
    return { ok: true, isRepeat: false, revision, events, answer, refusal: undefined } as Outcome;
  }

  #result(command: Command, index: number, term: number): Result {
    switch (command.type) {
      case "noop":
        return { answer: { type: "none" } };
      case "put":
      case "delete": {
        const actual = this.#find(command.key)?.revision ?? 0;
        const { ifRevision } = command;
        if (ifRevision !== undefined && ifRevision !== actual) {
          return { refusal: ["CONDITION_FAILED", ifRevision, actual] };
        }
        return this.#ops([command], (answers) => answers[0]);
      }
      case "deleteRange":
        return this.#ops([command], (answers) => answers[0]);
      case "transaction": {
        const succeeded = command.compares.every((compare) => this.#holds(compare));
        const ops = succeeded ? command.thenOps : command.elseOps;
        return this.#ops(ops, (answers) => ({ type: "transaction", succeeded, answers }));
      }
      case "openSession":
        return this.#openSession(index);
      case "closeSession": {
        const before = this.sessions.length;
        this.sessions = this.sessions.filter(({ session }) => session !== command.session);
        if (this.sessions.length === before) return { refusal: ["SESSION_UNKNOWN", 0, command.session] };
        return { answer: { type: "none" } };
      }
      case "compact": {
        const { revision } = command;
        if (revision > this.revision) return { refusal: ["REVISION_UNKNOWN", this.revision, revision] };
        this.#compact(revision);
        return { answer: { type: "compacted", compactedRevision: this.compactedRevision } };
      }
      case "grantLease":
      case "renewLease":
      case "revokeLease":
      case "expireLease":
        break;
    }
    return this.#leaseResult(command, index, term);
  }

  #leaseResult(command: Command, index: number, term: number): Result {
    if (command.type === "grantLease") return this.#grant(command.lease, command.ttlMs, index);
    if (!("lease" in command)) throw new Error("a command about a lease names it");
    const held = this.leases.find(({ lease }) => lease === command.lease);
    if (held === undefined) return { refusal: ["LEASE_UNKNOWN", 0, command.lease ?? 0] };
    if (command.type === "renewLease") {
      held.renewal = index;
      return { answer: { type: "lease", ...held } };
    }
    if (command.type === "expireLease") {
      if (command.term !== term) return { refusal: ["STALE_TERM", term, command.term] };
      if (command.renewal !== held.renewal) {
        return { refusal: ["STALE_RENEWAL", held.renewal, command.renewal] };
      }
    }
    const keys = this.leaseKeys(held.lease);
    for (const key of keys) this.#delete(key);
    this.leases = this.leases.filter((each) => each !== held);
    return { answer: { type: "delete", deletedCount: keys.length } };
  }

  #grant(wanted: number | undefined, ttlMs: number, index: number): Result {
    const { leasesMax } = this.#limits;
    const { length } = this.leases;
    if (length >= leasesMax) return { refusal: ["LEASES_FULL", leasesMax, length] };
    const isTaken = (lease: number) => this.leases.some((each) => each.lease === lease);
    if (wanted !== undefined && isTaken(wanted)) return { refusal: ["LEASE_EXISTS", 0, wanted] };
    let lease = wanted ?? index;
    while (isTaken(lease)) lease += 1;
    this.leases.push({ lease, ttlMs, renewal: index });
    return { answer: { type: "lease", lease, ttlMs, renewal: index } };
  }

  #openSession(index: number): Result {
    this.sessions.sort((a, b) => a.usedAt - b.usedAt);
    while (this.sessions.length >= this.#limits.sessionsMax) this.sessions.shift();
    this.sessions.push({ session: index, usedAt: index, floor: 1, answers: [] });
    return { answer: { type: "session", session: index } };
  }

  #keep(session: SlowSession, { sequence }: Stamp, outcome: Outcome): void {
    session.answers.push({ sequence, outcome });
    if (session.answers.length <= this.#limits.sessionAnswersMax) return;
    this.#raiseFloor(session, Math.min(...session.answers.map((each) => each.sequence)) + 1);
  }

  #raiseFloor(session: SlowSession, floor: number): void {
    session.floor = Math.max(session.floor, floor);
    session.answers = session.answers.filter(({ sequence }) => sequence >= session.floor);
  }

  #ops(ops: readonly Op[], answerOf: (answers: unknown[]) => unknown): Result {
    for (const op of ops) {
      if (op.type !== "put" || op.lease === undefined) continue;
      if (!this.leases.some(({ lease }) => lease === op.lease)) {
        return { refusal: ["LEASE_UNKNOWN", 0, op.lease] };
      }
    }
    const bytes = this.#bytesOfGets(ops);
    if (bytes > ANSWER_BYTES_MAX) return { refusal: ["ANSWER_TOO_LARGE", ANSWER_BYTES_MAX, bytes] };
    this.#bytesLeft = ANSWER_BYTES_MAX - bytes;
    this.#recordsLeft = RANGE_LIMIT_MAX;
    return { answer: answerOf(ops.map((op) => this.#op(op))) as Outcome["answer"] };
  }

  /** Of each get the largest value that its key has, or was given by an op before it. */
  #bytesOfGets(ops: readonly Op[]): number {
    return ops.reduce((sum, op, at) => {
      if (op.type !== "get") return sum;
      const given = ops.slice(0, at).filter((other) => other.type === "put" && other.key === op.key);
      const holding = [this.#find(op.key), ...given];
      const values = holding.flatMap((each) => each && "value" in each ? each.value : []);
      if (values.length === 0) return sum;
      return sum + 64 + op.key.length + Math.max(...values.map(({ length }) => length));
    }, 0);
  }

  #op(op: Op): unknown {
    if (op.type === "put") return {
      type: "put",
      previousRevision: this.#put(op.key, op.value, op.lease ?? 0),
    };
    if (op.type === "delete") return { type: "delete", deletedCount: this.#delete(op.key) };
    if (op.type === "get") return { type: "get", record: this.#find(op.key) };
    const found = this.list(op.range);
    if (op.type === "deleteRange") {
      for (const { key } of found) this.#delete(key);
      return { type: "delete", deletedCount: found.length };
    }
    if (op.countOnly === true) return { type: "range", records: [], count: found.length, more: false };
    const records: KeyValue[] = [];
    for (const held of found.slice(0, op.limit)) {
      const record = op.keysOnly === true ? { ...held, value: new Uint8Array(0) } : held;
      const bytes = 64 + record.key.length + record.value.length;
      if (bytes > this.#bytesLeft || this.#recordsLeft === 0) break;
      this.#bytesLeft -= bytes;
      this.#recordsLeft -= 1;
      records.push(record);
    }
    return { type: "range", records, count: records.length, more: found.length > records.length };
  }

  #find(key: string): KeyValue | undefined {
    return this.records.find((record) => record.key === key);
  }

  #put(key: string, value: Uint8Array, lease: number): number {
    const before = this.#find(key);
    const revision = this.revision + 1;
    const { createRevision = revision, version = 0, revision: previousRevision = 0 } = before ?? {};
    this.records = this.records.filter((record) => record !== before);
    this.records.push({ key, value, createRevision, revision, version: version + 1, lease });
    this.#changes.push({ type: "put", key, value, revision, previousRevision });
    return previousRevision;
  }

  #delete(key: string): number {
    const before = this.#find(key);
    if (before === undefined) return 0;
    this.records = this.records.filter((record) => record !== before);
    const [revision, value] = [this.revision + 1, new Uint8Array(0)];
    this.#changes.push({ type: "delete", key, value, revision, previousRevision: before.revision });
    return 1;
  }

  #holds({ key, target, operator, operand }: Compare): boolean {
    const record = this.#find(key);
    if (target === "value" && record === undefined) return false;
    const actual = target === "value" ? hex(record!.value) : (record?.[target] ?? 0);
    const wanted = typeof operand === "number" ? operand : hex(operand);
    if (operator === "=") return actual === wanted;
    if (operator === "!=") return actual !== wanted;
    return operator === "<" ? actual < wanted : actual > wanted;
  }

  #compact(revision: number): void {
    this.events = this.events.filter((event) => event.revision > revision);
    this.compactedRevision = Math.max(this.compactedRevision, revision);
  }

  #trim(): void {
    const { historyEventsMax, historyBytesMax } = this.#limits;
    const bytes = () => this.events.reduce((sum, { key, value }) => sum + 64 + key.length + value.length, 0);
    while (this.events.length > historyEventsMax || bytes() > historyBytesMax) {
      this.#compact(this.events[0]!.revision);
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isIn(key: string, range: KeyRange): boolean {
  if (range.prefix !== undefined) return key.startsWith(range.prefix);
  return key >= range.from && (range.to === undefined || key < range.to);
}
