/**
 * What a message must be before the core looks at it. Messages come over a network from who knows what:
 * whatever is wrong with one is a reason to refuse and count it, never an error that is thrown. After this,
 * an invariant that fails is a fault of our own.
 */
import { configProblem } from "../group/config.ts";
import type { Entry } from "../log/entry.ts";
import type { SnapshotPart } from "../log/snapshot.ts";
import type { Settings } from "../options.ts";
import { type Message, MESSAGE_TYPES, MESSAGE_VERSION, type MessageType } from "./message.ts";

/**
 * Why a message was refused. `version`, `type`: unknown. `address`: not to us, or from us. `number`: not a
 * safe integer that can be. `entries`: out of order, or of terms that cannot be. `size`: too many entries.
 * `term`: beyond any that elections could have reached. `snapshot`: not one part of a possible snapshot.
 * `stranger`: an answer from a peer that is no member. `beyondLog`: about entries that we never had.
 * `leader`: another leader of the same term. `lease`: a vote while the leader is alive (by design).
 * `stale`: of a term that is over (by design).
 */
export const REFUSALS = [
  "version",
  "type",
  "address",
  "number",
  "entries",
  "size",
  "term",
  "snapshot",
  "stranger",
  "beyondLog",
  "leader",
  "lease",
  "stale",
] as const;

export type Refusal = (typeof REFUSALS)[number];

const TYPES: ReadonlySet<string> = new Set(MESSAGE_TYPES);

/** Parts that one snapshot may have. */
const PARTS_MAX = 2 ** 20;

/** Types that travel without a term: what is forwarded to a leader claims none. */
const TERMLESS: ReadonlySet<MessageType> = new Set<MessageType>(["propose", "readIndex", "transferLeader"]);

/** Why a message that arrived at peer `id`, in `term`, is refused; undefined when it is well. */
export function messageProblem(
  message: Message,
  id: number,
  term: number,
  settings: Settings,
): Refusal | undefined {
  if (typeof message !== "object" || message === null) return "type";
  if (message.version !== MESSAGE_VERSION) return "version";
  if (!TYPES.has(message.type)) return "type";
  if (message.to !== id || !isPeerId(message.from) || message.from === id) return "address";
  const { index, logTerm, commitIndex, hint, context } = message;
  if (!(isCount(message.term) && isCount(index) && isCount(logTerm))) return "number";
  if (!(isCount(commitIndex) && isCount(hint) && isCount(context))) return "number";
  if (!(isCount(message.knownIndex) && isCount(message.knownTerm))) return "number";
  if (typeof message.reject !== "boolean" || typeof message.force !== "boolean") return "number";
  if (TERMLESS.has(message.type) !== (message.term === 0)) return "term";
  if (message.term - term > settings.termLeapMax) return "term";
  if (logTerm > message.term && message.term > 0) return "term";
  return contentProblem(message, settings);
}

function contentProblem(message: Message, settings: Settings): Refusal | undefined {
  if (message.type !== "snapshot" && message.snapshot !== undefined) return "snapshot";
  const { type, entries } = message;
  if (!Array.isArray(entries)) return "entries";
  if (entries.length > settings.entriesMax) return "size";
  if (type === "append") return appendProblem(message);
  if (type === "propose") return areCommands(entries) ? undefined : "entries";
  if (entries.length > 0) return "entries";
  if (type === "snapshot") return partProblem(message.snapshot, message.term);
  if (type === "appendResponse" && message.reject && message.hint > message.index) return "number";
  return type === "transferLeader" && !isPeerId(message.context) ? "number" : undefined;
}

/** Entries follow each other, and no term falls or is later than the sender's. */
function appendProblem(message: Message): Refusal | undefined {
  let { index, logTerm: term } = message;
  for (const entry of message.entries) {
    index += 1;
    if (!isCommand(entry) || !isCount(entry.term)) return "entries";
    if (entry.index !== index || entry.term < term || entry.term === 0) return "entries";
    ({ term } = entry);
  }
  return term <= message.term && Number.isSafeInteger(index) ? undefined : "entries";
}

function areCommands(entries: readonly Entry[]): boolean {
  // Unlike every(), this looks at holes.
  for (const entry of entries) if (!isCommand(entry)) return false;
  return entries.length > 0;
}

function isCommand(entry: Entry): boolean {
  if (typeof entry !== "object" || entry === null) return false;
  return (entry.kind === "normal" || entry.kind === "config") && entry.data instanceof Uint8Array;
}

function partProblem(part: SnapshotPart | undefined, term: number): Refusal | undefined {
  if (typeof part !== "object" || part === null) return "snapshot";
  const { index, term: snapshotTerm, part: at, parts } = part;
  if (!(isCount(index) && isCount(snapshotTerm) && isCount(at) && isCount(parts))) return "snapshot";
  if (index === 0 || snapshotTerm === 0 || snapshotTerm > term) return "snapshot";
  if (parts > PARTS_MAX || at >= parts) return "snapshot";
  if (!(part.data instanceof Uint8Array)) return "snapshot";
  return isConfig(part.config) ? undefined : "snapshot";
}

function isConfig(config: SnapshotPart["config"]): boolean {
  if (typeof config !== "object" || config === null) return false;
  const { voters, outgoing, learners, learnersNext, autoLeave } = config;
  if (![voters, outgoing, learners, learnersNext].every((ids) => Array.isArray(ids))) return false;
  return typeof autoLeave === "boolean" && voters.length > 0 && configProblem(config) === undefined;
}

function isPeerId(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
