/**
 * What must hold after each step, whatever happens: R1 to R6, R8, R11 and R12 of the guarantees. Each check
 * looks at what the step touched and compares it with what all peers did before; the whole is compared once
 * more when a run ends. A violation names the promise and ends the run.
 */
import type { MetaStore, Outcome } from "../../src/meta/index.ts";
import type { Entry, HardState, Message, Ready, Refusal, Snapshot } from "../../src/raft/index.ts";
import type { Execution } from "./client.ts";
import { LeaseChecks } from "./lease-checks.ts";
import type { SimPeer } from "./peer.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** What is known of a peer over all of its lives. */
interface Known {
  term: number;
  commitIndex: number;
  /** Up to here its commit index was looked at. */
  countedIndex: number;
  /** Up to here it applied in this life. */
  appliedIndex: number;
}

/** Refusals that a well-behaved group never sees. */
const NEVER: ReadonlySet<Refusal> = new Set<Refusal>([
  "version",
  "type",
  "address",
  "number",
  "entries",
  "size",
  "term",
  "snapshot",
  "beyondLog",
  "leader",
]);

export class Checks {
  readonly #peers: ReadonlyMap<number, SimPeer>;
  readonly leases: LeaseChecks = new LeaseChecks();
  readonly #known = new Map<number, Known>();
  /** Leader by term. */
  readonly #leaders = new Map<number, number>();
  /** Who got the vote of a peer in a term, by `term * 2^16 + peer`. */
  readonly #votes = new Map<number, number>();
  /** Every entry that any leader made, by index and term: there are few terms to an index. */
  readonly #entries = new Map<number, Entry[]>();
  /** The committed entry at each index, as the first peer applied it. */
  readonly #committed: (Entry | undefined)[] = [];
  /** A term in which, at the latest, that entry was committed. */
  readonly #commitTerms: number[] = [];
  readonly #hashes: [low: number, high: number][] = [];
  #committedTo = 0;
  /** Where each command took effect. */
  readonly #effects = new Map<Uint8Array, number>();
  /** When each command was applied first, and what came of it. */
  readonly #executions = new Map<Uint8Array, Execution>();
  readonly #words = new Int32Array(2);

  constructor(peers: ReadonlyMap<number, SimPeer>) {
    this.#peers = peers;
  }

  get committedTo(): number {
    return this.#committedTo;
  }

  get terms(): number {
    return this.#leaders.size;
  }

  started(peer: SimPeer, { term, votedFor, commitIndex }: HardState): void {
    const known = this.#of(peer.id);
    // R2: what was synced is there after a restart.
    if (term < known.term) fail("R2", `peer ${peer.id} restarts in term ${term}, was in ${known.term}`);
    this.#checkVote(peer.id, term, votedFor);
    known.term = term;
    known.commitIndex = Math.min(known.commitIndex, commitIndex);
    known.appliedIndex = peer.store.appliedIndex;
    if (known.appliedIndex > 0) this.#checkHash(peer, known.appliedIndex, peer.store);
  }

  /**
   * Whatever may have raised a leader's commit index has just happened: what it calls committed is so in the
   * configuration that is in force now, and maybe not in the one that it applies next.
   */
  counted(peer: SimPeer): void {
    const known = this.#of(peer.id);
    const { commitIndex, role } = peer.raft;
    if (commitIndex <= known.countedIndex) return;
    if (role === "leader") this.#checkDurable(peer);
    known.countedIndex = commitIndex;
  }

  stepped(peer: SimPeer, message: Message, refusal: Refusal | undefined): void {
    this.counted(peer);
    if (refusal === undefined || !NEVER.has(refusal)) return;
    fail("R4", `peer ${peer.id} refused a ${message.type} of peer ${message.from}: ${refusal}`);
  }

  ready(peer: SimPeer, ready: Ready, overlaps: boolean): void {
    const known = this.#of(peer.id);
    const { raft } = peer;
    const last = ready.committed.at(-1);
    if (overlaps && last !== undefined && last.index > peer.disk.log.lastIndex()) {
      fail("R5", `peer ${peer.id} is to apply ${last.index}; its disk ends at ${peer.disk.log.lastIndex()}`);
    }
    if (raft.commitIndex < known.commitIndex) {
      fail("R8", `peer ${peer.id}'s commit index fell from ${known.commitIndex} to ${raft.commitIndex}`);
    }
    known.commitIndex = raft.commitIndex;
    if (raft.term < known.term) fail("R2", `peer ${peer.id}'s term fell from ${known.term} to ${raft.term}`);
    for (const entry of ready.entries) this.#checkEntry(peer.id, entry);
    if (ready.roleChange?.role === "leader") this.#checkLeader(peer);
  }

