/**
 * What enters the log, and who decides in it. A leader appends; a follower forwards to its leader or
 * refuses; nothing is dropped silently. Changes of members pass one at a time: the next one enters when the
 * one before is applied (thesis, 4.3), and a configuration is in force from where it is applied.
 */
import { invariant } from "../../invariant.ts";
import { changed, type Config, type ConfigChange, isJoint, isVoter, leavesJoint } from "../group/config.ts";
import { decodeChange } from "../group/change-codec.ts";
import { Entry, NO_DATA } from "../log/entry.ts";
import { type Message, MessageDraft, NOBODY } from "../message/message.ts";
import { appendOwn, broadcastAppend, type Command, EMPTY_COMMAND, maybeCommit } from "./replication.ts";
import { answerConfirmed } from "./reading.ts";
import type { RaftState } from "./state.ts";
import { abortTransfer, becomeFollower } from "./transitions.ts";

/**
 * Why a proposal was not taken: `noLeader` nobody is known to lead; `notLeader` this peer does not lead and
 * forwards nothing; `removed` this leader is no member; `transferring` leadership is being handed over;
 * `overloaded` too much waits; `changePending`, `changeInvalid` for a change of members.
 */
export type ProposalRefusal =
  "noLeader" | "notLeader" | "removed" | "transferring" | "overloaded" | "changePending" | "changeInvalid";

export type Proposed =
  /** In the leader's log at these indexes, of this term: committed if that term's leader lasts. */
  | { readonly outcome: "appended"; readonly firstIndex: number; readonly term: number }
  /** On its way to the leader; `context` names it if the leader refuses. Its loss is not told. */
  | { readonly outcome: "forwarded"; readonly context: number }
  | { readonly outcome: "refused"; readonly reason: ProposalRefusal; readonly problem?: string };

/** Takes commands in, all or none. */
export function propose(state: RaftState, commands: readonly Command[]): Proposed {
  if (state.role === "leader") return proposeAsLeader(state, commands);
  if (state.role === "follower") return forwardProposal(state, commands);
  return { outcome: "refused", reason: "noLeader" };
}

/** A follower's proposal reaches this peer. */
export function handlePropose(state: RaftState, message: Message): void {
  const proposed: Proposed =
    state.role === "leader"
      ? proposeAsLeader(state, message.entries)
      : { outcome: "refused", reason: "notLeader" };
  if (proposed.outcome !== "refused" || message.context === 0) return;
  const refusal = new MessageDraft("proposeRefused", message.from);
  refusal.context = message.context;
  state.send(refusal);
}

/** The change in a committed `config` entry comes into force. Returns the configuration after it. */
export function applyChange(state: RaftState, entry: Entry): Config {
  // One that took entries without the snapshot before them would hold itself for the only voter.
  invariant(state.tracker.config.voters.length > 0, "a change applies to members that are known", {
    index: entry.index,
  });
  const change = decodeChange(entry.data);
  const next = change === undefined ? "it does not decode" : changed(state.tracker.config, change);
  // Alike on every peer, since all apply the same entry to the same configuration.
  if (typeof next === "string") return state.tracker.config;
  switchConfig(state, next);
  return next;
}

/** The leader leaves a joint configuration as soon as that one is applied. */
export function maybeLeaveJoint(state: RaftState): void {
  const { config } = state.tracker;
  if (!config.autoLeave || state.role !== "leader" || state.log.applied < state.pendingConfigIndex) return;
  // Refused while leadership is handed over: the next leader, or the next applied entry, tries again.
  proposeAsLeader(state, [{ kind: "config", data: NO_DATA }]);
}

function proposeAsLeader(state: RaftState, commands: readonly Command[]): Proposed {
  if (state.tracker.of(state.id) === undefined) return { outcome: "refused", reason: "removed" };
  if (state.transferee !== NOBODY) return { outcome: "refused", reason: "transferring" };
  const { pendingConfigIndex } = state;
  const firstIndex = state.log.lastIndex + 1;
  let refusal: Proposed | undefined;
  let checked = commands;
  for (let at = 0; at < commands.length; at += 1) {
    const command = commands[at] as Command;
    if (command.kind !== "config") continue;
    const refused = checkChange(state, command.data);
    if (refused === undefined) {
      state.pendingConfigIndex = firstIndex + at;
      continue;
    }
    // An empty entry in its place: what was proposed with it keeps its index.
    checked = checked.toSpliced(at, 1, EMPTY_COMMAND);
    refusal ??= refused;
  }
  if (!appendOwn(state, checked)) {
    state.pendingConfigIndex = pendingConfigIndex;
    return { outcome: "refused", reason: "overloaded" };
  }
  broadcastAppend(state, true);
  return refusal ?? { outcome: "appended", firstIndex, term: state.term };
}

function forwardProposal(state: RaftState, commands: readonly Command[]): Proposed {
  if (state.leader === NOBODY) return { outcome: "refused", reason: "noLeader" };
  if (!state.settings.forwardProposals) return { outcome: "refused", reason: "notLeader" };
  const message = new MessageDraft("propose", state.leader);
  message.entries = commands.map(({ kind, data }) => new Entry(0, 0, kind, data));
  message.context = state.nextForwardId();
  state.forward(message);
  return { outcome: "forwarded", context: message.context };
}

function checkChange(state: RaftState, data: Uint8Array): Proposed | undefined {
  if (!state.settings.validateChanges) return undefined;
  const change = decodeChange(data);
  const pending = change === undefined ? undefined : pendingProblem(state, change);
  if (pending !== undefined) return { outcome: "refused", reason: "changePending", problem: pending };
  const next = change === undefined ? "it does not decode" : changed(state.tracker.config, change);
  return typeof next === "string"
    ? { outcome: "refused", reason: "changeInvalid", problem: next }
    : undefined;
}

function pendingProblem(state: RaftState, change: ConfigChange): string | undefined {
  const { pendingConfigIndex, log, tracker } = state;
  if (pendingConfigIndex > log.applied) {
    return `the change at index ${pendingConfigIndex} may not be applied yet (applied: ${log.applied})`;
  }
  const isLeaving = leavesJoint(change);
  if (isJoint(tracker.config) && !isLeaving) return "a joint configuration is left first";
  if (!isJoint(tracker.config) && isLeaving) return "only a joint configuration is left";
  return undefined;
}

function switchConfig(state: RaftState, config: Config): void {
  state.tracker.switchTo(config, state.log.lastIndex);
  if (state.role !== "leader") return;
  if (state.tracker.of(state.id)?.isLearner !== false) {
    // Without a vote of its own it would go on confirming reads that it cannot know to be current.
    if (state.settings.stepDownOnRemoval) becomeFollower(state, state.term, NOBODY);
    return;
  }
  answerConfirmed(state);
  // Fewer voters may need fewer acknowledgements; newcomers need not wait for the next heartbeat.
  broadcastAppend(state, maybeCommit(state));
  if (state.transferee !== NOBODY && !isVoter(config, state.transferee)) abortTransfer(state);
}
