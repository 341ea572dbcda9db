/**
 * One core on a stage: a peer with a given log, term, vote and configuration, fed by hand. What the others
 * would say is said by the test, so that a test of one sentence is about one peer. Unless a test asks for
 * them, pre-vote and check-quorum are off, as in the paper; every draw of a timeout gives the shortest.
 */
import type { Random } from "../../src/env/index.ts";
import {
  type ChangeKind,
  type Config,
  type ConfigChange,
  configOf,
  encodeChange,
  Entry,
  type HardState,
  type Message,
  MessageDraft,
  type MessageType,
  NOBODY,
  Raft,
  type RaftOptions,
  type Ready,
  type Refusal,
  type Snapshot,
  type Transition,
} from "../../src/raft/index.ts";
import { MemoryLog } from "../../src/raft/log/memory-log.ts";

export interface Stage {
  readonly id?: number;
  /** Default 1, 2 and 3. */
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  /** In place of the two above. */
  readonly config?: Config;
  /** The term of each entry, from index 1 on. */
  readonly terms?: readonly number[];
  /** In place of `terms`. */
  readonly entries?: readonly Entry[];
  /** Stands for what lies below the entries; theirs then begin above it. */
  readonly snapshot?: Snapshot;
  /** Default: the last entry's. */
  readonly term?: number;
  readonly votedFor?: number;
  readonly commitIndex?: number;
  readonly options?: Partial<RaftOptions>;
}

