/**
 * The bounds. Those of the store decide what is remembered and what is refused, so all peers of a group must
 * have the same: they are part of the state's hash, and a snapshot made under others is not restored.
 * Those of commands are checked by whoever proposes, before an entry exists; peers may differ in them.
 */
import { type Field, numberField, readOptions } from "../options.ts";
import { OPS_MAX } from "./command.ts";

const MIB = 2 ** 20;

export interface MetaStoreOptions {
  /**
   * How many events are remembered for watches. Default 65,536. More lets watchers be away for longer and
   * costs memory. The oldest revisions go first, whole ones only: a command that changes more keys than this,
   * such as a deleteRange, leaves no events at all, its own included.
   */
  readonly historyEventsMax?: number | undefined;
  /**
   * How many bytes those events may count: values in bytes, keys in UTF-16 code units, and 64 for each event.
   * Default 64 MiB.
   */
  readonly historyBytesMax?: number | undefined;
  /** How many leases there may be; a grant beyond is refused. Default 100,000. */
  readonly leasesMax?: number | undefined;
  /** How many sessions there may be; opening one beyond forgets the least recently used. Default 10,000. */
  readonly sessionsMax?: number | undefined;
  /**
   * How many answers a session keeps for retries, so how many commands a client may have in flight. Default
   * 1,024. Beyond that the answer to the lowest sequence is forgotten, and that sequence refused.
   */
  readonly sessionAnswersMax?: number | undefined;
  /**
   * How many bytes all kept answers may count: their encodings, and 64 for each. Default 64 MiB. One session
   * has an eighth at most, beyond which the answers to its lowest sequences are forgotten, and an answer
   * larger than that at once; then, of the sessions that hold answers, the least recently used are forgotten.
   */
  readonly answersBytesMax?: number | undefined;
}

export type MetaLimits = { readonly [K in keyof MetaStoreOptions]-?: number };

const COUNT = { min: 1, max: 2 ** 31 - 1 };

const STORE: { readonly [K in keyof MetaLimits]: Field<number> } = {
  historyEventsMax: numberField(65_536, COUNT),
  historyBytesMax: numberField(64 * MIB, COUNT),
  leasesMax: numberField(100_000, COUNT),
  sessionsMax: numberField(10_000, COUNT),
  sessionAnswersMax: numberField(1_024, COUNT),
  answersBytesMax: numberField(64 * MIB, COUNT),
};

/** Their names, in the order in which a snapshot and the hash have them. */
export const LIMIT_NAMES = Object.keys(STORE) as readonly (keyof MetaLimits)[];

/** Throws INVALID_OPTION. */
export function readStoreOptions(options: MetaStoreOptions | undefined): MetaLimits {
  return readOptions("meta store", options, STORE);
}

export interface CommandLimitsOptions {
  /** The most bytes of a key in UTF-8. Default 1,024. */
  readonly keyBytesMax?: number | undefined;
  /** The most bytes of a value. Default 1 MiB. */
  readonly valueBytesMax?: number | undefined;
  /** The most comparisons, and the most ops of each branch, of a transaction, up to 4,096. Default 128. */
  readonly opsMax?: number | undefined;
  /** The most bytes of a command in its encoding. Default 1.5 MiB. */
  readonly commandBytesMax?: number | undefined;
}

export type CommandLimits = { readonly [K in keyof CommandLimitsOptions]-?: number };

const COMMANDS: { readonly [K in keyof CommandLimits]: Field<number> } = {
  keyBytesMax: numberField(1_024, COUNT),
  valueBytesMax: numberField(MIB, COUNT),
  opsMax: numberField(128, { min: 1, max: OPS_MAX }),
  commandBytesMax: numberField(1.5 * MIB, COUNT),
};

/** The limits of commands with defaults filled in, for `validateCommand`; throws INVALID_OPTION. */
export function commandLimits(options?: CommandLimitsOptions): CommandLimits {
  return readOptions("command limits", options, COMMANDS);
}

export const COMMAND_LIMITS: CommandLimits = commandLimits();
