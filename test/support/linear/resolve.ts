/**
 * Gives writes that were told no revision the one with which their values were seen. Its one idea: a
 * value is written once, so whoever read it read that write. If the reader was told the write's own
 * revision, that is it; if only the store's, the write happened then or before.
 */
import type { Operation } from "./history.ts";
import type { Effects, KeyValueOp, Value } from "./key-value.ts";

/** An operation, or one write of it, with what is known of its place in the log. */
export interface Entry {
  readonly operation: Operation<KeyValueOp>;
  readonly effects: Effects;
  /** undefined: nobody knows. */
  readonly revision: number | undefined;
  /**
   * "change": for certain, and `revision` is its own. "maybe": only deletes, perhaps of absent keys.
   * "late": one write that was seen at `revision`, and happened then or before. "none": changes nothing.
   */
  readonly kind: "change" | "maybe" | "late" | "none";
  /** The highest revision that was answered before the call. */
  seenBefore: number;
}

interface Sight {
  /** The write's own revision, if anybody was told. */
  own: number | undefined;
  /** The lowest revision of the store at which the value was read. */
  storeMin: number;
}

/**
 * The entries in the same order, with the revisions that were found out; a write that was seen late has an
 * entry more. A sentence instead if a value of unknown fate is written by several operations.
 */
export function resolveUnknown(entries: readonly Entry[]): readonly Entry[] | string {
  const untold = entries.filter(isUnplaced);
  if (untold.length === 0) return entries;
  const shared = sharedValue(entries, untold);
  if (shared !== undefined) return shared;
  const sights = sightsOf(entries);
  return entries.flatMap((entry) => (isUnplaced(entry) ? resolved(entry, sights) : [entry]));
}

/** Whether it wrote, or may have written, at a revision that nobody knows. */
export function isUnplaced({ effects, revision }: Entry): boolean {
  return revision === undefined && effects.writes.length > 0 && effects.outcome !== "refused";
}

function resolved(entry: Entry, sights: ReadonlyMap<string, Sight>): Entry[] {
  const { effects } = entry;
  const seen = effects.writes.flatMap((write) => {
    const sight = write.value === undefined ? undefined : sights.get(nameOf(write.key, write.value));
    return sight === undefined ? [] : [{ write, sight }];
  });
  const own = seen.find(({ sight }) => sight.own !== undefined)?.sight.own;
  if (own !== undefined) return [{ ...entry, revision: own, kind: "change" }];
  const late = seen.filter(({ sight }) => sight.storeMin !== Infinity);
  return [
    entry,
    ...late.map(({ write, sight }): Entry => {
      const part: Effects = { ...effects, reads: [], compares: [], writes: [write] };
      return { ...entry, effects: part, revision: sight.storeMin, kind: "late" };
    }),
  ];
}

function sharedValue(entries: readonly Entry[], untold: readonly Entry[]): string | undefined {
  const writers = new Map<string, number>();
  for (const { effects } of entries) {
    if (effects.outcome === "refused") continue;
    for (const { key, value } of effects.writes) {
      if (value === undefined) continue;
      const name = nameOf(key, value);
      writers.set(name, (writers.get(name) ?? 0) + 1);
    }
  }
  for (const { effects } of untold) {
    for (const { key, value } of effects.writes) {
      if (value === undefined || writers.get(nameOf(key, value)) === 1) continue;
      return `${key} = ${value} is written by several operations, and which of them happened is not known`;
    }
  }
  return undefined;
}

function sightsOf(entries: readonly Entry[]): Map<string, Sight> {
  const sights = new Map<string, Sight>();
  for (const { effects } of entries) {
    for (const { key, found } of effects.reads) {
      if (found === undefined) continue;
      const name = nameOf(key, found.value);
      let sight = sights.get(name);
      if (sight === undefined) sights.set(name, (sight = { own: undefined, storeMin: Infinity }));
      sight.own ??= found.revision;
      sight.storeMin = Math.min(sight.storeMin, effects.revision ?? Infinity);
    }
  }
  return sights;
}

/** One text for a value in a key; 1 and "1" are two values. */
export function nameOf(key: string, value: Value): string {
  return `${key.length} ${key} ${typeof value} ${value}`;
}
