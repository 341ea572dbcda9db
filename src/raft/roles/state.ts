/**
 * What a peer is: term, vote, role, log, group, and the orders that wait for the next Ready. The files
 * beside this one are what it does with it; nobody outside this folder but the Raft class sees it.
 * Nothing leaves here that promises what is not on the disk: acknowledgements and votes go to `afterSync`.
 */
import { invariant } from "../../invariant.ts";
import { Tracker } from "../group/tracker.ts";
import { RaftLog } from "../log/log.ts";
import type { LogReader, StoredState } from "../log/reader.ts";
import type { Assembly } from "../log/snapshot.ts";
import { type MessageDraft, NOBODY } from "../message/message.ts";
import type { Settings } from "../options.ts";
import { Reads } from "./reads-queue.ts";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export class RaftState {
  readonly id: number;
  readonly settings: Settings;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly reads: Reads;

  term: number;
  votedFor: number;
  role: Role = "follower";
  leader: number = NOBODY;

  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Drawn anew with each change of role: between electionTicks and twice that. */
  electionTimeout = 0;

  /** No later change of members enters the log before the entry at this index is applied. */
  pendingConfigIndex = 0;
  /** The bytes of a leader's commands that are not applied yet; an estimate, 0 at the start of a term. */
  uncommittedBytes = 0;
  /** Ticks since the start. */
  ticks = 0;
  /** Whether somebody was told, in this term, to campaign against the lease. */
  hasHandedOver = false;
  /** The peer that shall lead next. */
  transferee: number = NOBODY;
  /** The snapshot that is arriving in parts. */
  assembly: Assembly | undefined = undefined;

  /** May leave at once. */
  messages: MessageDraft[] = [];
  /** Must wait until all that was handed out before and with them is on the disk; some are to this peer. */
  afterSync: MessageDraft[] = [];
  /** Forwarded proposals of ours that a leader refused, by the id that propose() gave. */
  refusedProposals: number[] = [];
  /** The id of what is forwarded next: never one from before a restart. */
  nextForward: number;

  constructor(settings: Settings, reader: LogReader, stored: StoredState) {
    const { hardState, config, appliedIndex } = stored;
    const { term, votedFor, commitIndex } = hardState;
    this.id = settings.peerId;
    this.settings = settings;
    this.log = new RaftLog(reader, settings.applyingBytesMax);
    // A group may be founded on a snapshot of term 1, with nothing after it: its first election is of term 1.
    const isFounded = term === 0 && this.log.lastTerm === 1 && this.log.lastIndex < this.log.firstIndex();
    invariant(term >= this.log.lastTerm || isFounded, "a peer's term is at least that of its last entry", {
      term,
      lastTerm: this.log.lastTerm,
    });
    this.term = term;
    this.votedFor = votedFor;
    // What was applied had been committed, whatever the last commit index that reached the disk.
    this.log.commitTo(Math.max(commitIndex, appliedIndex));
    if (appliedIndex > 0) this.log.appliedTo(appliedIndex);
    this.log.findChanges();
    if (settings.validateChanges) this.log.commitProvenChanges();
    this.tracker = new Tracker(config, this.log.lastIndex, {
      messagesMax: settings.inflightMessagesMax,
      entriesMax: settings.inflightEntriesMax,
      bytesMax: settings.inflightBytesMax,
    });
    this.nextForward = settings.random.below(2 ** 32) * 2 ** 20 + 1;
    this.reads = new Reads();
  }

  get isLearner(): boolean {
    return this.tracker.of(this.id)?.isLearner === true;
  }

  /** Whether this peer may stand for election. */
  get isPromotable(): boolean {
    const own = this.tracker.of(this.id);
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;
  }

  get isPastElectionTimeout(): boolean {
    return this.electionElapsed >= this.electionTimeout;
  }

  /** A leader knows the true commit index once it has committed an entry of its own term (section 8). */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  /** May leave at once; the term is the own one unless the type carries another or none. */
  send(message: MessageDraft): void {
    invariant(message.to !== this.id, "a peer sends nothing but acknowledgements to itself");
    message.from = this.id;
    message.term = this.term;
    this.messages.push(message);
  }

  /** Carries a term of its own: a vote is asked for in the term that the candidate wants. */
  sendInTerm(message: MessageDraft, term: number): void {
    invariant(term > 0 && message.to !== this.id, "a vote is asked of others, in a term", { term });
    message.from = this.id;
    message.term = term;
    this.messages.push(message);
  }

  /** Goes to whoever leads: no term, since it is nobody's claim to anything. */
  forward(message: MessageDraft): void {
    message.from = this.id;
    message.term = 0;
    this.messages.push(message);
  }

  /** Promises something, and waits for the disk. */
  sendAfterSync(message: MessageDraft, term: number = this.term): void {
    message.from = this.id;
    message.term = term;
    this.afterSync.push(message);
  }

  nextForwardId(): number {
    this.nextForward += 1;
    return this.nextForward;
  }

  drawElectionTimeout(): void {
    const { electionTicks, random } = this.settings;
    this.electionTimeout = electionTicks + random.below(electionTicks);
  }
}
