/**
 * Planted bugs about members and their changes. Each `from` occurs once in its file;
 * `foundBy` is the test that fails with it.
 */
import type { Mutation } from "./mutation.ts";

const ELECTIONS = "test/raft/elections.test.ts";
const MEMBERSHIP = "test/raft/membership.test.ts";
const DRIVER = "test/raft/misuse/driver.test.ts";
const GROUP = "test/raft/units/group.test.ts";
const JOINT = "test/raft/joint.test.ts";

export const GROUPS: readonly Mutation[] = [
  {
    name: "two changes of members at once",
    file: "src/raft/roles/proposing.ts",
    from: "if (pendingConfigIndex > log.applied) {",
    to: "if (pendingConfigIndex > log.lastIndex) {",
    foundBy: MEMBERSHIP,
  },
  {
    name: "a new leader changes members before it knows what is committed",
    file: "src/raft/roles/transitions.ts",
    from: "  state.pendingConfigIndex = state.log.lastIndex;\n",
    to: "",
    foundBy: MEMBERSHIP,
  },
  {
    name: "a removed leader goes on leading",
    file: "src/raft/roles/proposing.ts",
    from: "if (state.settings.stepDownOnRemoval) becomeFollower(state, state.term, NOBODY);",
    to: "",
    foundBy: MEMBERSHIP,
  },
  {
    name: "a joint commit counts one half",
    file: "src/raft/group/quorum.ts",
    from: "const reached = Math.min(incoming, outgoing);",
    to: "const reached = incoming;",
    foundBy: JOINT,
  },
  {
    name: "a joint election counts one half",
    file: "src/raft/group/quorum.ts",
    from: "if (incoming === outgoing) return incoming;",
    to: "if (incoming !== outgoing || incoming === outgoing) return incoming;",
    foundBy: JOINT,
  },
  {
    name: "several changes at once without a joint configuration",
    file: "src/raft/group/config.ts",
    from: "const joint = { ...config, outgoing: config.voters };",
    to: "const joint = { ...config, outgoing: config.outgoing };",
    foundBy: GROUP,
  },
  {
    name: "a joint configuration is left before it is applied",
    file: "src/raft/roles/proposing.ts",
    from: " || state.log.applied < state.pendingConfigIndex) return;",
    to: ") return;",
    foundBy: JOINT,
  },
  {
    name: "outgoing voters that stay as learners are lost",
    file: "src/raft/group/config.ts",
    from: "const learners = sorted([...config.learners, ...config.learnersNext]);",
    to: "const learners = config.learners;",
    foundBy: JOINT,
  },
  {
    name: "learners count in the quorum",
    file: "src/raft/group/tracker.ts",
    from: "return reachedByQuorum(this.#config, (peerId) => this.#progress.get(peerId)?.matchIndex ?? 0);",
    to:
      "return reachedByQuorum({ ...this.#config, voters: this.#members }, " +
      "(peerId) => this.#progress.get(peerId)?.matchIndex ?? 0);",
    foundBy: MEMBERSHIP,
  },
  {
    name: "learners campaign",
    file: "src/raft/roles/state.ts",
    from: "return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;",
    to: "return own !== undefined && this.log.unstable.snapshot === undefined;",
    foundBy: MEMBERSHIP,
  },
  {
    name: "a campaign with a committed change that is not applied",
    file: "src/raft/roles/election.ts",
    from: "  if (state.log.hasUnappliedChange) return;\n",
    to: "",
    foundBy: MEMBERSHIP,
  },
  {
    name: "a peer may be two configurations behind after a restart",
    file: "src/raft/roles/state.ts",
    from: "if (settings.validateChanges) this.log.commitProvenChanges();",
    to: "",
    foundBy: JOINT,
  },
  {
    name: "a change that a snapshot has overtaken changes the snapshot's members",
    file: "src/raft/raft.ts",
    from: 'if (isOvertaken && entry.kind === "config") {',
    to: "if (isOvertaken && entry.index < 0) {",
    foundBy: DRIVER,
  },
  {
    name: "a peer that was removed is still listened to",
    file: "src/raft/roles/step.ts",
    from: 'if (isResponse(message.type) && state.tracker.of(message.from) === undefined) return "stranger";',
    to: "",
    foundBy: ELECTIONS,
  },
];
