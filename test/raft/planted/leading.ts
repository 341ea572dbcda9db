/**
 * Planted bugs about keeping the lead and passing it on. Each `from` occurs once in its file;
 * `foundBy` is the test that fails with it.
 */
import type { Mutation } from "./mutation.ts";

const LEADERSHIP = "test/raft/leadership.test.ts";
const TRANSFER = "test/raft/transfer.test.ts";

export const LEADERS: readonly Mutation[] = [
  {
    name: "asking before an election raises the term of those who are asked",
    file: "src/raft/roles/step.ts",
    from: 'if (type === "preVote" || (type === "preVoteResponse" && !message.reject)) return;',
    to: 'if (type === "preVoteResponse" && !message.reject) return;',
    foundBy: LEADERSHIP,
  },
  {
    name: "asking before an election raises the own term",
    file: "src/raft/roles/transitions.ts",
    from: 'state.role = "preCandidate";',
    to: 'state.role = "preCandidate";\n  state.term += 1;',
    foundBy: LEADERSHIP,
  },
  {
    name: "votes are given while the leader is alive",
    file: "src/raft/roles/step.ts",
    from: 'if (isInLease(state, message)) return "lease";',
    to: "",
    foundBy: LEADERSHIP,
  },
  {
    name: "a leader without a quorum leads on",
    file: "src/raft/roles/ticking.ts",
    from: "    if (settings.checkQuorum) checkQuorum(state);\n",
    to: "",
    foundBy: LEADERSHIP,
  },
  {
    name: "a follower that was heard once is alive for ever",
    file: "src/raft/roles/ticking.ts",
    from: "if (peerId !== id && progress !== undefined) progress.isRecentlyActive = false;",
    to: "if (peerId === id && progress !== undefined) progress.isRecentlyActive = true;",
    foundBy: LEADERSHIP,
  },
  {
    name: "proposals are taken while leadership is handed over",
    file: "src/raft/roles/proposing.ts",
    from: 'if (state.transferee !== NOBODY) return { outcome: "refused", reason: "transferring" };',
    to: "",
    foundBy: TRANSFER,
  },
  {
    name: "a transfer is never given up",
    file: "src/raft/roles/ticking.ts",
    from: '    if (state.role === "leader") giveUpTransfer(state);\n',
    to: "",
    foundBy: TRANSFER,
  },
  {
    name: "leadership is handed to a peer that lags",
    file: "src/raft/roles/transfer.ts",
    from: "if (progress.matchIndex === state.log.lastIndex) sendTimeoutNow(state, to);",
    to: "if (progress.matchIndex >= 0) sendTimeoutNow(state, to);",
    foundBy: TRANSFER,
  },
  {
    name: "the votes of a transfer do not pass the lease",
    file: "src/raft/roles/election.ts",
    from: 'message.force = campaign === "transfer";',
    to: "message.force = false;",
    foundBy: TRANSFER,
  },
];
