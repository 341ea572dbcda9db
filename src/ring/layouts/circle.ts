/**
 * A circle of 2^32 positions with points on it, each of one member: a key belongs to the first point at or
 * after its position (Karger et al. 1997). The layouts "points" and "ketama" differ in where they put
 * points and how they hash keys; what a circle does with them is here, once.
 *
 * Points are sorted, and an index over the upper bits of the position tells where to begin, so that a
 * lookup looks at one or two points whatever their number. Points at the same position are in order of
 * their member, and the first of them owns.
 */
import { CIRCLE } from "../hash/position.ts";
import type { Key } from "../hash/key.ts";
import { invariant } from "../../invariant.ts";
import { type Layout, type Pieces, sharesOf } from "./layout.ts";

export interface CircleOptions {
  readonly name: "points" | "ketama";
  readonly keySpace: string;
  readonly memberCount: number;
  /** Every point, packed by `packPoint`, in any order; sorted in place. */
  readonly points: Float64Array;
  readonly position: (key: Key) => number;
}

/** One number per point, whose order is the order on the circle. */
export function packPoint(position: number, member: number): number {
  return position * MEMBER_SPAN + member;
}

const MEMBER_SPAN = 0x1_0000;

export class CircleLayout implements Layout {
  readonly name: "points" | "ketama";
  readonly keySpace: string;
  readonly #memberCount: number;
  readonly #position: (key: Key) => number;
  readonly #positions: Uint32Array;
  readonly #owners: Uint16Array;
  /** For each value of the upper bits of a position, the first point at or after its beginning. */
  readonly #starts: Uint32Array;
  readonly #shift: number;

  constructor({ name, keySpace, memberCount, points, position }: CircleOptions) {
    invariant(points.length > 0, "a circle has a point", { points: points.length });
    this.name = name;
    this.keySpace = keySpace;
    this.#memberCount = memberCount;
    this.#position = position;
    points.sort();
    this.#positions = Uint32Array.from(points, (point) => Math.floor(point / MEMBER_SPAN));
    this.#owners = Uint16Array.from(points, (point) => point % MEMBER_SPAN);
    const bits = Math.max(1, 32 - Math.clz32(points.length - 1));
    this.#shift = 32 - bits;
    this.#starts = indexPoints(this.#positions, bits);
  }

  ownerIndex(key: Key): number {
    return this.#owners[this.#pointAfter(this.#position(key))] as number;
  }

  *preference(key: Key): Generator<number> {
    const isSeen = new Uint8Array(this.#memberCount);
    const first = this.#pointAfter(this.#position(key));
    for (let i = 0; i < this.#owners.length; i++) {
      const owner = this.#owners[(first + i) % this.#owners.length] as number;
      if (isSeen[owner] === 1) continue;
      isSeen[owner] = 1;
      yield owner;
    }
    // A weight so small that the member has no point still makes it a member.
    for (let member = 0; member < this.#memberCount; member++) if (isSeen[member] === 0) yield member;
  }

  shares(): Float64Array {
    return sharesOf(this.pieces(), this.#memberCount);
  }

  pieces(): Pieces {
    const count = this.#positions.length;
    const lasts = new Uint32Array(count + 1);
    const owners = new Uint16Array(count + 1);
    lasts.set(this.#positions);
    owners.set(this.#owners);
    lasts[count] = CIRCLE - 1;
    owners[count] = this.#owners[0] as number;
    return { size: CIRCLE, lasts, owners };
  }

  #pointAfter(signed: number): number {
    const position = signed >>> 0;
    let point = this.#starts[position >>> this.#shift] as number;
    while (point < this.#positions.length && (this.#positions[point] as number) < position) point++;
    return point === this.#positions.length ? 0 : point;
  }
}

function indexPoints(positions: Uint32Array, bits: number): Uint32Array {
  const starts = new Uint32Array(2 ** bits);
  let point = 0;
  for (const bucket of starts.keys()) {
    const begin = bucket * 2 ** (32 - bits);
    while (point < positions.length && (positions[point] as number) < begin) point++;
    starts[bucket] = point;
  }
  return starts;
}