/** Each draw is this share of what it may be. */
export function chance(share: number): Random {
  return { below: (n) => Math.floor(n * share), fraction: () => share, hex: () => "" };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Entries of these terms, from `first` on. */
export function entriesOf(terms: readonly number[], first = 1): Entry[] {
  return terms.map((term, at) => new Entry(first + at, term, "normal", bytes(`${first + at}`)));
}

export function snapshotOf(index: number, term: number, config: Config, parts = ["state"]): Snapshot {
  return { index, term, config, parts: parts.map(bytes) };
}

const TERMLESS: ReadonlySet<MessageType> = new Set<MessageType>(["propose", "readIndex", "transferLeader"]);

export class Peer {
  readonly log: MemoryLog;
  readonly raft: Raft;
  /** What the state machine was given so far. */
  readonly applied: Entry[] = [];
  /** All that the Readys so far said of reads and proposals. */
  readonly reads: { readonly context: number; readonly index: number }[] = [];
  readonly refusedReads: number[] = [];
  readonly refusedProposals: number[] = [];

  constructor(stage: Stage = {}, disk?: MemoryLog) {
    const { id = 1, options = {} } = stage;
    this.log = disk ?? diskOf(stage);
    this.raft = new Raft(
      { peerId: id, random: chance(0), preVote: false, checkQuorum: false, ...options },
      this.log,
      this.log.stored(),
    );
  }

  /** Terms of all entries that the core has, written or not. */
  get terms(): number[] {
    const { firstIndex, lastIndex } = this.raft.status();
    this.work();
    return Array.from(
      { length: lastIndex - firstIndex + 1 },
      (_, at) => this.log.term(firstIndex + at) ?? -1,
    );
  }

  /** A message in the peer's own term, unless `fields` say otherwise. Returns why it was refused. */
  hears(type: MessageType, from: number, fields: Partial<Message> = {}): Refusal | undefined {
    return this.raft.step(message(type, from, this.raft.peerId, { term: this.raft.term, ...fields }));
  }

  /** A member has everything up to this index; the whole log by default. */
  acks(from: number, index: number = this.raft.lastIndex): void {
    this.hears("appendResponse", from, { index });
  }

  ticks(count: number): void {
    for (let at = 0; at < count; at += 1) this.raft.tick();
  }

  /** Does all that is asked for, to the end. Returns what was sent. */
  work(): Message[] {
    const sent: Message[] = [];
    while (this.raft.hasReady()) {
      const ready = this.raft.ready();
      this.carryOut(ready);
      sent.push(...ready.messages, ...ready.messagesAfterSync);
    }
    return sent;
  }

  /** What one Ready asks for, the sending apart. */
  carryOut(ready: Ready): void {
    this.log.write(ready);
    this.reads.push(...ready.reads);
    this.refusedReads.push(...ready.refusedReads);
    this.refusedProposals.push(...ready.refusedProposals);
    for (const entry of ready.committed) {
      this.applied.push(entry);
      if (entry.kind === "config") this.raft.applyChange(entry);
    }
    this.raft.advance(ready);
  }

  /** The same peer after a crash, from what was written. */
  restarted(stage: Stage = {}): Peer {
    return new Peer({ id: this.raft.peerId, ...stage }, this.log);
  }
}

/** A message as it arrives. */
export function message(type: MessageType, from: number, to: number, fields: Partial<Message>): Message {
  const draft = Object.assign(new MessageDraft(type, to), { from }, fields);
  if (TERMLESS.has(type) && fields.term === undefined) draft.term = 0;
  return TERMLESS.has(type) ? Object.assign(draft, { term: 0 }) : draft;
}

/** A follower of that leader. */
export function followerOf(leader: number, stage: Stage = {}): Peer {
  const peer = new Peer({ term: 1, ...stage });
  peer.hears("heartbeat", leader);
  peer.work();
  return peer;
}

export function candidateOf(stage: Stage = {}): Peer {
  const peer = new Peer(stage);
  peer.work();
  peer.raft.campaign();
  peer.work();
  return peer;
}

/** A leader whose first entry is on its own disk and on no other; in the term after the stage's. */
export function leaderOf(stage: Stage = {}): Peer {
  const peer = candidateOf(stage);
  const { voters, outgoing } = peer.raft.config;
  for (const type of ["preVoteResponse", "voteResponse"] as const) {
    const term = type === "preVoteResponse" ? peer.raft.term + 1 : peer.raft.term;
    if (type === "preVoteResponse" && peer.raft.role !== "preCandidate") continue;
    for (const from of new Set([...voters, ...outgoing])) {
      if (from !== peer.raft.peerId && peer.raft.role !== "leader") peer.hears(type, from, { term });
      if (type === "preVoteResponse" && peer.raft.role === "candidate") break;
    }
    peer.work();
  }
  if (peer.raft.role !== "leader") throw new Error(`the stage has a ${peer.raft.role}, not a leader`);
  peer.work();
  return peer;
}

/** A leader whose first entry everybody has, committed and known to be so. */
export function settledLeaderOf(stage: Stage = {}): Peer {
  const peer = leaderOf(stage);
  const { voters, outgoing, learners } = peer.raft.config;
  for (const from of new Set([...voters, ...outgoing, ...learners])) {
    if (from !== peer.raft.peerId) peer.acks(from);
  }
  peer.work();
  return peer;
}

/** What a message says, short: its type, and to whom. */
export function inShort(messages: readonly Message[]): string[] {
  return messages.map(({ type, to }) => `${type} to ${to}`);
}

export function ofType(messages: readonly Message[], type: MessageType): Message[] {
  return messages.filter((one) => one.type === type);
}

/** The single message of that type. */
export function only(messages: readonly Message[], type: MessageType, to?: number): Message {
  const found = ofType(messages, type).filter((one) => to === undefined || one.to === to);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`one ${type} was looked for among ${inShort(messages).join(", ")}`);
  }
  return found[0];
}

function diskOf(stage: Stage): MemoryLog {
  const { voters = [1, 2, 3], learners = [], snapshot, votedFor = NOBODY } = stage;
  const base = snapshot?.index ?? 0;
  const entries = stage.entries ?? entriesOf(stage.terms ?? [], base + 1);
  const last = entries.at(-1)?.term ?? snapshot?.term ?? 0;
  const { term = last, commitIndex = base } = stage;
  const hardState: HardState = { term, votedFor, commitIndex };
  const log = new MemoryLog(stage.config ?? configOf(voters, learners));
  log.write({ hardState, entries, snapshot });
  return log;
}

/** A change of members, in short. */
export function change(
  transition: Transition,
  ...changes: readonly (readonly [ChangeKind, number])[]
): ConfigChange {
  return { transition, changes: changes.map(([kind, peerId]) => ({ kind, peerId })) };
}

export function configEntry(index: number, term: number, what: ConfigChange): Entry {
  return new Entry(index, term, "config", encodeChange(what));
}

/** These peers acknowledge all, and what that commits is applied. */
export function commit(peer: Peer, ...from: readonly number[]): void {
  peer.work();
  for (const id of from) peer.acks(id);
  peer.work();
}
