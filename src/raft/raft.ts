/**
 * The consensus core of one peer: ticks, messages, proposals and the results of storage go in, a Ready comes
 * out. It has no clock, no chance of its own and does no I/O; the same calls give the same Readys.
 * `README.md` is the protocol manual. Bad messages are refused and counted; a broken invariant is thrown,
 * and after it the core refuses every call, since a peer that is wrong about itself must not go on.
 */
import { CoterieError, quote } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { changeProblem, encodeChange } from "./group/change-codec.ts";
import type { Config, ConfigChange } from "./group/config.ts";
import type { Entry } from "./log/entry.ts";
import type { HardState, LogReader, StoredState } from "./log/reader.ts";
import { messageProblem, type Refusal, REFUSALS } from "./message/check.ts";
import { type Message, NOBODY } from "./message/message.ts";
import { type RaftOptions, readOptions, type Settings } from "./options.ts";
import type { Ready, RoleChange } from "./ready.ts";
import { applyChange, maybeLeaveJoint, propose, type Proposed } from "./roles/proposing.ts";
import { canFlushReads, flushReads } from "./roles/reading.ts";
import { type Command, handleSnapshotStatus, handleUnreachable } from "./roles/replication.ts";
import { RaftState } from "./roles/state.ts";
import { campaign, stepMessage } from "./roles/step.ts";
import { tick } from "./roles/ticking.ts";
import { type TransferRefusal, transferLeadership } from "./roles/transfer.ts";
import { becomeFollower, forgetLeader } from "./roles/transitions.ts";
import { type RaftStatus, statusOf } from "./status.ts";
import { Writes } from "./writes.ts";

/** Why a read was not taken. */
export type ReadRefusal = "noLeader" | "overloaded";

const NOTHING: readonly never[] = [];

export class Raft {
  readonly #state: RaftState;
  readonly #settings: Settings;
  readonly #writes = new Writes();
  readonly #refusals = new Map<Refusal, number>(REFUSALS.map((reason) => [reason, 0]));
  #storedTerm: number;
  #storedVote: number;
  #storedCommit: number;
  #lastRole: RoleChange;
  /** The indexes of `config` entries that were handed out and are not applied yet. */
  #changes: number[] = [];
  #failure: unknown;

  constructor(options: RaftOptions, reader: LogReader, stored: StoredState) {
    this.#settings = readOptions(options);
    const state = new RaftState(this.#settings, reader, stored);
    this.#state = state;
    this.#storedTerm = state.term;
    this.#storedVote = state.votedFor;
    this.#storedCommit = state.log.committed;
    becomeFollower(state, state.term, NOBODY);
    this.#lastRole = { role: state.role, leader: state.leader, term: state.term };
  }

  get peerId(): number {
    return this.#state.id;
  }

  get term(): number {
    return this.#state.term;
  }

  get role(): RaftState["role"] {
    return this.#state.role;
  }

  /** Who leads, as far as this peer knows; NOBODY otherwise. */
  get leader(): number {
    return this.#state.leader;
  }

  get commitIndex(): number {
    return this.#state.log.committed;
  }

  get appliedIndex(): number {
    return this.#state.log.applied;
  }

  get lastIndex(): number {
    return this.#state.log.lastIndex;
  }

  /** The term of the entry at an index; undefined when it was compacted or is not there. */
  termAt(index: number): number | undefined {
    return this.#state.log.term(index);
  }

  /** The configuration in force here. */
  get config(): Config {
    return this.#state.tracker.config;
  }

  status(): RaftStatus {
    return statusOf(this.#state, this.#refusals);
  }

  /** A tick of the driver's clock has passed. */
  tick(): void {
    this.#guard(() => tick(this.#state));
  }

  /** A message has arrived. Returns why it was refused, and counts it; undefined when it was taken. */
  step(message: Message): Refusal | undefined {
    return this.#guard(() => {
      const state = this.#state;
      const refusal =
        messageProblem(message, state.id, state.term, this.#settings) ?? stepMessage(state, message);
      if (refusal !== undefined) this.#refusals.set(refusal, (this.#refusals.get(refusal) as number) + 1);
      return refusal;
    });
  }

  /** Proposes commands, all or none; each becomes an entry of its own. */
  propose(commands: readonly Uint8Array[]): Proposed {
    requireCommands(commands, this.#settings.entriesMax);
    const normal = commands.map((data): Command => ({ kind: "normal", data }));
    return this.#guard(() => propose(this.#state, normal));
  }

  /** Proposes a change of members. */
  proposeChange(change: ConfigChange): Proposed {
    const problem = changeProblem(change);
    if (problem !== undefined) {
      throw new CoterieError("INVALID_ARGUMENT", `raft: a change of members: ${problem}`, {
        details: { change },
      });
    }
    return this.#guard(() => propose(this.#state, [{ kind: "config", data: encodeChange(change) }]));
  }

  /** Asks up to which index must be applied for a linearizable read; `context` comes back in a Ready. */
  readIndex(context: number): ReadRefusal | undefined {
    requireNumber("a read's context", context, 0);
    return this.#guard(() => {
      const { reads, leader, id } = this.#state;
      if (leader === NOBODY) return "noLeader";
      if (reads.pending >= this.#settings.readsMax) return "overloaded";
      reads.add({ from: id, context });
      return undefined;
    });
  }

  /** Campaigns now, as silence would make it. */
  campaign(): void {
    this.#guard(() => campaign(this.#state));
  }

  /** Hands leadership over, or asks the leader to. */
  transferLeadership(to: number): TransferRefusal | undefined {
    return this.#guard(() => transferLeadership(this.#state, to));
  }

  /** Takes the leader for gone; the driver knows it, from somewhere else. */
  forgetLeader(): void {
    this.#guard(() => {
      // With leases others may answer reads on the strength of this peer's silence.
      if (this.#settings.reads === "safe") forgetLeader(this.#state);
    });
  }

