/**
 * What moves from one ring to another, exactly: the two divisions of the key space are laid over each
 * other, and every range whose owner has another id is a move. Nothing is sampled.
 * The layout "jump" has no ranges; its moves follow from the numbers of buckets.
 */
import { JumpLayout } from "./layouts/jump.ts";
import type { HashRange, Layout, Pieces } from "./layouts/layout.ts";
import { MEMBERS_MAX } from "./members.ts";

export interface Movement {
  /** The part of the key space that changes its owner, 0 to 1. */
  readonly share: number;
  /** The part of `share` that moves between two members that are in both rings; 0 is best. */
  readonly betweenStayers: number;
  /** How many of the 16,384 arcs change their owner; undefined in layouts that are not made of arcs. */
  readonly arcs: number | undefined;
  /** One for each pair of members between which something moves, in order of `from`, then `to`. */
  readonly moves: readonly Move[];
}

export interface Move {
  readonly from: string;
  readonly to: string;
  /** The part of the key space, 0 to 1. */
  readonly share: number;
  /** What moves: arcs in the layout "arcs", positions below 2^32 in others, nothing in "jump". */
  readonly ranges: readonly HashRange[];
}

/** A layout and the ids that its indexes stand for. */
export interface Placed {
  readonly ids: readonly string[];
  readonly layout: Layout;
}

/** The movement between two layouts of one key space. */
export function movementBetween(before: Placed, after: Placed): Movement {
  const collector = new Collector(before.ids, after.ids);
  if (before.layout instanceof JumpLayout && after.layout instanceof JumpLayout) {
    collectJumps(before.layout.buckets, after.layout.buckets, collector);
  } else {
    collectRanges(before.layout.pieces() as Pieces, after.layout.pieces() as Pieces, collector);
  }
  const moves = collector.moves();
  const olds = new Set(before.ids);
  const nexts = new Set(after.ids);
  return {
    share: sumOfShares(moves),
    betweenStayers: sumOfShares(moves.filter(({ from, to }) => nexts.has(from) && olds.has(to))),
    arcs: before.layout.name === "arcs" ? arcCount(moves) : undefined,
    moves,
  };
}

interface OpenMove extends Move {
  share: number;
  readonly ranges: HashRange[];
}

/** Gathers moves by their two members, given as indexes of the old and of the new roster. */
class Collector {
  readonly #oldIds: readonly string[];
  readonly #nextIds: readonly string[];
  readonly #moves = new Map<number, OpenMove>();

  constructor(oldIds: readonly string[], nextIds: readonly string[]) {
    this.#oldIds = oldIds;
    this.#nextIds = nextIds;
  }

  /** A range that does not change its owner is no move. */
  add(old: number, next: number, share: number, range?: HashRange): void {
    const from = this.#oldIds[old] as string;
    const to = this.#nextIds[next] as string;
    if (from === to) return;
    const pair = old * MEMBERS_MAX + next;
    const move = this.#moves.get(pair) ?? { from, to, share: 0, ranges: [] };
    this.#moves.set(pair, move);
    move.share += share;
    if (range !== undefined) extend(move.ranges, range);
  }

  moves(): readonly Move[] {
    return [...this.#moves.values()].toSorted((a, b) => compare(a.from, b.from) || compare(a.to, b.to));
  }
}

function collectRanges(old: Pieces, next: Pieces, collector: Collector): void {
  let oldPiece = 0;
  let nextPiece = 0;
  for (let first = 0; first < old.size; ) {
    const oldLast = old.lasts[oldPiece] as number;
    const nextLast = next.lasts[nextPiece] as number;
    const last = Math.min(oldLast, nextLast);
    // Points at one position make pieces of no length, which the first of them has already passed.
    if (last >= first) {
      const share = (last + 1 - first) / old.size;
      collector.add(old.owners[oldPiece] as number, next.owners[nextPiece] as number, share, { first, last });
    }
    if (oldLast === last) oldPiece++;
    if (nextLast === last) nextPiece++;
    first = last + 1;
  }
}

/**
 * From n to m buckets, n < m: each new bucket takes an equal part of every old one, 1 / (n m) of all keys,
 * and the rest stays in its bucket. The other way round is the same read backwards. A bucket whose member is
 * another than before hands over all that stays in it.
 */
function collectJumps(old: Uint16Array, next: Uint16Array, collector: Collector): void {
  const fewer = Math.min(old.length, next.length);
  const more = Math.max(old.length, next.length);
  for (let bucket = 0; bucket < fewer; bucket++) {
    collector.add(old[bucket] as number, next[bucket] as number, 1 / more);
    for (let extra = fewer; extra < more; extra++) {
      const [from, to] = old.length < next.length ? [bucket, extra] : [extra, bucket];
      collector.add(old[from] as number, next[to] as number, 1 / (fewer * more));
    }
  }
}

function extend(ranges: HashRange[], { first, last }: HashRange): void {
  const before = ranges.at(-1);
  if (before?.last === first - 1) ranges[ranges.length - 1] = { first: before.first, last };
  else ranges.push({ first, last });
}

function arcCount(moves: readonly Move[]): number {
  return moves.flatMap(({ ranges }) => ranges).reduce((sum, { first, last }) => sum + last + 1 - first, 0);
}

function sumOfShares(moves: readonly Move[]): number {
  return moves.reduce((sum, { share }) => sum + share, 0);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
