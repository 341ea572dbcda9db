/**
 * Planted bugs about terms, votes and elections. Each `from` occurs once in its file;
 * `foundBy` is the test that fails with it.
 */
import type { Mutation } from "./mutation.ts";

const ELECTIONS = "test/raft/elections.test.ts";
const SAFETY = "test/raft/safety.test.ts";

export const ELECTIONS_AND_TERMS: readonly Mutation[] = [
  {
    name: "two votes in a term",
    file: "src/raft/roles/election.ts",
    from: "(state.votedFor === NOBODY && state.leader === NOBODY) ||",
    to: "state.leader === NOBODY ||",
    foundBy: ELECTIONS,
  },
  {
    name: "a vote for a log that is behind",
    file: "src/raft/roles/election.ts",
    from: "if (!mayVote || !state.log.isUpToDate(message.index, message.logTerm)) {",
    to: "if (!mayVote) {",
    foundBy: SAFETY,
  },
  {
    name: "logs are compared by length before term",
    file: "src/raft/log/log.ts",
    from: "return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);",
    to: "return lastIndex > this.lastIndex || (lastIndex === this.lastIndex && lastTerm >= this.lastTerm);",
    foundBy: SAFETY,
  },
  {
    name: "a vote leaves before it is on the disk",
    file: "src/raft/roles/election.ts",
    from: "state.sendAfterSync(answer, message.term);",
    to: "state.sendInTerm(answer, message.term);",
    foundBy: ELECTIONS,
  },
  {
    name: "a vote is asked for before the disk has what it claims",
    file: "src/raft/roles/election.ts",
    from: "if (isPre || !state.settings.questionsWait) state.sendInTerm(message, term);",
    to: "if (term > 0) state.sendInTerm(message, term);",
    foundBy: ELECTIONS,
  },
  {
    name: "the own vote counts before it is on the disk",
    file: "src/raft/roles/election.ts",
    from: "state.sendAfterSync(new MessageDraft(voteResponseType(type), peerId), term);",
    to: "state.tracker.recordVote(peerId, true);",
    foundBy: ELECTIONS,
  },
  {
    name: "a refused vote counts as granted",
    file: "src/raft/roles/election.ts",
    from: "state.tracker.recordVote(message.from, !message.reject);",
    to: "state.tracker.recordVote(message.from, true);",
    foundBy: ELECTIONS,
  },
  {
    name: "votes of the election before are kept",
    file: "src/raft/roles/transitions.ts",
    from: "state.hasHandedOver = false;\n  state.tracker.clearVotes();",
    to: "state.hasHandedOver = false;",
    foundBy: ELECTIONS,
  },
  {
    name: "a new term keeps the old vote",
    file: "src/raft/roles/transitions.ts",
    from: "    state.votedFor = NOBODY;\n",
    to: "",
    foundBy: ELECTIONS,
  },
  {
    name: "a new term is not stored",
    file: "src/raft/raft.ts",
    from: "return this.#mustSync() || this.#state.log.committed",
    to: "return this.#state.votedFor !== this.#storedVote || this.#state.log.committed",
    foundBy: ELECTIONS,
  },
  {
    name: "a vote is not stored",
    file: "src/raft/raft.ts",
    from: "return { term, votedFor, commitIndex: log.committed };",
    to: "return { term, votedFor: NOBODY, commitIndex: log.committed };",
    foundBy: ELECTIONS,
  },
  {
    name: "a vote is stored without a sync",
    file: "src/raft/raft.ts",
    from: "return this.#state.term !== this.#storedTerm || this.#state.votedFor !== this.#storedVote;",
    to: "return this.#state.term !== this.#storedTerm;",
    foundBy: ELECTIONS,
  },
  {
    name: "half of the voters are a majority",
    file: "src/raft/group/quorum.ts",
    from: "return (n >>> 1) + 1;",
    to: "return (n + 1) >>> 1;",
    foundBy: ELECTIONS,
  },
  {
    name: "messages of earlier terms are taken",
    file: "src/raft/roles/step.ts",
    from: "} else if (message.term !== 0 && message.term < state.term) {",
    to: "} else if (message.term < 0) {",
    foundBy: ELECTIONS,
  },
  {
    name: "a second leader of the term is followed",
    file: "src/raft/roles/step.ts",
    from: "state.leader !== NOBODY && state.leader !== from) return",
    to: "state.leader < NOBODY) return",
    foundBy: ELECTIONS,
  },
  {
    name: "a peer that votes does not wait anew",
    file: "src/raft/roles/election.ts",
    from: "  state.electionElapsed = 0;\n  state.votedFor = from;",
    to: "  state.votedFor = from;",
    foundBy: ELECTIONS,
  },
];
