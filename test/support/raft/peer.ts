/**
 * One peer of a transcript: the real core, a log in memory and a state machine that is the list of the
 * commands applied. Whatever it does is one line. A Ready is seen to at once; with `overlapsWrites` its
 * write and its entries wait until a command of the transcript finishes them.
 */
import type { Random } from "../../../src/env/index.ts";
import {
  type Config,
  type Entry,
  type Message,
  Raft,
  type RaftOptions,
  type Ready,
  type Snapshot,
} from "../../../src/raft/index.ts";
import { MemoryLog } from "../../../src/raft/log/memory-log.ts";
import { describeConfig, describeEntries, describeEntry, describeRole, idOf, textOf } from "./describe.ts";

export type PeerOptions = Omit<RaftOptions, "peerId" | "random">;

export interface Surroundings {
  say(line: string): void;
  send(message: Message): void;
}

const ENCODER = new TextEncoder();
const NOTHING = new Uint8Array(0);

export class ScenarioPeer {
  readonly id: number;
  readonly #options: PeerOptions;
  readonly #around: Surroundings;
  readonly #log: MemoryLog;
  #core: Raft | undefined;
  #lives = 0;
  #state: string[] = [];
  #writes: Ready[] = [];
  #applies: (readonly Entry[])[] = [];

  constructor(id: number, founders: Config | undefined, options: PeerOptions, around: Surroundings) {
    this.id = id;
    this.#options = options;
    this.#around = around;
    this.#log = new MemoryLog();
    // The group is founded on a snapshot, so that whoever joins later learns who founded it.
    if (founders !== undefined) this.#log.restore({ index: 1, term: 1, config: founders, parts: [NOTHING] });
    this.#core = this.#start();
  }

  /** Undefined while it is down. */
  get core(): Raft | undefined {
    return this.#core;
  }

