/**
 * Replays a history by its revisions: rules 2 and 3 of `revision-order.ts`. Its one idea: one map from
 * keys to what is there, and a pass over the operations: at each revision first what changes the store,
 * then what was seen late, then what changes nothing. Where a write that nobody saw may explain an answer,
 * the answer is believed and the map follows it.
 */
import type { Compare, Expected, Found as FoundValue } from "./key-value.ts";
import { type Entry, isUnplaced, nameOf } from "./resolve.ts";

/** The first entry that does not fit. */
export interface Found {
  readonly entry: Entry;
  readonly why: string;
}

/** What a key holds; `revision` 0: not known. */
interface Cell {
  readonly value: string | number;
  readonly revision: number;
}

/** Some write that nobody saw was here: no named value, perhaps nothing at all. */
const UNSURE = "unsure";

const RANKS = { change: 0, maybe: 1, late: 2, none: 3 };

export class Replay {
  readonly #log: readonly Entry[];
  readonly #cells = new Map<string, Cell | typeof UNSURE>();
  /** Of each key, from above which revision on a write that nobody saw may be there, or have deleted it. */
  readonly #mayBeThere = new Map<string, number>();
  readonly #mayBeGone = new Map<string, number>();
  /** The same of values that are expected by a compare, and that no read has shown. */
  readonly #mayBeValue = new Map<string, number>();
  #changedAt = 0;
  #changer: Entry | undefined;

  constructor(entries: readonly Entry[]) {
    for (const entry of entries) if (isUnplaced(entry)) this.#excuse(entry);
    this.#log = entries
      .filter(({ revision }) => revision !== undefined)
      .toSorted((a, b) => a.revision! - b.revision! || RANKS[a.kind] - RANKS[b.kind]);
  }

  run(): Found | undefined {
    for (let at = 0; at < this.#log.length;) {
      const group = this.#groupAt(at);
      const found = group.length > 1 ? this.#applyInSomeOrder(group) : this.#applyAll(group);
      if (found !== undefined) return found;
      at += group.length;
    }
    return undefined;
  }

  /** One entry; or several that only delete and have one revision: at most one of them changed anything. */
  #groupAt(at: number): readonly Entry[] {
    const first = this.#log[at]!;
    let end = at + 1;
    if (first.kind === "maybe") {
      while (this.#log[end]?.kind === "maybe" && this.#log[end]!.revision === first.revision) end++;
    }
    return this.#log.slice(at, end);
  }

  /** What changed something came first, the others in any order. */
  #applyInSomeOrder(group: readonly Entry[]): Found | undefined {
    const before = [...this.#cells];
    const [changedAt, changer] = [this.#changedAt, this.#changer];
    let found: Found | undefined;
    for (const first of group) {
      found = this.#applyAll([first, ...group.filter((entry) => entry !== first)]);
      if (found === undefined) return undefined;
      this.#cells.clear();
      for (const [key, cell] of before) this.#cells.set(key, cell);
      this.#changedAt = changedAt;
      this.#changer = changer;
    }
    return found;
  }

  #applyAll(entries: readonly Entry[]): Found | undefined {
    for (const entry of entries) {
      const why = this.#apply(entry);
      if (why !== undefined) return { entry, why };
    }
    return undefined;
  }

