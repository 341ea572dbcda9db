/**
 * Planted bugs about reads and snapshots. Each `from` occurs once in its file;
 * `foundBy` is the test that fails with it.
 */
import type { Mutation } from "./mutation.ts";

const SNAPSHOTS = "test/raft/snapshots.test.ts";
const READS = "test/raft/reads.test.ts";
const PROGRESS = "test/raft/units/progress.test.ts";

export const READS_AND_SNAPSHOTS: readonly Mutation[] = [
  {
    name: "reads before an entry of the own term is committed",
    file: "src/raft/roles/reading.ts",
    from: "return state.hasCommittedInTerm && reads.rounds.length < ROUNDS_MAX;",
    to: "return reads.rounds.length < ROUNDS_MAX;",
    foundBy: READS,
  },
  {
    name: "a term opens without an entry of its own",
    file: "src/raft/roles/election.ts",
    from: "const isAppended = appendOwn(state, [EMPTY_COMMAND]);",
    to: "const isAppended = EMPTY_COMMAND.data.length === 0 || appendOwn(state, []);",
    foundBy: READS,
  },
  {
    name: "a late answer confirms the latest round",
    file: "src/raft/roles/reading.ts",
    from: "progress.ackedRound = Math.max(progress.ackedRound, message.context);",
    to: "progress.ackedRound = reads.lastRound;",
    foundBy: READS,
  },
  {
    name: "an answer without a round confirms one",
    file: "src/raft/roles/step.ts",
    from: "if (message.context > 0) confirmRound(state, message);",
    to: "confirmRound(state, { ...message, context: message.context || state.reads.lastRound });",
    foundBy: READS,
  },
  {
    name: "rounds of an earlier lead confirm those of a later one",
    file: "src/raft/group/progress.ts",
    from: "    this.ackedRound = 0;\n",
    to: "",
    foundBy: READS,
  },
  {
    name: "a read's index is what is applied",
    file: "src/raft/roles/reading.ts",
    from: "reads.rounds.push({ round, index: log.committed, requests });",
    to: "reads.rounds.push({ round, index: log.applied, requests });",
    foundBy: READS,
  },
  {
    name: "a deposed leader keeps its open reads",
    file: "src/raft/roles/reads-queue.ts",
    from: "    this.rounds = [];\n",
    to: "",
    foundBy: READS,
  },
  {
    name: "reads are answered without asking anybody",
    file: "src/raft/roles/reading.ts",
    from: "if (hasLease(state) || state.tracker.isAlone(state.id)) {",
    to: "if (hasLease(state) || state.tracker.of(state.id) !== undefined) {",
    foundBy: READS,
  },
  {
    name: "the lone voter of one half reads alone",
    file: "src/raft/group/tracker.ts",
    from: "return voters.length === 1 && voters[0] === peerId && outgoing.length === 0;",
    to: "return voters.length === 1 && voters[0] === peerId && outgoing.length >= 0;",
    foundBy: READS,
  },
  {
    name: "ids of forwarded reads come again after a restart",
    file: "src/raft/roles/state.ts",
    from: "this.nextForward = settings.random.below(2 ** 32) * 2 ** 20 + 1;",
    to: "this.nextForward = 1;",
    foundBy: READS,
  },
  {
    name: "a follower answers reads for the leader",
    file: "src/raft/roles/reading.ts",
    from: 'if (state.role === "leader" && state.reads.pending < state.settings.readsMax) {',
    to: "if (state.reads.pending < state.settings.readsMax) {",
    foundBy: READS,
  },
  {
    name: "a snapshot older than the commit index is taken",
    file: "src/raft/roles/snapshots.ts",
    from: "  if (part.index <= state.log.committed) return false;\n",
    to: "",
    foundBy: SNAPSHOTS,
  },
  {
    name: "a snapshot replaces a log that goes on behind it",
    file: "src/raft/roles/snapshots.ts",
    from: "if (!state.log.matches(part.index, part.term)) return true;",
    to: "if (part.index > state.log.committed) return true;",
    foundBy: SNAPSHOTS,
  },
  {
    name: "a snapshot is acknowledged before it is on the disk",
    file: "src/raft/roles/snapshots.ts",
    from: "state.sendAfterSync(acknowledged);",
    to: "state.send(acknowledged);",
    foundBy: SNAPSHOTS,
  },
  {
    name: "a snapshot's members are not taken",
    file: "src/raft/roles/snapshots.ts",
    from: "  state.tracker.switchTo(config, index);\n",
    to: "",
    foundBy: SNAPSHOTS,
  },
  {
    name: "parts of two snapshots are put together",
    file: "src/raft/roles/snapshots.ts",
    from: "before.index === part.index &&",
    to: "before.index > 0 &&",
    foundBy: SNAPSHOTS,
  },
  {
    name: "parts of two terms' snapshots are put together",
    file: "src/raft/roles/snapshots.ts",
    from: "before.term === part.term &&",
    to: "before.term > 0 &&",
    foundBy: SNAPSHOTS,
  },
  {
    name: "a campaign while a snapshot is being stored",
    file: "src/raft/roles/state.ts",
    from: "return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;",
    to: "return own !== undefined && !own.isLearner;",
    foundBy: SNAPSHOTS,
  },
  {
    name: "entries are applied before the snapshot that they follow",
    file: "src/raft/log/log.ts",
    from: "      this.#unstable.snapshot === undefined &&\n",
    to: "",
    foundBy: SNAPSHOTS,
  },
  {
    name: "appends go on while a snapshot travels",
    file: "src/raft/group/progress.ts",
    from: 'return this.state === "snapshot" || this.isPaused;',
    to: "return this.isPaused;",
    foundBy: SNAPSHOTS,
  },
  {
    name: "after a snapshot that failed, appends begin behind it",
    file: "src/raft/roles/replication.ts",
    from: "  if (!hasArrived) progress.pendingSnapshot = 0;\n",
    to: "",
    foundBy: SNAPSHOTS,
  },
  {
    name: "the window of appends is never full",
    file: "src/raft/group/inflights.ts",
    from: "return this.count >= messagesMax || this.#entries >= entriesMax || this.#bytes >= bytesMax;",
    to: "return this.count >= messagesMax && this.#entries >= entriesMax && this.#bytes >= bytesMax;",
    foundBy: PROGRESS,
  },
];
