/**
 * The group as one peer sees it: the configuration in force, a Progress for each member, the votes of the
 * election that is going on. Members are always visited in the order of their ids, so that the same events
 * give the same messages.
 */
import { invariant } from "../../invariant.ts";
import { type Config, configProblem, membersOf } from "./config.ts";
import type { InflightLimits } from "./inflights.ts";
import { Progress } from "./progress.ts";
import { reachedByQuorum, type VoteOutcome, voteOutcome } from "./quorum.ts";

export class Tracker {
  readonly #limits: InflightLimits;
  #config: Config;
  #members: readonly number[] = [];
  #progress: ReadonlyMap<number, Progress> = new Map();
  readonly #votes = new Map<number, boolean>();

  constructor(config: Config, lastIndex: number, limits: InflightLimits) {
    this.#limits = limits;
    this.#config = config;
    this.switchTo(config, lastIndex);
  }

  get config(): Config {
    return this.#config;
  }

  /** Ascending. */
  get members(): readonly number[] {
    return this.#members;
  }

  of(peerId: number): Progress | undefined {
    return this.#progress.get(peerId);
  }

  /** This peer alone decides everything. */
  isAlone(peerId: number): boolean {
    const { voters, outgoing } = this.#config;
    return voters.length === 1 && voters[0] === peerId && outgoing.length === 0;
  }

  /** Another configuration is in force; who stays keeps its progress. */
  switchTo(config: Config, lastIndex: number): void {
    const problem = configProblem(config);
    invariant(problem === undefined, "a configuration is one that may be", { problem, config });
    const members = membersOf(config);
    const progress = new Map<number, Progress>();
    for (const peerId of members) {
      const isLearner = config.learners.includes(peerId);
      // A newcomer is taken for alive, so that it is not the one for whose silence a leader steps down.
      const own =
        this.#progress.get(peerId) ?? new Progress(Math.max(lastIndex, 1), isLearner, true, this.#limits);
      own.isLearner = isLearner;
      progress.set(peerId, own);
    }
    this.#config = config;
    this.#members = members;
    this.#progress = progress;
  }

  resetProgress(self: number, lastIndex: number): void {
    for (const [peerId, progress] of this.#progress) progress.reset(lastIndex, peerId === self);
  }

  /** What a quorum has on its disks (section 5.3; joint: of both halves). */
  quorumIndex(): number {
    return reachedByQuorum(this.#config, (peerId) => this.#progress.get(peerId)?.matchIndex ?? 0);
  }

  /** The latest round of reads in which a quorum still knew its leader. */
  quorumRound(): number {
    return reachedByQuorum(this.#config, (peerId) => this.#progress.get(peerId)?.ackedRound ?? 0);
  }

  isQuorumActive(): boolean {
    const active = reachedByQuorum(this.#config, (peerId) =>
      this.#progress.get(peerId)?.isRecentlyActive === true ? 1 : 0,
    );
    return active === 1;
  }

  clearVotes(): void {
    this.#votes.clear();
  }

  /** The first answer of a peer counts. */
  recordVote(peerId: number, isGranted: boolean): VoteOutcome {
    if (!this.#votes.has(peerId)) this.#votes.set(peerId, isGranted);
    return voteOutcome(this.#config, this.#votes);
  }
}