  /** Why the entry does not fit, or undefined. */
  #apply(entry: Entry): string | undefined {
    const { effects, kind } = entry;
    const revision = entry.revision!;
    if (effects.outcome === "impossible") return "no store answers so";
    const why =
      effects.outcome === "refused"
        ? this.#requireRefusal(effects.compares, revision)
        : this.#requireAll(effects.compares, revision);
    if (why !== undefined) return why;
    for (const { key, found } of effects.reads) {
      const whyNot = this.#read(key, found, revision);
      if (whyNot !== undefined) return whyNot;
    }
    return kind === "none" ? undefined : this.#write(entry, revision);
  }

  #twice(revision: number): string {
    return `client ${this.#changer?.operation.client} has changed something at revision ${revision} already`;
  }

  #write(entry: Entry, revision: number): string | undefined {
    const { effects, kind } = entry;
    const isSure =
      kind === "change" ||
      (kind === "maybe" && effects.writes.some(({ key }) => this.#isSurelyThere(key, revision)));
    if (isSure && revision === this.#changedAt) return this.#twice(revision);
    for (const { key, value } of effects.writes) {
      if (value === undefined) this.#cells.delete(key);
      else this.#cells.set(key, { value, revision: kind === "late" ? 0 : revision });
    }
    if (isSure) {
      this.#changedAt = revision;
      this.#changer = entry;
    }
    return undefined;
  }

  #isSurelyThere(key: string, revision: number): boolean {
    const cell = this.#cells.get(key);
    return cell !== undefined && cell !== UNSURE && !this.#isExcused(this.#mayBeGone, key, revision);
  }

  #read(key: string, found: FoundValue | undefined, revision: number): string | undefined {
    const cell = this.#cells.get(key);
    if (found === undefined) {
      if (cell === undefined || cell === UNSURE || this.#isExcused(this.#mayBeGone, key, revision)) {
        this.#cells.delete(key);
        return undefined;
      }
      return `${key} is ${textOf(cell)} at revision ${revision}`;
    }
    const isSame =
      cell !== undefined &&
      cell !== UNSURE &&
      cell.value === found.value &&
      (found.revision === undefined || cell.revision === 0 || cell.revision === found.revision);
    return isSame ? undefined : `${key} is ${textOf(cell)} at revision ${revision}`;
  }

  #requireAll(compares: readonly Compare[], revision: number): string | undefined {
    for (const compare of compares) {
      const cell = this.#cells.get(compare.key);
      if (this.#holds(compare, cell) !== false || this.#mayHold(compare, revision)) continue;
      return `${compare.key} is ${textOf(cell)} before revision ${revision}`;
    }
    return undefined;
  }

  #requireRefusal(compares: readonly Compare[], revision: number): string | undefined {
    if (compares.some((compare) => this.#holds(compare, this.#cells.get(compare.key)) !== true))
      return undefined;
    const suspects = compares.filter((compare) => this.#mayFail(compare, revision));
    if (suspects.length === 0) return `all that it compares holds at revision ${revision}`;
    // With several nobody knows which; with one it was.
    if (suspects.length === 1) this.#cells.set(suspects[0]!.key, UNSURE);
    return undefined;
  }

  /** undefined: it is not known. */
  #holds({ expected }: Compare, cell: Cell | typeof UNSURE | undefined): boolean | undefined {
    if (cell === UNSURE) return undefined;
    if (isAbsence(expected)) return cell === undefined;
    if (cell === undefined) return false;
    if (expected === "present") return true;
    if ("value" in expected) return cell.value === expected.value;
    return cell.revision === 0 ? undefined : cell.revision === expected.revision;
  }

  /** Whether a write that nobody saw may have made a compare hold that does not. */
  #mayHold({ key, expected }: Compare, revision: number): boolean {
    if (isAbsence(expected)) return this.#isExcused(this.#mayBeGone, key, revision);
    if (expected === "present" || "revision" in expected) {
      return this.#isExcused(this.#mayBeThere, key, revision);
    }
    return this.#isExcused(this.#mayBeValue, nameOf(key, expected.value), revision);
  }

  /** Whether a write that nobody saw may have made a compare fail that holds. */
  #mayFail({ key, expected }: Compare, revision: number): boolean {
    const isThere = expected !== "present" && this.#isExcused(this.#mayBeThere, key, revision);
    return isThere || (!isAbsence(expected) && this.#isExcused(this.#mayBeGone, key, revision));
  }

  #isExcused(from: ReadonlyMap<string, number>, name: string, revision: number): boolean {
    const above = from.get(name);
    return above !== undefined && above < revision;
  }

  #excuse({ effects, seenBefore }: Entry): void {
    const lower = (of: Map<string, number>, name: string) =>
      of.set(name, Math.min(of.get(name) ?? Infinity, seenBefore));
    for (const { key, value } of effects.writes) {
      lower(value === undefined ? this.#mayBeGone : this.#mayBeThere, key);
      if (value !== undefined) lower(this.#mayBeValue, nameOf(key, value));
    }
  }
}

function isAbsence(expected: Expected): expected is "absent" {
  return (
    expected === "absent" || (expected !== "present" && "revision" in expected && expected.revision === 0)
  );
}

function textOf(cell: Cell | typeof UNSURE | undefined): string {
  if (cell === undefined) return "absent";
  if (cell === UNSURE) return "what a write of unknown outcome left";
  return cell.revision === 0 ? `${cell.value}` : `${cell.value} of @${cell.revision}`;
}
