/** What a lock group is told, and what it tells about itself and its members. */

/** What all members share; part of it is agreed with every other process of the group. */
export interface GroupSettings {
  /** Prefix of every key. */
  readonly name: string;
  /** The longest lease, agreed on by all processes. */
  readonly leaseMsMax: number;
  /** An instance that nobody knows may vote at once. */
  readonly assumeNew: boolean;
  /** Ids of instances that lose nothing they acknowledged. */
  readonly durable: readonly string[];
  /** Milliseconds for each command of membership. */
  readonly deadlineMs: number;
  /** How far a fencing token may be ahead of an instance's clock; twice that is added after data loss. */
  readonly tokenSkewMaxMs: number;
}

/**
 * `connecting`: its first connection or its handshake is under way. `member`: it votes. `abstaining`: it may
 * not vote yet. `refused`: it cannot be used as it is. `unreachable`: it had been connected, and is not.
 */
export type MemberState = "connecting" | "member" | "abstaining" | "refused" | "unreachable";

export interface MemberStatus {
  readonly id: string;
  /** `host:port` or a socket's path; never with credentials. */
  readonly address: string;
  readonly state: MemberState;
  /** Why it is not a member, in words; undefined for a member. */
  readonly reason: string | undefined;
  /** Milliseconds until it may vote again, as far as that is known; 0 for a member. */
  readonly waitMs: number;
  readonly runId: string | undefined;
  /** Name and version of the server, as in `redis 7.0.15`. */
  readonly product: string | undefined;
  /** Milliseconds by which its clock is ahead of this process's wall clock. */
  readonly clockOffsetMs: number | undefined;
  /** How often its clock was seen to leap, by this process. */
  readonly leaps: number;
  /** It keeps its membership over a restart with its data. */
  readonly durable: boolean;
  /** What its operator should know. */
  readonly warnings: readonly string[];
}

export interface GroupStatus {
  readonly name: string;
  /** So many members must agree. */
  readonly quorum: number;
  /** Stands for the ids and `leaseMsMax`: other processes must have the same. */
  readonly digest: string;
  readonly leaseMsMax: number;
  /** In the order of their ids. */
  readonly members: readonly MemberStatus[];
}
