/**
 * The core's options: their meaning, their defaults, and what is refused. Times are in ticks, whose length
 * is the driver's affair.
 */
import { CoterieError, quote } from "../errors.ts";
import type { Random } from "../env/index.ts";

export interface RaftOptions {
  /** This peer: a positive safe integer, never used by another peer, not even after this one is gone. */
  readonly peerId: number;
  /** Where election timeouts come from, and the first id of a read. */
  readonly random: Random;
  /** A follower campaigns after this many to twice as many silent ticks. Default 10; above heartbeatTicks. */
  readonly electionTicks?: number | undefined;
  /** A leader sends heartbeats each so many ticks. Default 1. */
  readonly heartbeatTicks?: number | undefined;
  /** Ask whether an election could be won before a term is spent on it (thesis, 9.6). Default true. */
  readonly preVote?: boolean | undefined;
  /** A leader that does not hear a quorum for an election timeout steps down. Default true. */
  readonly checkQuorum?: boolean | undefined;
  /** A leader that is removed or made a learner steps down. Default true; see the manual before you don't. */
  readonly stepDownOnRemoval?: boolean | undefined;
  /**
   * `safe`: each batch of reads is confirmed by a quorum. `lease`: a leader that was confirmed less than an
   * election timeout ago answers at once, which is only right while the ticks of all peers run equally fast
   * and no peer is back within an election timeout of stopping; needs checkQuorum. Default `safe`.
   */
  readonly reads?: "safe" | "lease" | undefined;
  /** Whether a follower hands proposals to the leader, or refuses them. Default true. */
  readonly forwardProposals?: boolean | undefined;
  /** Whether changes of members are checked before they enter the log. Default true; false is for tests. */
  readonly validateChanges?: boolean | undefined;
  /**
   * Whether a request for a vote waits for the disk, as a vote does. Default true. False is etcd's flow of
   * messages where writes overlap, for replaying its scripts: a crash at the wrong moment then loses entries.
   */
  readonly questionsWait?: boolean | undefined;
  /**
   * Whether the driver may write to the log while it applies entries. Then only what is on the disk is
   * handed out as committed, and several writes may be under way. Default false: each Ready's write is done
   * before its committed entries are applied.
   */
  readonly overlapsWrites?: boolean | undefined;
  /** Entries of one append, in bytes; a single larger entry still travels. Default 1 MiB. */
  readonly appendBytesMax?: number | undefined;
  /** Committed entries that the state machine was given and has not reported, in bytes. Default 8 MiB. */
  readonly applyingBytesMax?: number | undefined;
  /** A leader's commands that are not yet applied, in bytes; beyond, OVERLOADED. Default 64 MiB. */
  readonly uncommittedBytesMax?: number | undefined;
  /** Appends on their way to one follower. Default 256. */
  readonly inflightMessagesMax?: number | undefined;
  /** Entries in them. Default 65,536. */
  readonly inflightEntriesMax?: number | undefined;
  /** The bytes of their commands. Default 16 MiB. */
  readonly inflightBytesMax?: number | undefined;
  /** Reads that wait for their confirmation; beyond, OVERLOADED. Default 100,000. */
  readonly readsMax?: number | undefined;
  /** Parts of a snapshot on their way to one follower. Default 4. */
  readonly snapshotPartsMax?: number | undefined;
  /** A snapshot that nobody acknowledges is sent on after so many ticks. Default twice electionTicks. */
  readonly snapshotResendTicks?: number | undefined;
  /** A snapshot that is larger is not taken in: what its parts come to, in bytes. Default 1 GiB. */
  readonly snapshotBytesMax?: number | undefined;
  /** Entries that one message may hold; more are refused on arrival. Default 65,536. */
  readonly entriesMax?: number | undefined;
  /** A message whose term is so far ahead is refused: nobody loses so many elections. Default 2^32. */
  readonly termLeapMax?: number | undefined;
}

export type Settings = { readonly [Name in keyof RaftOptions]-?: Exclude<RaftOptions[Name], undefined> };

const MIB = 1024 * 1024;

const BOOLEANS = [
  "preVote",
  "checkQuorum",
  "stepDownOnRemoval",
  "forwardProposals",
  "validateChanges",
  "questionsWait",
  "overlapsWrites",
] as const;

const COUNTS = [
  "peerId",
  "electionTicks",
  "heartbeatTicks",
  "appendBytesMax",
  "applyingBytesMax",
  "uncommittedBytesMax",
  "inflightMessagesMax",
  "inflightEntriesMax",
  "inflightBytesMax",
  "readsMax",
  "snapshotPartsMax",
  "snapshotResendTicks",
  "snapshotBytesMax",
  "entriesMax",
  "termLeapMax",
] as const;

/** Smaller limits on bytes than this still let single entries through; zero would say the same. */
export function readOptions(options: RaftOptions): Settings {
  const { electionTicks = 10 } = options;
  const settings: Settings = {
    peerId: options.peerId,
    random: options.random,
    electionTicks,
    heartbeatTicks: options.heartbeatTicks ?? 1,
    preVote: options.preVote ?? true,
    checkQuorum: options.checkQuorum ?? true,
    stepDownOnRemoval: options.stepDownOnRemoval ?? true,
    reads: options.reads ?? "safe",
    forwardProposals: options.forwardProposals ?? true,
    validateChanges: options.validateChanges ?? true,
    questionsWait: options.questionsWait ?? true,
    overlapsWrites: options.overlapsWrites ?? false,
    appendBytesMax: options.appendBytesMax ?? MIB,
    applyingBytesMax: options.applyingBytesMax ?? 8 * MIB,
    uncommittedBytesMax: options.uncommittedBytesMax ?? 64 * MIB,
    inflightMessagesMax: options.inflightMessagesMax ?? 256,
    inflightEntriesMax: options.inflightEntriesMax ?? 65_536,
    inflightBytesMax: options.inflightBytesMax ?? 16 * MIB,
    readsMax: options.readsMax ?? 100_000,
    snapshotPartsMax: options.snapshotPartsMax ?? 4,
    snapshotResendTicks: options.snapshotResendTicks ?? 2 * electionTicks,
    snapshotBytesMax: options.snapshotBytesMax ?? 1024 * MIB,
    entriesMax: options.entriesMax ?? 65_536,
    termLeapMax: options.termLeapMax ?? 2 ** 32,
  };
  for (const name of COUNTS) requireCount(name, settings[name]);
  for (const name of BOOLEANS) {
    if (typeof settings[name] !== "boolean") refuse(name, "true or false", settings[name]);
  }
  if (settings.reads !== "safe" && settings.reads !== "lease") {
    refuse("reads", "safe or lease", settings.reads);
  }
  if (electionTicks <= settings.heartbeatTicks) {
    refuse("electionTicks", "above heartbeatTicks", electionTicks);
  }
  if (settings.reads === "lease" && !settings.checkQuorum) {
    refuse("reads", "safe unless checkQuorum is on", settings.reads);
  }
  return settings;
}

function requireCount(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    refuse(name, "a safe integer of at least 1", value);
  }
}

function refuse(name: string, wanted: string, value: unknown): never {
  throw new CoterieError("INVALID_OPTION", `raft: ${name} is ${wanted}, got ${quote(value)}`, {
    details: { name, value },
  });
}