  get entries(): readonly Entry[] {
    const [first, last] = [this.#log.firstIndex(), this.#log.lastIndex()];
    return last < first ? [] : this.#log.entries(first, last + 1, Infinity);
  }

  get hasWrite(): boolean {
    return this.#writes.length > 0;
  }

  get hasApply(): boolean {
    return this.#applies.length > 0;
  }

  /** Sees to all that the core wants done. */
  handleReady(core: Raft): void {
    if (!core.hasReady()) {
      this.#say("has nothing to do");
      return;
    }
    const ready = core.ready();
    const { roleChange, messages, reads, refusedReads, refusedProposals } = ready;
    if (roleChange !== undefined) {
      this.#say(`is ${describeRole(roleChange.role, roleChange.term, roleChange.leader)}`);
    }
    for (const message of messages) this.#around.send(message);
    if (this.#options.overlapsWrites === true) this.#queue(ready);
    else this.#finish(core, ready);
    for (const { context, index } of reads) this.#say(`may answer read ${context} at index ${index}`);
    for (const context of refusedReads) this.#say(`refuses read ${context}`);
    for (const context of refusedProposals) this.#say(`learns that proposal ${context} was refused`);
  }

  /** The oldest write reaches the disk. */
  persist(core: Raft): void {
    const ready = this.#writes.shift();
    if (ready === undefined) {
      this.#say("has no write under way");
      return;
    }
    this.#say(`ends write ${ready.write}`);
    this.#store(ready);
    core.persisted(ready.write);
  }

  /** The oldest batch is applied. */
  apply(core: Raft): void {
    const entries = this.#applies.shift();
    if (entries === undefined) this.#say("has nothing to apply");
    else this.#applyAll(core, entries);
  }

  /** A snapshot of the state, in so many parts. */
  snapshot(core: Raft, parts: number): void {
    const index = core.appliedIndex;
    const snapshot: Snapshot = {
      index,
      term: this.#log.term(index) ?? 0,
      config: core.config,
      parts: cut(this.#state.join(" "), parts),
    };
    this.#log.keep(snapshot);
    const size = parts === 1 ? "" : ` in ${parts} parts`;
    this.#say(`keeps a snapshot of ${idOf(snapshot.index, snapshot.term)}${size}`);
  }

  /** Up to the snapshot, when no index is given. */
  compact(index: number = this.#log.snapshot()?.index ?? 0): void {
    this.#log.compact(index);
    this.#say(`forgets its log up to ${index}`);
  }

  /** What was not on the disk is gone. */
  crash(): void {
    this.#core = undefined;
    this.#writes = [];
    this.#applies = [];
    this.#say("is down");
  }

  restart(): void {
    this.#core = this.#start();
    const { hardState } = this.#log.stored();
    const { term, votedFor, commitIndex } = hardState;
    const last = this.#log.lastIndex();
    this.#say(`starts with term ${term}, vote ${votedFor}, commit ${commitIndex}, last entry ${last}`);
  }

  #start(): Raft {
    const random = drawsOf(this.id, this.#lives);
    this.#lives += 1;
    const stored = this.#log.stored();
    this.#state = stateOf(this.#log.snapshot());
    return new Raft({ ...this.#options, peerId: this.id, random }, this.#log, stored);
  }

  #finish(core: Raft, ready: Ready): void {
    if (ready.write > 0) {
      const what = describeWrite(ready);
      if (what !== "") this.#say(`writes ${what}`);
      this.#store(ready);
    }
    const { committed } = ready;
    if (committed.length > 0) this.#applyEntries(core, committed);
    core.advance(ready);
  }

  #queue(ready: Ready): void {
    if (ready.write > 0) {
      const what = describeWrite(ready);
      const waiting = ready.messagesAfterSync.length;
      const noun = waiting === 1 ? "message waits" : "messages wait";
      const after = waiting === 0 ? "" : `, ${waiting} ${noun}`;
      this.#say(`begins write ${ready.write}: ${what === "" ? "nothing" : what}${after}`);
      this.#writes.push(ready);
    }
    if (ready.committed.length > 0) {
      this.#say(`is given ${describeEntries(ready.committed)} to apply`);
      this.#applies.push(ready.committed);
    }
  }

  #store(ready: Ready): void {
    this.#log.write(ready);
    if (ready.snapshot !== undefined) {
      this.#state = stateOf(ready.snapshot);
      this.#say(`restores the state ${JSON.stringify(this.#state.join(" "))}`);
    }
    for (const message of ready.messagesAfterSync) this.#around.send(message);
  }

  #applyAll(core: Raft, entries: readonly Entry[]): void {
    this.#applyEntries(core, entries);
    core.applied((entries[entries.length - 1] as Entry).index);
  }

  #applyEntries(core: Raft, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === "config") {
        const config = core.applyChange(entry);
        this.#say(`applies ${describeEntry(entry)}: ${describeConfig(config)}`);
      } else {
        if (entry.data.length > 0) this.#state.push(textOf(entry.data));
        this.#say(`applies ${describeEntry(entry)}`);
      }
    }
  }

  #say(what: string): void {
    this.#around.say(`${this.id} ${what}`);
  }
}

function describeWrite({ hardState, entries, snapshot }: Ready): string {
  const parts: string[] = [];
  if (hardState !== undefined) {
    const { term, votedFor, commitIndex } = hardState;
    parts.push(`term ${term}, vote ${votedFor}, commit ${commitIndex}`);
  }
  if (snapshot !== undefined) {
    const { index, term, config } = snapshot;
    parts.push(`snapshot of ${idOf(index, term)}, ${describeConfig(config)}`);
  }
  if (entries.length > 0) parts.push(describeEntries(entries));
  return parts.join("; ");
}

function stateOf(snapshot: Snapshot | undefined): string[] {
  const text = (snapshot?.parts ?? []).map((part) => textOf(part)).join("");
  return text === "" ? [] : text.split(" ");
}

function cut(text: string, parts: number): readonly Uint8Array[] {
  const size = Math.ceil(text.length / parts);
  return Array.from({ length: parts }, (_, at) => ENCODER.encode(text.slice(at * size, (at + 1) * size)));
}

/** No chance: peers time out in the order of their ids, and no life of a peer reuses ids of another. */
function drawsOf(peerId: number, lives: number): Random {
  return {
    below: (n) => (n === 2 ** 32 ? lives : (peerId - 1) % n),
    fraction: () => 0,
    hex: (bytes) => "00".repeat(bytes),
  };
}
