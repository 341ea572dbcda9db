/**
 * A snapshot stands for all entries up to its index. It is cut into parts, so that a large one travels
 * beside the heartbeats and goes on where it stopped; the core never looks into a part.
 */
import { invariant } from "../../invariant.ts";
import type { Config } from "../group/config.ts";

export interface Snapshot {
  readonly index: number;
  readonly term: number;
  /** The members as of `index`. */
  readonly config: Config;
  /** At least one; what they hold is the state machine's affair. */
  readonly parts: readonly Uint8Array[];
}

/** One part on its way. */
export interface SnapshotPart {
  readonly index: number;
  readonly term: number;
  readonly config: Config;
  /** From 0. */
  readonly part: number;
  readonly parts: number;
  readonly data: Uint8Array;
}

/** A snapshot that is arriving: its parts so far, in order. */
export interface Assembly {
  readonly index: number;
  readonly term: number;
  readonly parts: number;
  /** By part; one that has not arrived is not there. */
  readonly received: (Uint8Array | undefined)[];
  /** The first part that has not arrived. */
  wanted: number;
  /** What has arrived, in bytes. */
  bytes: number;
}

export function partOf(snapshot: Snapshot, part: number): SnapshotPart {
  const { index, term, config, parts } = snapshot;
  const data = parts[part];
  invariant(data instanceof Uint8Array, "a snapshot has all its parts", { index, part, parts: parts.length });
  return { index, term, config, part, parts: parts.length, data };
}
