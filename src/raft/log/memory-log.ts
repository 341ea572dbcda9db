/**
 * A peer's log in memory: what the core wrote, ready to be read back. It is the whole storage of a peer that
 * keeps nothing over a restart, and the part of a durable log that answers reads.
 */
import { invariant } from "../../invariant.ts";
import { type Config, EMPTY_CONFIG } from "../group/config.ts";
import { NOBODY } from "../message/message.ts";
import type { Ready } from "../ready.ts";
import { type Entry, limitBytes } from "./entry.ts";
import type { HardState, LogReader, StoredState } from "./reader.ts";
import type { Snapshot } from "./snapshot.ts";

const START: HardState = { term: 0, votedFor: NOBODY, commitIndex: 0 };

export class MemoryLog implements LogReader {
  #hardState: HardState = START;
  #snapshot: Snapshot | undefined;
  /** The members before the first snapshot. */
  readonly #firstConfig: Config;
  /** The entry before the first that is kept; a compaction moves it, and so does a snapshot that arrives. */
  #baseIndex = 0;
  #baseTerm = 0;
  #entries: Entry[] = [];

  /**
   * An empty log. With a configuration it is that of a group which never changes: whoever joined later would
   * not learn it from the log. A group that may grow is founded by `restore()` of a snapshot that names it.
   */
  constructor(config: Config = EMPTY_CONFIG) {
    this.#firstConfig = config;
  }

  /** What a peer starts from. */
  stored(): StoredState {
    return {
      hardState: this.#hardState,
      config: this.#snapshot?.config ?? this.#firstConfig,
      appliedIndex: this.#snapshot?.index ?? 0,
    };
  }

  firstIndex(): number {
    return this.#baseIndex + 1;
  }

  lastIndex(): number {
    return this.#baseIndex + this.#entries.length;
  }

  term(index: number): number | undefined {
    return index === this.#baseIndex ? this.#baseTerm : this.#entries[index - this.#baseIndex - 1]?.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    const isHere = from > this.#baseIndex && to <= this.lastIndex() + 1 && from < to;
    invariant(isHere, "entries are asked for that are here", {
      from,
      to,
      firstIndex: this.firstIndex(),
      lastIndex: this.lastIndex(),
    });
    const start = this.#baseIndex + 1;
    return limitBytes(this.#entries.slice(from - start, to - start), bytesMax);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Stores what a Ready wants stored. */
  write({ hardState, entries, snapshot }: Pick<Ready, "hardState" | "entries" | "snapshot">): void {
    if (snapshot !== undefined) this.restore(snapshot);
    if (entries.length > 0) this.append(entries);
    if (hardState !== undefined) this.#hardState = hardState;
  }

  /** Puts entries at their index; what stood there or above is gone. */
  append(entries: readonly Entry[]): void {
    const first = (entries[0] as Entry).index;
    const isNext = first > this.#baseIndex && first <= this.lastIndex() + 1;
    invariant(isNext, "entries are appended without a gap", {
      first,
      lastIndex: this.lastIndex(),
    });
    this.#entries.length = first - this.#baseIndex - 1;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** A snapshot that arrived takes the place of the log. */
  restore(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#baseIndex = snapshot.index;
    this.#baseTerm = snapshot.term;
    this.#entries = [];
  }

  /** A snapshot of the own state machine; the log stays until it is compacted. */
  keep(snapshot: Snapshot): void {
    const before = this.#snapshot?.index ?? 0;
    invariant(snapshot.index <= this.lastIndex() && snapshot.index >= before, "snapshots only go on", {
      index: snapshot.index,
      before,
      lastIndex: this.lastIndex(),
    });
    this.#snapshot = snapshot;
  }

  /** Forgets entries up to this index; a snapshot stands for them. */
  compact(index: number): void {
    const snapshot = this.#snapshot?.index ?? 0;
    invariant(index >= this.#baseIndex && index <= snapshot, "a snapshot covers what is forgotten", {
      index,
      firstIndex: this.firstIndex(),
      snapshot,
    });
    const term = this.term(index) as number;
    this.#entries = this.#entries.slice(index - this.#baseIndex);
    this.#baseIndex = index;
    this.#baseTerm = term;
  }
}
