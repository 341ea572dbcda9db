/**
 * Who is a member: a configuration, and how one becomes the next (paper, section 6; thesis, chapter 4).
 * While `outgoing` is not empty the configuration is joint: every decision needs a majority of `voters` and
 * a majority of `outgoing`, so that the old and the new majority cannot decide without each other.
 * A configuration is a value: changing it makes a new one, and one that may not be is refused with a reason.
 */

export interface Config {
  /** Ascending; the voters, or the incoming ones of a joint configuration. */
  readonly voters: readonly number[];
  /** Ascending; the voters that a joint configuration leaves behind. Empty: not joint. */
  readonly outgoing: readonly number[];
  /** Ascending; peers that get the log and have no vote. */
  readonly learners: readonly number[];
  /** Ascending; outgoing voters that are learners once the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** Whether the leader leaves the joint configuration by itself as soon as it is applied. */
  readonly autoLeave: boolean;
}

export type ChangeKind = "addVoter" | "addLearner" | "remove";

export interface PeerChange {
  readonly kind: ChangeKind;
  readonly peerId: number;
}

/**
 * `auto`: one voter more or less at once, anything else through a joint configuration that is left by
 * itself. `implicit`: joint in any case. `explicit`: joint, and left only by another change without changes.
 */
export type Transition = "auto" | "implicit" | "explicit";

export interface ConfigChange {
  readonly transition: Transition;
  /** Empty, with `auto`: leave the joint configuration. */
  readonly changes: readonly PeerChange[];
}

/** How many changes one ConfigChange may hold. */
export const CHANGES_MAX = 64;

export const EMPTY_CONFIG: Config = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The configuration of a group that starts with these voters. */
export function configOf(voters: readonly number[], learners: readonly number[] = []): Config {
  return { ...EMPTY_CONFIG, voters: sorted(voters), learners: sorted(learners) };
}

export function isJoint(config: Config): boolean {
  return config.outgoing.length > 0;
}

/** Everybody who votes, in either half. */
export function votersOf(config: Config): readonly number[] {
  return isJoint(config) ? sorted([...config.voters, ...config.outgoing]) : config.voters;
}

/** Everybody who gets the log. */
export function membersOf(config: Config): readonly number[] {
  return sorted([...config.voters, ...config.outgoing, ...config.learners]);
}

export function isVoter(config: Config, peerId: number): boolean {
  return config.voters.includes(peerId) || config.outgoing.includes(peerId);
}

export function isMember(config: Config, peerId: number): boolean {
  return isVoter(config, peerId) || config.learners.includes(peerId);
}

export function leavesJoint(change: ConfigChange): boolean {
  return change.changes.length === 0 && change.transition === "auto";
}

/** The next configuration, or why there is none. */
export function changed(config: Config, change: ConfigChange): Config | string {
  if (leavesJoint(change)) return leaveJoint(config);
  if (change.transition !== "auto" || change.changes.length > 1) return enterJoint(config, change);
  if (isJoint(config)) return "a joint configuration is left first";
  const next = edited(config, change.changes);
  if (typeof next === "string") return next;
  return differing(config.voters, next.voters) > 1 ? "more than one voter changes at once" : next;
}

/** Why this cannot be a configuration; undefined when it can. */
export function configProblem(config: Config): string | undefined {
  const { voters, outgoing, learners, learnersNext, autoLeave } = config;
  for (const ids of [voters, outgoing, learners, learnersNext]) {
    if (!isAscending(ids)) return "its ids are positive safe integers in ascending order";
  }
  if (learners.some((id) => isVoter(config, id))) return "nobody is a voter and a learner";
  if (learnersNext.some((id) => !outgoing.includes(id))) return "only an outgoing voter is a learner next";
  if (outgoing.length === 0 && autoLeave) return "only a joint configuration is left";
  if (outgoing.length > 0 && voters.length === 0) return "a joint configuration has incoming voters";
  return undefined;
}

export function sameConfig(one: Config, other: Config): boolean {
  return (
    sameIds(one.voters, other.voters) &&
    sameIds(one.outgoing, other.outgoing) &&
    sameIds(one.learners, other.learners) &&
    sameIds(one.learnersNext, other.learnersNext) &&
    one.autoLeave === other.autoLeave
  );
}

function enterJoint(config: Config, change: ConfigChange): Config | string {
  if (isJoint(config)) return "a joint configuration is left first";
  if (config.voters.length === 0) return "a joint configuration leaves voters behind, and there are none";
  const joint = { ...config, outgoing: config.voters };
  const next = edited(joint, change.changes);
  return typeof next === "string" ? next : { ...next, autoLeave: change.transition !== "explicit" };
}

function leaveJoint(config: Config): Config | string {
  if (!isJoint(config)) return "only a joint configuration is left";
  const learners = sorted([...config.learners, ...config.learnersNext]);
  return { ...EMPTY_CONFIG, voters: config.voters, learners };
}

/** One change after the other, on the incoming half. */
function edited(config: Config, changes: readonly PeerChange[]): Config | string {
  const voters = new Set(config.voters);
  const learners = new Set(config.learners);
  const learnersNext = new Set(config.learnersNext);
  for (const { kind, peerId } of changes) {
    voters.delete(peerId);
    learnersNext.delete(peerId);
    if (kind !== "addLearner") learners.delete(peerId);
    if (kind === "addVoter") voters.add(peerId);
    // Whoever still votes in the outgoing half becomes a learner when that half is gone.
    else if (kind === "addLearner" && config.outgoing.includes(peerId)) learnersNext.add(peerId);
    else if (kind === "addLearner") learners.add(peerId);
  }
  if (voters.size === 0) return "a configuration keeps at least one voter";
  return {
    ...config,
    voters: sorted(voters),
    learners: sorted(learners),
    learnersNext: sorted(learnersNext),
  };
}

function differing(before: readonly number[], after: readonly number[]): number {
  const gone = before.filter((id) => !after.includes(id)).length;
  return gone + after.filter((id) => !before.includes(id)).length;
}

function sorted(ids: Iterable<number>): readonly number[] {
  return [...new Set(ids)].toSorted((a, b) => a - b);
}

function isAscending(ids: readonly number[]): boolean {
  let before = 0;
  // Unlike every(), this looks at holes.
  for (const id of ids) {
    if (!Number.isSafeInteger(id) || id <= before) return false;
    before = id;
  }
  return true;
}

function sameIds(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((id, at) => id === other[at]);
}