  /** What a Ready wanted written is on the disk. */
  persisted(peer: SimPeer, { hardState }: Ready): void {
    if (hardState === undefined) return;
    const known = this.#of(peer.id);
    if (hardState.term < known.term) {
      fail("R2", `peer ${peer.id} stored term ${hardState.term} after ${known.term}`);
    }
    known.term = hardState.term;
    this.#checkVote(peer.id, hardState.term, hardState.votedFor);
  }

  /** A message leaves: what it promises, if it does, is on the disk, and is what the leader has. */
  promised(peer: SimPeer, message: Message): void {
    const { type, reject, term, to, index } = message;
    if (reject) return;
    if (type === "vote") this.#checkQuestion(peer, message);
    if (type !== "voteResponse" && type !== "appendResponse") return;
    const { term: storedTerm, votedFor } = peer.disk.log.stored().hardState;
    if (type === "voteResponse") {
      // A later term on the disk keeps it from voting in this one again as well.
      if (term > storedTerm || (term === storedTerm && votedFor !== to)) {
        fail("R3", `peer ${peer.id} votes for ${to} in term ${term}; its disk: ${votedFor} in ${storedTerm}`);
      }
      this.#checkVote(peer.id, term, to);
    }
    // To a leader of an earlier term it was true when it was given, and cannot count any more.
    if (type === "appendResponse" && term === storedTerm) this.#checkAcknowledgement(peer, to, index);
  }

  /** undefined for a command that was never applied, or refused for its session alone. */
  executionOf(data: Uint8Array): Execution | undefined {
    return this.#executions.get(data);
  }

  applied(peer: SimPeer, entry: Entry, outcome: Outcome, world: World): void {
    const known = this.#of(peer.id);
    const { index } = entry;
    if (index !== known.appliedIndex + 1) {
      fail("R5", `peer ${peer.id} applies ${index} after ${known.appliedIndex}`);
    }
    if (index > peer.raft.commitIndex) fail("R5", `peer ${peer.id} applies ${index}, which is not committed`);
    known.appliedIndex = index;
    const before = this.#committed[index];
    if (before === undefined) {
      this.#committed[index] = entry;
      this.#commitTerms[index] = peer.raft.term;
      this.#committedTo = Math.max(this.#committedTo, index);
      this.#checkOnce(entry, outcome);
      if (entry.kind === "normal") this.leases.applied(entry, outcome, peer.store, world.nowMs);
      const isExecuted = outcome.ok || outcome.refusal.code === "CONDITION_FAILED";
      if (isExecuted && !outcome.isRepeat && !this.#executions.has(entry.data)) {
        this.#executions.set(entry.data, { at: world.events, outcome });
      }
    } else if (before !== entry && (before.term !== entry.term || before.data !== entry.data)) {
      fail("R4", `peer ${peer.id} applies ${nameOf(entry)}, another applied ${nameOf(before)}`);
    }
    this.#checkHash(peer, index, peer.store);
  }

  restored(peer: SimPeer, snapshot: Snapshot, store: MetaStore): void {
    const known = this.#of(peer.id);
    if (snapshot.index <= known.appliedIndex) {
      fail("R5", `peer ${peer.id} goes back to a snapshot at ${snapshot.index} from ${known.appliedIndex}`);
    }
    known.appliedIndex = snapshot.index;
    this.#checkHash(peer, snapshot.index, store);
  }

  /** The full comparison, at the end of a run: logs agree wherever they overlap, hashes are what they say. */
  finish(peers: readonly SimPeer[]): void {
    for (const peer of peers) {
      const { log } = peer.disk;
      const first = log.firstIndex();
      const last = Math.min(log.lastIndex(), this.#committedTo);
      if (first > last) continue;
      for (const entry of log.entries(first, last + 1, Infinity)) {
        this.#checkEntry(peer.id, entry);
        const committed = this.#committed[entry.index];
        if (
          entry.index <= peer.raft.commitIndex &&
          committed !== undefined &&
          committed.term !== entry.term
        ) {
          fail("R4", `peer ${peer.id} has ${nameOf(entry)}, committed is ${nameOf(committed)}`);
        }
      }
      if (peer.store.hash() !== peer.store.hashFully())
        fail("R12", `peer ${peer.id}'s hash is not its state's`);
    }
  }

  #of(peerId: number): Known {
    let known = this.#known.get(peerId);
    if (known === undefined)
      this.#known.set(peerId, (known = { term: 0, commitIndex: 0, countedIndex: 0, appliedIndex: 0 }));
    return known;
  }

