/**
 * A peer of the simulation: the real core and the real state machine, driven as a real peer drives them.
 * It can crash, pause and come back; while it pauses, everything that reaches it waits at its door.
 */
import {
  type Command,
  encodeCommand,
  LeaseClock,
  MetaStore,
  type MetaStoreOptions,
  type Outcome,
} from "../../src/meta/index.ts";
import {
  type Entry,
  type Message,
  MESSAGE_TYPES,
  Raft,
  type Ready,
  type RaftOptions,
  type Snapshot,
} from "../../src/raft/index.ts";
import type { Checks } from "./checks.ts";
import type { Disk } from "./disk.ts";
import type { World } from "./world.ts";

export interface PeerPlan {
  readonly raft: Omit<RaftOptions, "peerId" | "random">;
  readonly store: MetaStoreOptions;
  readonly tickMs: number;
  /** A snapshot is made after so many applied entries, and so many entries are kept before it. */
  readonly snapshotEntries: number;
  readonly keptEntries: number;
  readonly snapshotPartBytes: number;
  /** How long the state machine takes for a batch, when writes overlap. */
  readonly applyMs: readonly [low: number, high: number];
}

/** What a peer has of the simulation around it. */
export interface Surroundings {
  readonly world: World;
  readonly checks: Checks;
  send(message: Message): void;
  /** The group's configuration changed here. */
  configured(peer: SimPeer): void;
  /** This peer leads now. */
  elected(peer: SimPeer): void;
}

/**
 * Told how a command ended: applied with this outcome, refused here and so surely never, or refused by a
 * leader that may have taken another copy, since the network repeats.
 */
export type CommandDone = (outcome: Outcome | "refused" | "refusedElsewhere") => void;
/** Told the store that may be read now, or that it may not. */
export type ReadDone = (store: MetaStore | "refused") => void;

interface PendingRead {
  readonly index: number;
  readonly done: ReadDone;
}

type State = "up" | "down" | "paused";

/** More Readys than this from one event, and the core asks for the same again and again. */
const READYS_MAX = 10_000;

export class SimPeer {
  readonly id: number;
  readonly disk: Disk;
  readonly #plan: PeerPlan;
  readonly #around: Surroundings;
  #state: State = "down";
  #raft!: Raft;
  #store!: MetaStore;
  #leases!: LeaseClock;
  /** Grows with each start: what an earlier life ordered is void. */
  #life = 0;
  #isWriting = false;
  #applyBusyUntilMs = 0;
  #snapshotIndex = 0;
  #pauses = 0;
  #door: (() => void)[] = [];
  #nextContext = 1;
  readonly #reads = new Map<number, ReadDone>();
  #confirmed: PendingRead[] = [];
  /** Commands whose clients wait at this peer, by their very bytes. */
  readonly #commands = new Map<Uint8Array, CommandDone>();
  readonly #forwards = new Map<number, readonly Uint8Array[]>();

  constructor(id: number, disk: Disk, plan: PeerPlan, around: Surroundings) {
    this.id = id;
    this.disk = disk;
    this.#plan = plan;
    this.#around = around;
  }

  get state(): State {
    return this.#state;
  }

  get raft(): Raft {
    return this.#raft;
  }

  get store(): MetaStore {
    return this.#store;
  }

