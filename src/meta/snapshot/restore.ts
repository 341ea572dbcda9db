/**
 * A state from the chunks of a snapshot. Nothing is believed: each item is checked against those before it,
 * and at the end the hash of what was built must be the one that was written. It builds a new state, so a
 * snapshot that turns out to be damaged costs nothing but the time.
 */
import { CoterieError } from "../../errors.ts";
import { decodeOutcome, readRecord } from "../codec/answer.ts";
import { NO_BYTES, type Reader } from "../codec/reader.ts";
import { SEQUENCE_MAX } from "../command.ts";
import { LIMIT_NAMES, type MetaLimits } from "../options.ts";
import type { KeyValue, WatchEvent } from "../outcome.ts";
import { Digest } from "../state/digest.ts";
import { digestContent } from "../state/key-space.ts";
import { State } from "../state/state.ts";
import { Values } from "../state/values.ts";
import { damaged, EVENT, FrameReader, SECTION, SNAPSHOT_VERSION } from "./frames.ts";

/** No store counts further: beyond it are no entries, and what is counted must still have a next number. */
const COUNTER_MAX = 2 ** 52;

/** Throws SNAPSHOT_DAMAGED, and CONFIG_MISMATCH for a snapshot that was made under other limits. */
export function restoreState(chunks: Iterable<Uint8Array>, limits: MetaLimits): State {
  const frames = new FrameReader(chunks);
  const restoring = new Restoring(new State(limits));
  for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
    restoring.take(frame);
    if (frame.isBad) throw damaged("an item is wrong", frames.position);
  }
  if (!restoring.isWhole) throw damaged("its end is missing, or its hash is another", frames.position);
  return restoring.state;
}

class Restoring {
  readonly state: State;
  readonly #values = new Values();
  readonly #content = new Digest();
  /** Sections never go back. */
  #section = 0;
  #lastKey = "";
  #lastLease = 0;
  #lastUsedAt = 0;
  #lastRevision = 0;
  #isWhole = false;

  constructor(state: State) {
    this.state = state;
  }

  /** True once the end was there and its hash is that of the state. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Takes in a frame; it is bad afterwards if anything is wrong with it. */
  take(frame: Reader): void {
    const section = frame.byte();
    const isFirst = this.#section === 0;
    const isOnce = section === SECTION.header || section === SECTION.end;
    if (isFirst !== (section === SECTION.header) || section < this.#section) frame.fail();
    if (isOnce && section === this.#section) frame.fail();
    this.#section = section;
    if (isOnce) {
      if (section === SECTION.header) this.#header(frame);
      else this.#end(frame);
      if (!frame.isAtEnd) frame.fail();
      return;
    }
    while (!frame.isAtEnd) this.#item(section, frame);
  }

  #item(section: number, frame: Reader): void {
    switch (section) {
      case SECTION.records:
        return this.#record(frame);
      case SECTION.leases:
        return this.#lease(frame);
      case SECTION.sessions:
        return this.#session(frame);
      case SECTION.answers:
        return this.#answer(frame);
      case SECTION.events:
        return this.#event(frame);
      default:
        return frame.fail();
    }
  }

  #header(frame: Reader): void {
    const version = frame.byte();
    if (version !== SNAPSHOT_VERSION) {
      throw damaged(`it has version ${version}, and ${SNAPSHOT_VERSION} is what is read`, 0);
    }
    const { state } = this;
    const made = LIMIT_NAMES.map((name) => [name, frame.varint()] as const);
    state.appliedIndex = frame.varint();
    state.appliedTerm = frame.varint();
    state.revision = frame.varint();
    state.history.compact(frame.varint());
    state.malformedCount = frame.varint();
    this.#lastRevision = state.history.compactedRevision;
    if (state.history.compactedRevision > state.revision || state.revision > state.appliedIndex) frame.fail();
    if (state.appliedIndex > COUNTER_MAX || state.appliedTerm > COUNTER_MAX) frame.fail();
    if (state.malformedCount > state.appliedIndex) frame.fail();
    if (!frame.isBad) requireLimits(made, state.limits);
  }

