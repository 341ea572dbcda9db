/**
 * How a transcript writes things down. An entry is `index@term`, followed by its command or by the change of
 * members that it holds. Each type of message shows the fields that mean something in it, and always its
 * term, so that two messages that differ never look alike.
 */
import {
  type Config,
  type ConfigChange,
  decodeChange,
  type Entry,
  type Message,
  NOBODY,
  type PeerProgress,
  type RaftStatus,
  type Role,
  type SnapshotPart,
} from "../../../src/raft/index.ts";

const DECODER = new TextDecoder();

export function textOf(data: Uint8Array): string {
  return DECODER.decode(data);
}

export function describeMessage(message: Message): string {
  const { type, term } = message;
  const content = contentOf(message);
  return `${type}${term === 0 ? "" : `, term ${term}`}${content === "" ? "" : `, ${content}`}`;
}

export function describeEntry(entry: Entry): string {
  return `${idOf(entry.index, entry.term)} ${describeCommand(entry)}`;
}

export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => describeEntry(entry)).join(", ");
}

export function idOf(index: number, term: number): string {
  return `${index}@${term}`;
}

export function describeConfig(config: Config): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = config;
  const parts = [voters.length === 0 ? "no voters" : `voters ${voters.join(" ")}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(" ")}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(" ")}`);
  if (learnersNext.length > 0) parts.push(`learners next ${learnersNext.join(" ")}`);
  if (autoLeave) parts.push("to be left");
  return parts.join(", ");
}

export function describeRole(role: Role, term: number, leader: number): string {
  const who = `${role} of term ${term}`;
  if (role === "leader") return who;
  return leader === NOBODY ? `${who}, no leader` : `${who}, leader ${leader}`;
}

export function describeStatus(status: RaftStatus): string {
  const { role, term, leader, firstIndex, lastIndex, lastTerm, commitIndex, appliedIndex } = status;
  const log = lastIndex < firstIndex ? "log empty" : `log ${firstIndex} to ${idOf(lastIndex, lastTerm)}`;
  const learner = status.isLearner ? " (learner)" : "";
  const where = `${log}, commit ${commitIndex}, applied ${appliedIndex}`;
  return `${status.peerId}${learner} ${describeRole(role, term, leader)}, ${where}`;
}

export function describeProgress(progress: PeerProgress): string {
  const { peerId, state, matchIndex, nextIndex, inflights, pendingSnapshot } = progress;
  const parts = [`${peerId} ${state}`, `has ${matchIndex}`, `next ${nextIndex}`];
  if (progress.isLearner) parts.push("learner");
  if (inflights > 0) parts.push(`${inflights} in flight${progress.isWindowFull ? " (full)" : ""}`);
  if (progress.isThrottled) parts.push("paused");
  if (pendingSnapshot > 0) parts.push(`snapshot of ${pendingSnapshot}`);
  if (!progress.isRecentlyActive) parts.push("silent");
  return parts.join(", ");
}

function describeCommand({ kind, data }: Entry): string {
  if (kind === "normal") return JSON.stringify(textOf(data));
  const change = decodeChange(data);
  return change === undefined ? "change(?)" : `change(${describeChange(change)})`;
}

function describeChange({ transition, changes }: ConfigChange): string {
  if (changes.length === 0) return "leave";
  const words = { addVoter: "voter", addLearner: "learner", remove: "remove" } as const;
  return [...changes.map(({ kind, peerId }) => `${words[kind]} ${peerId}`), transition].join(", ");
}

function contentOf(message: Message): string {
  const { index, logTerm, commitIndex, reject, hint, context } = message;
  switch (message.type) {
    case "append":
      return `after ${idOf(index, logTerm)}, commit ${commitIndex}: ${
        message.entries.length === 0 ? "nothing" : describeEntries(message.entries)
      }`;
    case "appendResponse":
      return reject ? `refuses after ${index}, hint ${idOf(hint, logTerm)}` : `has ${index}`;
    case "heartbeat":
      return `commit ${commitIndex}${context === 0 ? "" : `, round ${context}`}`;
    case "heartbeatResponse":
      return context === 0 ? "" : `round ${context}`;
    case "vote":
    case "preVote":
      return `log ends with ${idOf(index, logTerm)}${message.force ? ", forced" : ""}`;
    case "voteResponse":
    case "preVoteResponse":
      return reject ? "refused" : "granted";
    case "snapshot":
      return describePart(message.snapshot);
    case "snapshotResponse":
      return `of ${idOf(index, logTerm)}, got part ${context}, wants part ${hint + 1}`;
    case "propose":
      return `id ${context}: ${message.entries.map((entry) => describeCommand(entry)).join(", ")}`;
    case "readIndexResponse":
      return `id ${context}, ${reject ? "refused" : `index ${index}`}`;
    case "proposeRefused":
    case "readIndex":
      return `id ${context}`;
    case "transferLeader":
      return `to ${context}`;
    case "timeoutNow":
      return "";
    default:
      return message.type satisfies never;
  }
}

function describePart(part: SnapshotPart | undefined): string {
  if (part === undefined) return "of nothing";
  const { index, term, config, data } = part;
  const which = `of ${idOf(index, term)}, part ${part.part + 1} of ${part.parts}`;
  return `${which}, ${describeConfig(config)}: ${JSON.stringify(textOf(data))}`;
}