  start(): void {
    const { world, checks } = this.#around;
    this.#life += 1;
    const stored = this.disk.stored();
    const snapshot = this.disk.log.snapshot();
    this.#restore(snapshot);
    this.#snapshotIndex = snapshot?.index ?? 0;
    this.#isWriting = false;
    this.#applyBusyUntilMs = 0;
    this.#nextContext = 1;
    this.#raft = new Raft(
      { ...this.#plan.raft, peerId: this.id, random: world.random },
      this.disk.log,
      stored,
    );
    this.#state = "up";
    world.note(1, this.id, this.#life, () => `peer ${this.id} starts: term ${stored.hardState.term}`);
    checks.started(this, stored.hardState);
    const life = this.#life;
    const { tickMs } = this.#plan;
    const tick = () => {
      if (life !== this.#life) return;
      // A paused peer's timer fires once when it goes on.
      if (this.#state === "up") this.#act(() => this.#tick());
      world.after(tickMs, tick);
    };
    world.after(world.between(1, tickMs), tick);
    this.#pump();
  }

  crash(): void {
    if (this.#state === "down") return;
    this.#around.world.note(2, this.id, 0, () => `peer ${this.id} crashes`);
    this.#state = "down";
    this.#life += 1;
    this.#pauses = 0;
    this.#door = [];
    this.disk.crash();
    this.#reads.clear();
    this.#confirmed = [];
    this.#commands.clear();
    this.#forwards.clear();
  }

  pause(): void {
    if (this.#state === "down") return;
    this.#pauses += 1;
    this.#state = "paused";
    this.#around.world.note(3, this.id, this.#pauses, () => `peer ${this.id} pauses`);
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#pauses -= 1;
    if (this.#pauses > 0) return;
    this.#state = "up";
    this.#around.world.note(4, this.id, this.#door.length, () => `peer ${this.id} goes on`);
    const waiting = this.#door;
    this.#door = [];
    for (const act of waiting) this.#act(act);
  }

  receive(message: Message): void {
    this.#act(() => {
      this.#around.world.note(5, this.id * 64 + message.from, numberOf(message), () => lineOf(message));
      const refusal = this.#raft.step(message);
      this.#around.checks.stepped(this, message, refusal);
    });
  }

  /** A client's command arrives. Without a stamp it is not forwarded: a network could repeat it. */
  command(data: Uint8Array, isStamped: boolean, done: CommandDone): void {
    this.#act(() => {
      if (!isStamped && this.#raft.role !== "leader") {
        done("refused");
        return;
      }
      const proposed = this.#raft.propose([data]);
      if (proposed.outcome === "refused") {
        done("refused");
        return;
      }
      this.#commands.set(data, done);
      if (proposed.outcome === "forwarded") this.#forwards.set(proposed.context, [data]);
    });
  }

  /** A client wants to read. */
  read(done: ReadDone): void {
    this.#act(() => {
      const context = this.#nextContext;
      this.#nextContext += 1;
      if (this.#raft.readIndex(context) === undefined) this.#reads.set(context, done);
      else done("refused");
    });
  }

  /** An operator's order, done if the peer is up. */
  order(act: (raft: Raft) => void): void {
    this.#act(() => act(this.#raft));
  }

  #act(act: () => void): void {
    if (this.#state === "down") return;
    if (this.#state === "paused") {
      this.#door.push(() => act());
      return;
    }
    act();
    this.#pump();
  }

  #tick(): void {
    this.#raft.tick();
    if (this.#raft.role !== "leader") return;
    const { term } = this.#raft;
    for (const { lease, renewal } of this.#leases.due(this.#around.world.nowMs, 8)) {
      const command: Command = { type: "expireLease", lease, term, renewal };
      this.#raft.propose([encodeCommand(command)]);
    }
  }

  #pump(): void {
    const overlaps = this.#plan.raft.overlapsWrites === true;
    let rounds = 0;
    while (this.#state === "up" && !this.#isWriting && this.#raft.hasReady()) {
      rounds += 1;
      if (rounds > READYS_MAX) throw new Error(`peer ${this.id} has ${READYS_MAX} Readys in a row`);
      const ready = this.#raft.ready();
      this.#around.checks.ready(this, ready, overlaps);
      for (const message of ready.messages) {
        this.#around.checks.promised(this, message);
        this.#around.send(message);
      }
      if (ready.roleChange !== undefined) this.#changeRole(ready.roleChange);
      for (const { context, index } of ready.reads) this.#confirm(context, index);
      for (const context of ready.refusedReads) this.#takeRead(context)?.("refused");
      for (const context of ready.refusedProposals) this.#refuse(context);
      if (overlaps) this.#applyLater(ready.committed);
      else if (ready.write === 0) this.#apply(ready.committed);
      if (ready.write > 0) {
        this.#isWriting = !overlaps;
        this.#write(ready, overlaps);
      }
      this.#answerReads();
    }
  }

  #write(ready: Ready, overlaps: boolean): void {
    const life = this.#life;
    this.disk.write(ready, ready.mustSync, (isOn) => {
      if (life !== this.#life) return;
      if (!isOn) {
        // Whether it is on the disk is not known any more: the sync is never tried again.
        this.crash();
        return;
      }
      this.#act(() => this.#written(ready, overlaps));
    });
  }