  /** R1, R6: one leader a term, and it has every committed entry. */
  #checkLeader(peer: SimPeer): void {
    const { term } = peer.raft;
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== peer.id)
      fail("R1", `peers ${other} and ${peer.id} lead in term ${term}`);
    this.#leaders.set(term, peer.id);
    // What was applied by a peer of an earlier term was committed in an earlier term.
    let index = this.#committedTo;
    while (index > 0 && (this.#commitTerms[index] ?? 0) >= term) index -= 1;
    const committed = this.#committed[index];
    if (committed === undefined || index < peer.disk.log.firstIndex()) return;
    if (peer.raft.termAt(index) !== committed.term) {
      fail("R6", `leader ${peer.id} of term ${term} lacks ${nameOf(committed)}, which is committed`);
    }
  }

  /** R3, R6: whoever asks for a vote will not ask in that term again with another log. */
  #checkQuestion(peer: SimPeer, { term, index, logTerm }: Message): void {
    const { log } = peer.disk;
    const stored = log.stored().hardState;
    // Whoever has met a leader of that term meanwhile asks in vain: a majority has voted for the other.
    if (peer.raft.role !== "candidate" || peer.raft.term !== term) return;
    const isThere = term < stored.term || (term === stored.term && log.term(index) === logTerm);
    if (isThere || (term === stored.term && index < log.firstIndex())) return;
    fail("R3", `peer ${peer.id} asks for votes in term ${term} with ${index}/${logTerm}, not on its disk`);
  }

  /** R6, R9: what a leader calls committed is on the disks of a majority, of both halves if there are two. */
  #checkDurable({ id, raft }: SimPeer): void {
    const { commitIndex, config } = raft;
    const term = raft.termAt(commitIndex);
    for (const voters of [config.voters, config.outgoing]) {
      const having = voters.filter((voter) => {
        const log = this.#peers.get(voter)?.disk.log;
        if (log === undefined) return false;
        return log.firstIndex() > commitIndex || log.term(commitIndex) === term;
      });
      if (having.length * 2 > voters.length || voters.length === 0) continue;
      fail(
        "R6",
        `leader ${id} commits ${commitIndex} of term ${term}, which is on the disks of ${having.join(", ")}`,
      );
    }
  }

  #checkAcknowledgement(peer: SimPeer, leaderId: number, index: number): void {
    const { log } = peer.disk;
    if (index > log.lastIndex()) {
      fail("R6", `peer ${peer.id} acknowledges ${index}; its disk ends at ${log.lastIndex()}`);
    }
    const leader = this.#peers.get(leaderId);
    if (leader?.state !== "up" || leader.raft.role !== "leader") return;
    const wanted = leader.raft.termAt(index);
    const found = log.term(index);
    // What either has compacted was committed.
    if (wanted === undefined || found === undefined || wanted === found) return;
    fail("R6", `peer ${peer.id} acknowledges ${index} of term ${found}, the leader's is of term ${wanted}`);
  }

  #checkVote(peerId: number, term: number, votedFor: number): void {
    if (votedFor === 0) return;
    const key = term * 2 ** 16 + peerId;
    const before = this.#votes.get(key);
    if (before !== undefined && before !== votedFor) {
      fail("R3", `peer ${peerId} voted for ${before} and for ${votedFor} in term ${term}`);
    }
    this.#votes.set(key, votedFor);
  }

  /** R4: one entry to an index and a term. */
  #checkEntry(peerId: number, entry: Entry): void {
    let known = this.#entries.get(entry.index);
    if (known === undefined) this.#entries.set(entry.index, (known = []));
    for (const other of known) {
      if (other === entry) return;
      if (other.term !== entry.term) continue;
      if (other.data === entry.data) return;
      fail("R4", `peer ${peerId} has another entry at ${nameOf(entry)}`);
    }
    known.push(entry);
  }

  /** R11: a stamped command changes something once, however often it was proposed. */
  #checkOnce(entry: Entry, outcome: Outcome): void {
    if (entry.data.length === 0 || !outcome.ok || outcome.isRepeat || outcome.events.length === 0) return;
    const before = this.#effects.get(entry.data);
    if (before !== undefined) fail("R11", `what took effect at ${before} did again at ${entry.index}`);
    this.#effects.set(entry.data, entry.index);
  }

  /** R4, R12: the same index, the same state, however it came about. */
  #checkHash(peer: SimPeer, index: number, store: MetaStore): void {
    const [low = 0, high = 0] = store.hashWords(this.#words);
    const before = this.#hashes[index];
    if (before === undefined) this.#hashes[index] = [low, high];
    else if (before[0] !== low || before[1] !== high) {
      fail("R12", `peer ${peer.id}'s state at ${index} is not the one that others had`);
    }
  }
}

function nameOf({ index, term, data }: Entry): string {
  return `entry ${index} of term ${term} (${data.length} bytes)`;
}

function fail(promise: string, text: string): never {
  throw new Violation(promise, text);
}
