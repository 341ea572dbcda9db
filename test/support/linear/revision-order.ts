/**
 * Whether the revisions in the answers are the order of a history. Its one idea: if a store says at which
 * revision each answer was true, nothing has to be searched. Sorted by revision, a history is a log that
 * can be replayed, and it must agree with real time. It shares no code with the search and is linear but
 * for the sorting, so it sees what a search cannot afford: all keys at once, and the revisions themselves.
 * 1. Of each operation: no operation that was over before its call answered with a higher revision, and
 *    none with the same one if it changes something.
 * 2. No two commands have the same revision.
 * 3. Replayed by revision, each compare comes out as answered and each read is what the last write left.
 * A write of unknown outcome counts from when its value is seen, at the revision that was seen with it.
 * Such values must be unique; if they are not the verdict is "undecided". A write that nobody saw excuses
 * only what needs no value: that a key is absent, or there, or not what was expected. Answers without
 * revisions are left to the search.
 */
import { explain } from "./explain.ts";
import { byCall, type Operation, requireTimes, type Verdict } from "./history.ts";
import { describe, effectsOf, keysOf, type KeyValueOp } from "./key-value.ts";
import { type Found, Replay } from "./replay.ts";
import { type Entry, resolveUnknown } from "./resolve.ts";

export function checkRevisionOrder(operations: readonly Operation<KeyValueOp>[]): Verdict<KeyValueOp> {
  requireTimes(operations);
  const steps = operations.length;
  const entries = resolveUnknown(byCall(operations).map((at) => entryOf(operations[at]!)));
  if (typeof entries === "string") return { outcome: "undecided", steps, explanation: entries };
  const found = checkRealTime(entries) ?? new Replay(entries).run();
  if (found === undefined) return { outcome: "accepted", steps };
  const { operation } = found.entry;
  const explanation = explain({ describe, keysOf }, { operation, why: found.why, among: operations });
  return { outcome: "rejected", steps, operation, explanation };
}

function entryOf(operation: Operation<KeyValueOp>): Entry {
  const effects = effectsOf(operation);
  const { outcome, writes, revision } = effects;
  const isSure = operation.op.kind === "delete" || writes.some(({ value }) => value !== undefined);
  const isWrite = outcome === "done" && writes.length > 0;
  const kind = isWrite ? (isSure ? "change" : "maybe") : "none";
  return { operation, effects, revision, kind, seenBefore: 0 };
}

/** Rule 1, in one sweep over calls and returns; calls come first when times are equal. */
function checkRealTime(entries: readonly Entry[]): Found | undefined {
  const returns = entries
    .filter(
      ({ operation, revision, kind }) =>
        operation.returnedAt !== undefined && revision !== undefined && kind !== "late",
    )
    .toSorted((a, b) => a.operation.returnedAt! - b.operation.returnedAt!);
  let seen = 0;
  let seer: Entry | undefined;
  let next = 0;
  for (const entry of entries) {
    const { calledAt } = entry.operation;
    for (; next < returns.length && returns[next]!.operation.returnedAt! < calledAt; next++) {
      if (returns[next]!.revision! <= seen) continue;
      seen = returns[next]!.revision!;
      seer = returns[next];
    }
    entry.seenBefore = seen;
    const { revision, kind } = entry;
    if (revision === undefined || revision > seen) continue;
    const isChange = kind === "change" || kind === "late";
    if (revision === seen && (!isChange || seer === undefined)) continue;
    const { client, returnedAt } = seer!.operation;
    const how = isChange ? "above" : "at or above";
    const what = `client ${client} had answered @${seen} at ${returnedAt}, before the call`;
    return { entry, why: `its revision ${revision} is not ${how} ${seen}: ${what}` };
  }
  return undefined;
}
