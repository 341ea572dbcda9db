/** The store does what its slow twin does, and its hash says so; fast-check looks for where not. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import {
  type Command,
  decodeCommand,
  encodeCommand,
  MetaStore,
  type Outcome,
} from "../../../src/meta/index.ts";
import { aimAt, anyCommand, applyData } from "../../support/meta-entries.ts";
import { SlowMeta } from "../../support/slow-meta.ts";

/** Small, so that every bound is reached. */
const LIMITS = {
  historyEventsMax: 12, historyBytesMax: 900, leasesMax: 4, sessionsMax: 3, sessionAnswersMax: 3,
  answersBytesMax: 1_000_000,
};

type Step =
  | { readonly command: Command; readonly isAimed: boolean }
  | { readonly data: Uint8Array }
  | { readonly chunkBytes: number };

const mostly = fc.nat(5).map((drawn) => drawn > 0);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ command: anyCommand, isAimed: mostly }) },
  { weight: 1, arbitrary: fc.record({ data: fc.uint8Array({ minLength: 1, maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ chunkBytes: fc.integer({ min: 1, max: 300 }) }) },
);
const run = fc.record({
  steps: fc.array(step, { minLength: 10, maxLength: 120, size: "max" }),
  secondTermAt: fc.nat(120),
});

function commandIn(data: Uint8Array): Command | undefined {
  try {
    return decodeCommand(data);
  } catch {
    return undefined;
  }
}

function aimed(
  { command, isAimed }: Extract<Step,
  { command: Command }>,
  store: MetaStore,
  term: number,
): Command {
  return isAimed ? aimAt(store, command, term) : command;
}

/** All that can be read of a store, and of its twin. */
function readStore(store: MetaStore): unknown {
  return {
    records: store.range({ prefix: "" }).records,
    events: store.eventsSince(store.compactedRevision).events,
    leases: [...store.leases()]
      .toSorted((a, b) => a.lease - b.lease)
      .map((lease) => ({ ...lease, keys: store.leaseKeys(lease.lease) })),
    sessions: Array.from({ length: 200 }, (_, at) => at).filter((session) => store.hasSession(session)),
    counts: [
      store.revision,
      store.compactedRevision,
      store.malformedCount,
      store.answerCount,
      store.keyCount,
    ],
  };
}

function readTwin(twin: SlowMeta): unknown {
  const answerCount = twin.sessions.reduce((sum, { answers }) => sum + answers.length, 0);
  return {
    records: twin.list({ prefix: "" }),
    events: twin.events,
    leases: twin.leases.toSorted((a, b) => a.lease - b.lease).map((lease) => {
      const keys = twin.leaseKeys(lease.lease);
      return { ...lease, keyCount: keys.length, keys };
    }),
    sessions: twin.sessions.map(({ session }) => session).toSorted((a, b) => a - b),
    counts: [twin.revision, twin.compactedRevision, twin.malformedCount, answerCount, twin.records.length],
  };
}

/** A store that is restored now and then, one that never is, and their twin. */
class Trio {
  store = new MetaStore(LIMITS);
  readonly unrestored = new MetaStore(LIMITS);
  readonly twin = new SlowMeta(LIMITS);

  /** What the store and the twin make of the step; the store's bytes are used again at once. */
  take(taken: Exclude<Step, { chunkBytes: number }>, term: number): [Outcome, Outcome] {
    const { store } = this;
    const command = "data" in taken ? commandIn(taken.data) : aimed(taken, store, term);
    const data = "data" in taken ? taken.data : encodeCommand(command!);
    const index = store.appliedIndex + 1;
    const given = Buffer.from(data);
    const outcome = applyData(store, given, term);
    given.fill(0xee);
    applyData(this.unrestored, data, term);
    const badAt = outcome.refusal?.code === "MALFORMED" ? outcome.refusal.received : 0;
    return [outcome, this.twin.apply(command, index, term, data.length, badAt)];
  }
}

test("R11 and R12: a store does what its slow twin does, before and after each restore", () => {
  fc.assert(
    fc.property(fc.limitShrink(run, 500), ({ steps, secondTermAt }) => {
      const trio = new Trio();
      for (const [at, each] of steps.entries()) {
        const { store } = trio;
        if ("chunkBytes" in each) {
          trio.store = MetaStore.restore(store.snapshot(each), LIMITS);
          continue;
        }
        const [outcome, expected] = trio.take(each, at < secondTermAt ? 1 : 2);

        expect(outcome).toEqual(expected);
        expect(readStore(store)).toEqual(readTwin(trio.twin));
        expect([store.hash(), store.hashFully()]).toEqual(Array(2).fill(trio.unrestored.hash()));
      }
      const [snapshot, unrestored] = [trio.store, trio.unrestored].map((store) => [...store.snapshot()]);
      expect(Buffer.concat(snapshot!).equals(Buffer.concat(unrestored!))).toBe(true);
    }),
    { numRuns: 120 },
  );
});

test("R11 and R12: whose answers are forgotten is the same on a peer that was restored", () => {
  const limits = { ...LIMITS, sessionsMax: 12, answersBytesMax: 1_000 };
  fc.assert(
    fc.property(fc.limitShrink(run, 500), ({ steps }) => {
      let store = new MetaStore(limits);
      const unrestored = new MetaStore(limits);
      for (const each of steps) {
        if ("chunkBytes" in each) {
          store = MetaStore.restore(store.snapshot(each), limits);
          continue;
        }
        const data = "data" in each ? each.data : encodeCommand(aimed(each, store, 1));

        expect(applyData(store, data)).toEqual(applyData(unrestored, data));
        expect([store.hash(), store.hashFully()]).toEqual(Array(2).fill(unrestored.hash()));
      }
    }),
    { numRuns: 120 },
  );
});

test("what is decoded is what was encoded, and is encoded the same again", () => {
  fc.assert(
    fc.property(anyCommand, (command) => {
      const encoded = encodeCommand(command);

      expect(decodeCommand(encoded)).toEqual(command);
      expect(encodeCommand(decodeCommand(encoded))).toEqual(encoded);
    }),
    { numRuns: 2_000 },
  );
});
