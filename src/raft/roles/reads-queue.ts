/**
 * Reads on their way to a confirmation (thesis, 6.4). All reads that were asked for since the last Ready are
 * one batch. A leader gives its batches growing round numbers; a heartbeat carries the latest round, and its
 * answer confirms that round and all before it, so that one round trip serves any number of reads and a
 * late answer confirms nothing that was asked after it was sent. A follower hands its batch to the leader
 * under an id that no earlier life of this peer used.
 */

/** A read that is confirmed: what is applied up to `index` answers it. */
export interface ConfirmedRead {
  /** As given to readIndex(). */
  readonly context: number;
  readonly index: number;
}

export interface ReadRequest {
  /** Who asks: this peer, or one that forwarded its batch. */
  readonly from: number;
  /** What the driver gave, or the forwarded batch's id. */
  readonly context: number;
}

export interface Round {
  readonly round: number;
  /** The commit index when the round began. */
  readonly index: number;
  readonly requests: readonly ReadRequest[];
}

/** A batch that a leader was asked for. */
export interface ForwardedBatch {
  readonly id: number;
  readonly contexts: readonly number[];
  ticks: number;
}

export class Reads {
  /** Asked for, in no batch yet. */
  waiting: ReadRequest[] = [];
  rounds: Round[] = [];
  forwarded: ForwardedBatch[] = [];
  /** The latest round of this term. */
  lastRound = 0;
  /** With reads by lease: when the rounds that nobody has confirmed were sent, in the leader's ticks. */
  sent: { readonly round: number; readonly tick: number }[] = [];
  /** When the latest confirmed round was sent: its quorum grants no votes for an election timeout. */
  leaseFrom: number | undefined = undefined;
  confirmed: ConfirmedRead[] = [];
  /** Contexts of own reads that will not be confirmed: there is no leader, or it changed. */
  refused: number[] = [];
  /** Own and forwarded reads that wait or are in a round. */
  #pending = 0;

  get pending(): number {
    return this.#pending;
  }

  add(request: ReadRequest): void {
    this.waiting.push(request);
    this.#pending += 1;
  }

  /** Takes all that wait out of the queue. */
  takeWaiting(): ReadRequest[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  /** These will be answered, one way or the other, and are not counted any more. */
  settle(count: number): void {
    this.#pending -= count;
  }

  /** Rounds up to this one are confirmed. */
  takeRounds(round: number): Round[] {
    let count = 0;
    while (count < this.rounds.length && (this.rounds[count] as Round).round <= round) count += 1;
    return this.rounds.splice(0, count);
  }

  /** The leader changed, or this peer's role: own reads are refused, those of others are their affair. */
  abandon(self: number): void {
    const requests = [...this.rounds.flatMap((round) => round.requests), ...this.waiting];
    for (const { from, context } of requests) if (from === self) this.refused.push(context);
    for (const { contexts } of this.forwarded) this.refused.push(...contexts);
    this.waiting = [];
    this.rounds = [];
    this.forwarded = [];
    this.lastRound = 0;
    this.sent = [];
    this.leaseFrom = undefined;
    this.#pending = 0;
  }
}
