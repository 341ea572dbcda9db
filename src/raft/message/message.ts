/**
 * What peers say to each other. One flat shape for every type, so that the core's hottest objects have one
 * hidden class; `README.md` has the table of which field means what in which type.
 * A message is never changed after it was sent: peers of one process may share it.
 */
import type { Entry } from "../log/entry.ts";
import type { SnapshotPart } from "../log/snapshot.ts";

/** The version of these messages; one with another version is refused. */
export const MESSAGE_VERSION = 1;

/** No peer: nobody was voted for, no leader is known. A peer id is a positive safe integer. */
export const NOBODY = 0;

export const MESSAGE_TYPES = [
  "append",
  "appendResponse",
  "heartbeat",
  "heartbeatResponse",
  "vote",
  "voteResponse",
  "preVote",
  "preVoteResponse",
  "snapshot",
  "snapshotResponse",
  "propose",
  "proposeRefused",
  "readIndex",
  "readIndexResponse",
  "transferLeader",
  "timeoutNow",
] as const;

export type MessageType = (typeof MESSAGE_TYPES)[number];

export type Message = Readonly<MessageDraft>;

const RESPONSES: ReadonlySet<MessageType> = new Set<MessageType>([
  "appendResponse",
  "heartbeatResponse",
  "voteResponse",
  "preVoteResponse",
  "snapshotResponse",
]);

const NO_ENTRIES: readonly Entry[] = [];

/** A message while it is filled in; `from` and `term` are set when it is sent. */
export class MessageDraft {
  version: number = MESSAGE_VERSION;
  type: MessageType;
  from: number = NOBODY;
  to: number;
  /** The sender's term; of a pre-vote and its grant the next one; 0 in what is forwarded to a leader. */
  term = 0;
  /** append: the entry before the first; responses: what is acknowledged, or was refused; vote: the last. */
  index = 0;
  /** The term of the entry at `index`; in a refusal, of the one at `hint`. */
  logTerm = 0;
  commitIndex = 0;
  entries: readonly Entry[] = NO_ENTRIES;
  reject = false;
  /** A refused append: where the logs may agree. A snapshot's response: the next part that is wanted. */
  hint = 0;
  /** The round of a read, the id of what was forwarded, or the peer that shall lead. 0: none. */
  context = 0;
  /** Votes and their answers: what the sender knows to be committed, and the term of that entry. */
  knownIndex = 0;
  knownTerm = 0;
  /** A vote that a leader asked for: it is given although that leader is alive. */
  force = false;
  snapshot: SnapshotPart | undefined = undefined;

  constructor(type: MessageType, to: number) {
    this.type = type;
    this.to = to;
  }
}

/** The answer's type to a vote of either kind. */
export function voteResponseType(type: MessageType): "voteResponse" | "preVoteResponse" {
  return type === "vote" ? "voteResponse" : "preVoteResponse";
}

/** What only a member may send. */
export function isResponse(type: MessageType): boolean {
  return RESPONSES.has(type);
}