  #written(ready: Ready, overlaps: boolean): void {
    this.#around.checks.persisted(this, ready);
    for (const message of ready.messagesAfterSync) {
      this.#around.checks.promised(this, message);
      this.#around.send(message);
    }
    if (ready.snapshot !== undefined) {
      this.#restore(ready.snapshot);
      this.#snapshotIndex = ready.snapshot.index;
      this.#around.checks.restored(this, ready.snapshot, this.#store);
    }
    this.#isWriting = false;
    this.#raft.persisted(ready.write);
    this.#around.checks.counted(this);
    if (ready.snapshot !== undefined) this.#around.configured(this);
    if (!overlaps) this.#apply(ready.committed);
    this.#answerReads();
  }

  /** The state machine works beside the disk, one batch after the other. */
  #applyLater(committed: readonly Entry[]): void {
    if (committed.length === 0) return;
    const { world } = this.#around;
    const life = this.#life;
    const [low, high] = this.#plan.applyMs;
    this.#applyBusyUntilMs = Math.max(this.#applyBusyUntilMs, world.nowMs) + world.between(low, high);
    world.after(this.#applyBusyUntilMs - world.nowMs, () => {
      if (life !== this.#life) return;
      this.#act(() => {
        this.#apply(committed);
        this.#answerReads();
      });
    });
  }

  #apply(committed: readonly Entry[]): void {
    const last = committed[committed.length - 1];
    if (last === undefined) return;
    const { checks } = this.#around;
    for (const entry of committed) {
      // A snapshot may have overtaken a batch that waited.
      if (entry.index <= this.#store.appliedIndex) continue;
      const outcome = this.#store.apply(entry.kind === "config" ? asNothing(entry) : entry);
      this.#leases.note(outcome, this.#around.world.nowMs);
      checks.applied(this, entry, outcome, this.#around.world);
      if (entry.kind === "config") {
        this.#raft.applyChange(entry);
        checks.counted(this);
        this.#around.configured(this);
      }
      const done = this.#commands.get(entry.data);
      if (done === undefined) continue;
      this.#commands.delete(entry.data);
      done(outcome);
    }
    this.#raft.applied(last.index);
    this.#maybeSnapshot();
  }

  #maybeSnapshot(): void {
    const { appliedIndex, appliedTerm } = this.#store;
    if (appliedIndex - this.#snapshotIndex < this.#plan.snapshotEntries) return;
    if (appliedIndex > this.disk.log.lastIndex()) return;
    this.#snapshotIndex = appliedIndex;
    const parts = [...this.#store.snapshot({ chunkBytes: this.#plan.snapshotPartBytes })];
    const snapshot: Snapshot = { index: appliedIndex, term: appliedTerm, config: this.#raft.config, parts };
    this.#around.world.note(6, this.id, appliedIndex, () => `peer ${this.id} snapshots at ${appliedIndex}`);
    this.disk.compact(snapshot, this.#plan.keptEntries);
  }

  #restore(snapshot: Snapshot | undefined): void {
    this.#store =
      snapshot === undefined
        ? new MetaStore(this.#plan.store)
        : MetaStore.restore(snapshot.parts, this.#plan.store);
    this.#leases = new LeaseClock(this.#store);
  }

  #changeRole({ role, leader, term }: NonNullable<Ready["roleChange"]>): void {
    const { world } = this.#around;
    world.note(
      7,
      this.id,
      term * 64 + leader,
      () => `peer ${this.id} is ${role} in term ${term}, leader ${leader}`,
    );
    if (role !== "leader") {
      this.#leases.rest();
      return;
    }
    this.#leases.lead(world.nowMs);
    this.#around.elected(this);
  }

  #confirm(context: number, index: number): void {
    const done = this.#takeRead(context);
    if (done !== undefined) this.#confirmed.push({ index, done });
  }

  #takeRead(context: number): ReadDone | undefined {
    const done = this.#reads.get(context);
    this.#reads.delete(context);
    return done;
  }

  #answerReads(): void {
    if (this.#confirmed.length === 0) return;
    const { appliedIndex } = this.#store;
    const ripe = this.#confirmed.filter(({ index }) => index <= appliedIndex);
    if (ripe.length === 0) return;
    this.#confirmed = this.#confirmed.filter(({ index }) => index > appliedIndex);
    for (const { done } of ripe) done(this.#store);
  }

  #refuse(context: number): void {
    const commands = this.#forwards.get(context) ?? [];
    this.#forwards.delete(context);
    for (const data of commands) {
      const done = this.#commands.get(data);
      this.#commands.delete(data);
      done?.("refusedElsewhere");
    }
  }
}

/** A change of members is nothing to the state machine, which counts it all the same. */
function asNothing(entry: Entry): { index: number; term: number; data: Uint8Array } {
  return { index: entry.index, term: entry.term, data: NOTHING };
}

const NOTHING = new Uint8Array(0);

/** Its fields as one number, for the trace. */
function numberOf(message: Message): number {
  const { type, term, index, logTerm, commitIndex, entries, hint, context, reject } = message;
  let number = MESSAGE_TYPES.indexOf(type) + 32 * (reject ? 1 : 0);
  for (const field of [term, index, logTerm, commitIndex, entries.length, hint, context % 2 ** 31]) {
    number = (Math.imul(number, 0x0100_0193) ^ field) >>> 0;
  }
  return number;
}

function lineOf(message: Message): string {
  const { type, from, to, term, index, logTerm, commitIndex, entries, reject, hint, context, snapshot } =
    message;
  const numbers = [`term ${term}`, `${index}/${logTerm}`];
  if (commitIndex > 0) numbers.push(`commit ${commitIndex}`);
  if (entries.length > 0) numbers.push(`${entries.length} entries`);
  if (reject) numbers.push(`refused, hint ${hint}`);
  if (context > 0) numbers.push(`context ${context}`);
  if (snapshot !== undefined)
    numbers.push(`snapshot ${snapshot.index} part ${snapshot.part}/${snapshot.parts}`);
  return `${from} -> ${to} ${type}: ${numbers.join(", ")}`;
}