  #record(frame: Reader): void {
    const { state } = this;
    const read = readRecord(frame);
    const { key, createRevision, revision, version, lease } = read;
    if (key <= this.#lastKey || createRevision < 1) frame.fail();
    if (version < 1 || version > COUNTER_MAX) frame.fail();
    if (lease !== 0 && !state.leases.has(lease)) frame.fail();
    if (createRevision > revision || revision > state.revision) frame.fail();
    if (frame.isBad) return;
    this.#lastKey = key;
    const record: KeyValue = { ...read, value: this.#values.keep(read.value) };
    digestContent(this.#content, key, record.value);
    state.keys.put(record, this.#content);
    state.leases.attach(lease, key);
  }

  #lease(frame: Reader): void {
    const lease = frame.varint();
    const ttlMs = frame.varint();
    const renewal = frame.varint();
    const { leases, limits, appliedIndex } = this.state;
    if (lease <= this.#lastLease || ttlMs < 1 || renewal < 1 || renewal > appliedIndex) frame.fail();
    if (leases.size >= limits.leasesMax) frame.fail();
    if (frame.isBad) return;
    this.#lastLease = lease;
    leases.grant(lease, ttlMs, renewal);
  }

  #session(frame: Reader): void {
    const session = frame.varint();
    const usedAt = frame.varint();
    const floor = frame.varint();
    const { sessions, limits, appliedIndex } = this.state;
    if (usedAt <= this.#lastUsedAt || usedAt > appliedIndex) frame.fail();
    if (session < 1 || session > usedAt || floor < 1 || sessions.has(session)) frame.fail();
    if (sessions.size >= limits.sessionsMax) frame.fail();
    if (frame.isBad) return;
    this.#lastUsedAt = usedAt;
    sessions.restoreSession({ session, usedAt, floor });
  }

  #answer(frame: Reader): void {
    const session = frame.varint();
    const sequence = frame.varint();
    const bytes = frame.bytes();
    if (frame.isBad) return;
    const isKept =
      decodeOutcome(bytes) !== undefined &&
      sequence <= SEQUENCE_MAX &&
      this.state.sessions.restoreAnswer(session, sequence, new Uint8Array(bytes));
    if (!isKept) frame.fail();
  }

  #event(frame: Reader): void {
    const { history, revision: last, limits } = this.state;
    const kind = frame.byte();
    const key = frame.text();
    const value = this.#valueOf(kind, key, frame);
    const revision = frame.varint();
    const previousRevision = frame.varint();
    const isInOrder = revision > history.compactedRevision && revision >= this.#lastRevision;
    if (!isInOrder || revision > last || previousRevision > revision || key === "") frame.fail();
    if (history.count >= limits.historyEventsMax) frame.fail();
    if (frame.isBad) return;
    this.#lastRevision = revision;
    const type = kind === EVENT.delete ? "delete" : "put";
    const event: WatchEvent = { type, key, value, revision, previousRevision };
    digestContent(this.#content, key, value);
    history.append(event, this.#content);
    if (history.bytes > limits.historyBytesMax) frame.fail();
  }

  #valueOf(kind: number, key: string, frame: Reader): Uint8Array {
    if (kind === EVENT.put) return this.#values.keep(frame.bytes());
    const held = kind === EVENT.putAsHeld ? this.state.keys.get(key)?.value : NO_BYTES;
    if (held === undefined || (kind !== EVENT.putAsHeld && kind !== EVENT.delete)) frame.fail();
    return held ?? NO_BYTES;
  }

  #end(frame: Reader): void {
    const low = frame.word();
    const high = frame.word();
    const hash = this.state.hash();
    this.#isWhole = !frame.isBad && hash.low === low && hash.high === high;
  }
}

function requireLimits(made: readonly (readonly [keyof MetaLimits, number])[], limits: MetaLimits): void {
  const other = made.filter(([name, value]) => limits[name] !== value);
  if (other.length === 0) return;
  const differences = other.map(([name, value]) => `${name} ${value}, here ${limits[name]}`).join("; ");
  throw new CoterieError("CONFIG_MISMATCH", `the snapshot was made under other limits: ${differences}`, {
    details: { snapshot: Object.fromEntries(made), store: { ...limits } },
  });
}
