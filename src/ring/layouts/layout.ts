/**
 * What the ring asks of a layout: who owns a key, who comes next, and how the key space is divided.
 * Members are indexes into the roster; keys are strings or bytes. A layout never changes once made.
 */
import type { Key } from "../hash/key.ts";

export const LAYOUTS = ["arcs", "points", "ketama", "maglev", "jump"] as const;
export type LayoutName = (typeof LAYOUTS)[number];

export interface Layout {
  readonly name: LayoutName;
  /** Two layouts of one key space hash every key alike, so what moves between them can be told exactly. */
  readonly keySpace: string;
  /** The hot path: allocates nothing. Throws INVALID_ARGUMENT unless the key is a string or bytes. */
  ownerIndex(key: Key): number;
  /** Every member once: the owner, then whoever would stand in for those before. */
  preference(key: Key): Iterable<number>;
  /** The exact share of the key space of each member; the shares add up to 1. */
  shares(): Float64Array;
  /** The division of the key space into ranges; undefined for a layout that has none ("jump"). */
  pieces(): Pieces | undefined;
}

/** A key space of the positions 0 to size - 1, cut into consecutive ranges. */
export interface Pieces {
  readonly size: number;
  /** The last position of each range, rising; the last of all is size - 1. */
  readonly lasts: Readonly<Uint32Array>;
  /** The member that owns each range. */
  readonly owners: Readonly<Uint16Array>;
}

/** Consecutive positions in a layout's key space, both ends included: arcs, or positions below 2^32. */
export interface HashRange {
  readonly first: number;
  readonly last: number;
}

/** The share of each of `memberCount` members in the pieces: exact, since the sizes are powers of two. */
export function sharesOf({ size, lasts, owners }: Pieces, memberCount: number): Float64Array {
  const shares = new Float64Array(memberCount);
  let first = 0;
  for (const [piece, last] of lasts.entries()) {
    const owner = owners[piece] as number;
    shares[owner] = (shares[owner] as number) + (last + 1 - first) / size;
    first = last + 1;
  }
  return shares;
}