  /** A message to this peer could not be delivered. */
  reportUnreachable(peerId: number): void {
    this.#guard(() => {
      if (this.#state.role === "leader") handleUnreachable(this.#state, peerId);
    });
  }

  /** The transport knows whether a snapshot has arrived. */
  reportSnapshot(peerId: number, hasArrived: boolean): void {
    this.#guard(() => {
      if (this.#state.role === "leader") handleSnapshotStatus(this.#state, peerId, hasArrived);
    });
  }

  /** For a driver that wants this peer to campaign sooner or later than chance would. */
  setElectionTimeout(ticks: number): void {
    requireNumber("an election timeout", ticks, 1);
    this.#guard(() => {
      this.#state.electionTimeout = ticks;
    });
  }

  /** Whether ready() would ask for anything. */
  hasReady(): boolean {
    const state = this.#state;
    const { log } = state;
    return (
      state.messages.length > 0 ||
      state.afterSync.length > 0 ||
      log.unstable.hasNextEntries ||
      log.unstable.nextSnapshot !== undefined ||
      this.#isHardStateNew() ||
      log.hasNextCommitted(this.#mayBeUnstable()) ||
      state.reads.confirmed.length > 0 ||
      state.reads.refused.length > 0 ||
      state.refusedProposals.length > 0 ||
      this.#isRoleNew() ||
      canFlushReads(state)
    );
  }

  /** All that is to be done now; it is the driver's to do. */
  ready(): Ready {
    return this.#guard(() => this.#takeReady());
  }

  /** Everything up to this write is on the disk; called in the order of the Readys. */
  persisted(write: number): void {
    this.#guard(() => {
      const state = this.#state;
      for (const done of this.#writes.finish(write)) {
        for (const message of done.toSelf) stepMessage(state, message);
        // A write that was overtaken by a truncation may yet be replaced on the disk by a later one.
        const { unstable } = state.log;
        if (done.lastIndex > 0 && done.truncations === unstable.truncations) {
          unstable.stableTo(done.lastIndex);
        }
        if (done.snapshotIndex > 0) {
          unstable.snapshotStable(done.snapshotIndex);
          this.#applied(Math.max(done.snapshotIndex, state.log.applied));
        }
      }
    });
  }

  /** A committed change of members comes into force; called when its entry is applied. Returns the result. */
  applyChange(entry: Entry): Config {
    return this.#guard(() => {
      const { tracker, log } = this.#state;
      // A snapshot that came meanwhile has this change in it, and maybe later ones.
      const isOvertaken = entry.index <= Math.max(log.applied, log.unstable.snapshot?.index ?? 0);
      if (isOvertaken && entry.kind === "config") {
        this.#changes = this.#changes.filter((index) => index !== entry.index);
        return tracker.config;
      }
      this.#forgetOvertaken();
      const [next] = this.#changes;
      invariant(entry.kind === "config" && entry.index === next, "a change is applied in its turn, once", {
        index: entry.index,
        kind: entry.kind,
        next,
      });
      this.#changes.shift();
      return applyChange(this.#state, entry);
    });
  }

  /** The state machine has applied everything up to the end of a Ready's committed entries. */
  applied(index: number): void {
    this.#guard(() => {
      const { log } = this.#state;
      this.#forgetOvertaken();
      const [change] = this.#changes;
      const isWhole =
        index <= Math.max(log.handedOut, log.applied) && (change === undefined || index < change);
      invariant(isWhole, "what was handed out is applied, changes of members included", {
        index,
        handedOut: log.handedOut,
        change,
      });
      this.#applied(Math.max(index, log.applied));
    });
  }

  /** After a Ready whose write, messages and entries were all seen to: persisted() and applied() in one. */
  advance(ready: Ready): void {
    if (ready.write > 0) this.persisted(ready.write);
    const last = ready.committed[ready.committed.length - 1];
    if (last !== undefined) this.applied(last.index);
  }

  /** What a snapshot has overtaken need not be applied, and may be. */
  #forgetOvertaken(): void {
    while ((this.#changes[0] ?? Infinity) <= this.#state.log.applied) this.#changes.shift();
  }

  #applied(index: number): void {
    const state = this.#state;
    state.uncommittedBytes = Math.max(state.uncommittedBytes - state.log.appliedTo(index), 0);
    maybeLeaveJoint(state);
  }

  #takeReady(): Ready {
    const state = this.#state;
    const { log, reads } = state;
    flushReads(state);
    const mayBeUnstable = this.#mayBeUnstable();
    const entries = log.unstable.hasNextEntries ? log.unstable.nextEntries() : NOTHING;
    const committed = log.nextCommitted(mayBeUnstable);
    const snapshot = log.unstable.nextSnapshot;
    const mustSync = entries.length > 0 || snapshot !== undefined || this.#mustSync();
    const hardState = this.#takeHardState();
    const toSelf = state.afterSync.filter((message) => message.to === state.id);
    const messagesAfterSync =
      toSelf.length === 0 ? state.afterSync : state.afterSync.filter((message) => message.to !== state.id);
    const hasWrite = mustSync || hardState !== undefined || state.afterSync.length > 0;
    log.unstable.handOut();
    const write = hasWrite ? this.#writes.begin(state.log, toSelf, snapshot?.index ?? 0) : 0;
    if (committed.length > 0) this.#handOut(committed, mayBeUnstable);
    const ready: Ready = {
      write,
      hardState,
      entries,
      snapshot,
      mustSync,
      messages: state.messages,
      messagesAfterSync,
      toSelf,
      committed,
      reads: reads.confirmed,
      refusedReads: reads.refused,
      refusedProposals: state.refusedProposals,
      roleChange: this.#takeRoleChange(),
    };
    state.messages = [];
    state.afterSync = [];
    state.refusedProposals = [];
    reads.confirmed = [];
    reads.refused = [];
    return ready;
  }

  #handOut(committed: readonly Entry[], mayBeUnstable: boolean): void {
    this.#state.log.applying(committed, mayBeUnstable);
    for (const { kind, index } of committed) if (kind === "config") this.#changes.push(index);
  }

  #mayBeUnstable(): boolean {
    return !this.#settings.overlapsWrites;
  }

  #mustSync(): boolean {
    return this.#state.term !== this.#storedTerm || this.#state.votedFor !== this.#storedVote;
  }

  #isHardStateNew(): boolean {
    return this.#mustSync() || this.#state.log.committed !== this.#storedCommit;
  }

  #takeHardState(): HardState | undefined {
    if (!this.#isHardStateNew()) return undefined;
    const { term, votedFor, log } = this.#state;
    const isRising = term >= this.#storedTerm && log.committed >= this.#storedCommit;
    invariant(isRising, "term and commit index only rise", {
      term,
      storedTerm: this.#storedTerm,
      commitIndex: log.committed,
      storedCommit: this.#storedCommit,
    });
    this.#storedTerm = term;
    this.#storedVote = votedFor;
    this.#storedCommit = log.committed;
    return { term, votedFor, commitIndex: log.committed };
  }

  #isRoleNew(): boolean {
    const { role, leader, term } = this.#state;
    const last = this.#lastRole;
    return role !== last.role || leader !== last.leader || term !== last.term;
  }

  #takeRoleChange(): RoleChange | undefined {
    if (!this.#isRoleNew()) return undefined;
    const { role, leader, term } = this.#state;
    this.#lastRole = { role, leader, term };
    return this.#lastRole;
  }

  /** Nothing is done after an invariant has failed. */
  #guard<T>(act: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return act();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

function requireNumber(what: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `raft: ${what} is a safe integer from ${min}, got ${quote(value)}`,
  );
}

function requireCommands(commands: readonly Uint8Array[], countMax: number): void {
  const isCountFine = commands.length > 0 && commands.length <= countMax;
  if (isCountFine && commands.every((data) => data instanceof Uint8Array)) return;
  throw new CoterieError("INVALID_ARGUMENT", `raft: 1 to ${countMax} commands, each of bytes, are proposed`, {
    details: { commands: commands.length },
  });
}
