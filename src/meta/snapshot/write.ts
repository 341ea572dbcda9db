/**
 * A snapshot of the state: all of it, the sessions with their answers and the events of the history
 * included, so that after a restore retries and watches go on as if nothing had happened. The same state
 * makes the same bytes, and its hash stands at the end.
 */
import { invariant } from "../../invariant.ts";
import { writeRecord } from "../codec/answer.ts";
import { LIMIT_NAMES } from "../options.ts";
import type { WatchEvent } from "../outcome.ts";
import type { State } from "../state/state.ts";
import { EVENT, FrameWriter, SECTION, SNAPSHOT_VERSION } from "./frames.ts";

/** Chunks of `chunkBytes`, the last one smaller. Throws INVARIANT if the state changes in between. */
export function* writeSnapshot(state: State, chunkBytes: number): Generator<Uint8Array> {
  const { appliedIndex } = state;
  const to = new FrameWriter(chunkBytes);
  for (const _ of items(state, to)) {
    for (const chunk of to.chunks()) {
      yield chunk;
      invariant(state.appliedIndex === appliedIndex, "a snapshot is taken of a state that stands still", {
        appliedIndex,
        found: state.appliedIndex,
      });
    }
  }
  yield* to.end();
}

/** Writes one item after the other, and stops after each. */
function* items(state: State, to: FrameWriter): Generator<undefined> {
  writeHeader(state, to);
  yield;
  for (const { lease, ttlMs, renewal } of [...state.leases.values()].toSorted((a, b) => a.lease - b.lease)) {
    to.item(SECTION.leases);
    to.out.varint(lease);
    to.out.varint(ttlMs);
    to.out.varint(renewal);
    yield;
  }
  for (const record of state.keys.records()) {
    to.item(SECTION.records);
    writeRecord(to.out, record);
    yield;
  }
  yield* sessions(state, to);
  for (let i = 0; i < state.history.count; i++) {
    writeEvent(state, to, state.history.at(i));
    yield;
  }
  const { low, high } = state.hash();
  to.item(SECTION.end);
  to.out.word(low);
  to.out.word(high);
  yield;
}

/**
 * The value of the put that a key's record came from is not written again. Which one that is, is the same on
 * all peers: a restored state shares such a value as well, and no other.
 */
function writeEvent(state: State, to: FrameWriter, event: WatchEvent): void {
  to.item(SECTION.events);
  const isHeld = event.type === "put" && state.keys.get(event.key)?.value === event.value;
  to.out.byte(isHeld ? EVENT.putAsHeld : EVENT[event.type]);
  to.out.text(event.key);
  if (event.type === "put" && !isHeld) to.out.bytes(event.value);
  to.out.varint(event.revision);
  to.out.varint(event.previousRevision);
}

function* sessions(state: State, to: FrameWriter): Generator<undefined> {
  for (const { session, usedAt, floor } of state.sessions.sessions()) {
    to.item(SECTION.sessions);
    to.out.varint(session);
    to.out.varint(usedAt);
    to.out.varint(floor);
    yield;
  }
  for (const { session } of state.sessions.sessions()) {
    for (const [sequence, { bytes }] of state.sessions.answersOf(session)) {
      to.item(SECTION.answers);
      to.out.varint(session);
      to.out.varint(sequence);
      to.out.bytes(bytes);
      yield;
    }
  }
}

function writeHeader(state: State, to: FrameWriter): void {
  to.item(SECTION.header);
  to.out.byte(SNAPSHOT_VERSION);
  for (const name of LIMIT_NAMES) to.out.varint(state.limits[name]);
  to.out.varint(state.appliedIndex);
  to.out.varint(state.appliedTerm);
  to.out.varint(state.revision);
  to.out.varint(state.history.compactedRevision);
  to.out.varint(state.malformedCount);
}
