/**
 * Planted bugs about the log, what is committed, and what is stored and applied. Each `from` occurs once in
 * its file; `foundBy` is the test that fails with it.
 */
import type { Mutation } from "./mutation.ts";

const REPLICATION = "test/raft/replication.test.ts";
const SAFETY = "test/raft/safety.test.ts";
const DRIVER = "test/raft/misuse/driver.test.ts";
const STORAGE = "test/raft/misuse/storage.test.ts";
const MESSAGES = "test/raft/misuse/messages.test.ts";
const LIMITS = "test/raft/misuse/limits.test.ts";

export const LOGS_AND_COMMITS: readonly Mutation[] = [
  {
    name: "an earlier term's entry is committed by counting",
    file: "src/raft/roles/replication.ts",
    from: "if (index <= log.committed || log.term(index) !== state.term) return false;",
    to: "if (index <= log.committed) return false;",
    foundBy: SAFETY,
  },
  {
    name: "a leader counts itself before its disk has the entry",
    file: "src/raft/roles/replication.ts",
    from: "state.sendAfterSync(own);",
    to: "state.tracker.of(state.id)?.maybeUpdate(index);",
    foundBy: REPLICATION,
  },
  {
    name: "a leader's entries carry the term of the entry before",
    file: "src/raft/roles/replication.ts",
    from: "entries.push(new Entry(index, term, kind, data));",
    to: "entries.push(new Entry(index, Math.max(log.lastTerm, 1), kind, data));",
    foundBy: SAFETY,
  },
  {
    name: "what was acknowledged in an earlier term still counts",
    file: "src/raft/group/progress.ts",
    from: "this.matchIndex = isSelf ? lastIndex : 0;",
    to: "if (isSelf) this.matchIndex = lastIndex;",
    foundBy: SAFETY,
  },
  {
    name: "an acknowledgement of entries that the leader never had is taken",
    file: "src/raft/roles/step.ts",
    from: 'if (!message.reject && message.index > state.log.lastIndex) return "beyondLog";',
    to: "",
    foundBy: MESSAGES,
  },
  {
    name: "a heartbeat tells a commit index beyond the follower's match",
    file: "src/raft/roles/replication.ts",
    from: "const commitIndex = Math.min(progress.matchIndex, state.log.committed);",
    to: "const commitIndex = state.log.committed;",
    foundBy: REPLICATION,
  },
  {
    name: "a follower commits beyond what the leader sent",
    file: "src/raft/roles/following.ts",
    from: "log.commitTo(Math.min(message.commitIndex, last));",
    to: "log.commitTo(Math.min(message.commitIndex, log.lastIndex));",
    foundBy: REPLICATION,
  },
  {
    name: "a follower acknowledges its whole log",
    file: "src/raft/roles/following.ts",
    from: "answer.index = last;",
    to: "answer.index = log.lastIndex;",
    foundBy: REPLICATION,
  },
  {
    name: "a follower acknowledges before the entries are on the disk",
    file: "src/raft/roles/following.ts",
    from: "answer.index = last;\n    state.sendAfterSync(answer);",
    to: "answer.index = last;\n    state.send(answer);",
    foundBy: REPLICATION,
  },
  {
    name: "a late append cuts off what a later one brought",
    file: "src/raft/log/log.ts",
    from: "if (same < entries.length) this.append(same === 0 ? entries : entries.slice(same));",
    to: "if (entries.length > 0) this.append(entries);",
    foundBy: REPLICATION,
  },
  {
    name: "an append is taken although the entry before differs",
    file: "src/raft/log/log.ts",
    from: "if (!this.matches(index, term)) return undefined;",
    to: "if (index > this.lastIndex) return undefined;",
    foundBy: REPLICATION,
  },
  {
    name: "an append below the commit index is taken in",
    file: "src/raft/roles/following.ts",
    from: "if (index < log.committed) {",
    to: "if (index < 0) {",
    foundBy: REPLICATION,
  },
  {
    name: "a leader steps back less far than the hint says",
    file: "src/raft/group/progress.ts",
    from: "this.nextIndex = Math.max(Math.min(refused, hint + 1), this.matchIndex + 1);",
    to: "this.nextIndex = Math.max(Math.min(refused, hint + 2), this.matchIndex + 1);",
    foundBy: REPLICATION,
  },
  {
    name: "a late refusal takes back what was acknowledged",
    file: "src/raft/group/progress.ts",
    from: "if (refused <= this.matchIndex) return false;",
    to: "this.matchIndex = Math.min(this.matchIndex, hint);",
    foundBy: REPLICATION,
  },
  {
    name: "entries are handed out twice",
    file: "src/raft/log/log.ts",
    from: "    this.#applying = last.index;\n",
    to: "",
    foundBy: DRIVER,
  },
  {
    name: "entries are applied before they are on the disk, where writes overlap",
    file: "src/raft/log/log.ts",
    from: "return mayBeUnstable ? this.#committed : Math.min(this.#committed, this.#unstable.offset - 1);",
    to: "return this.#committed;",
    foundBy: DRIVER,
  },
  {
    name: "a write that was overtaken by a cut is believed",
    file: "src/raft/raft.ts",
    from: "if (done.lastIndex > 0 && done.truncations === unstable.truncations) {",
    to: "if (done.lastIndex > 0) {",
    foundBy: DRIVER,
  },
  {
    name: "what the storage gives back is believed",
    file: "src/raft/log/log.ts",
    from: "if (entry?.index !== from + at || entry.term !== this.#terms.at(entry.index)) {",
    to: "if (entry === undefined) {",
    foundBy: STORAGE,
  },
  {
    name: "entries of an append are not looked at",
    file: "src/raft/message/check.ts",
    from: 'if (type === "append") return appendProblem(message);',
    to: 'if (type === "append") return undefined;',
    foundBy: MESSAGES,
  },
  {
    name: "a term of the far future is taken on",
    file: "src/raft/message/check.ts",
    from: 'if (message.term - term > settings.termLeapMax) return "term";',
    to: "",
    foundBy: MESSAGES,
  },
  {
    name: "a leader takes any number of proposals",
    file: "src/raft/roles/replication.ts",
    from: "if (!hasRoom && bytes > 0 && state.uncommittedBytes > 0) return false;",
    to: "",
    foundBy: LIMITS,
  },
];
