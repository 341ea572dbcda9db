/**
 * The layout "jump" (Lamping and Veach 2014): no table at all, even shares, and exactly the least movement;
 * but members are numbered in the order given, and only the last can be added or removed. For shards that
 * are only ever added. It knows no weights.
 *
 * The paper's generator works on 64 bits. Here a number of 64 bits is two of 32, multiplied by halves of 16,
 * so that a lookup makes no BigInt and allocates nothing.
 */
import { CoterieError } from "../../errors.ts";
import type { Key } from "../hash/key.ts";
import { mixSigned, ownPosition } from "../hash/position.ts";
import type { Roster } from "../members.ts";
import type { Layout } from "./layout.ts";
import { CELL_SHIFT, Rendezvous } from "./rendezvous.ts";

/** 2862933555777941757, the factor of the paper, in halves of 32 bits. */
const FACTOR_HIGH = 0x27bb2ee6;
const FACTOR_LOW = 0x87b0b0fd;
const TWO_31 = 2 ** 31;

export class JumpLayout implements Layout {
  readonly name = "jump";
  readonly keySpace = "own/64";
  /** The member of each bucket: buckets are in the order in which members were given. */
  readonly buckets: Uint16Array;
  readonly #roster: Roster;
  #rendezvous: Rendezvous | undefined;

  constructor(roster: Roster, idsInOrder: readonly string[]) {
    if (!roster.isEqual) {
      throw new CoterieError(
        "INVALID_ARGUMENT",
        'ring: the layout "jump" knows no weights: give every member the same',
      );
    }
    const indexes = new Map(roster.ids.map((id, index) => [id, index]));
    this.buckets = Uint16Array.from(idsInOrder, (id) => indexes.get(id) as number);
    this.#roster = roster;
  }

  ownerIndex(key: Key): number {
    const position = ownPosition(key);
    return this.buckets[jump(mixSigned(position + 1), position, this.buckets.length)] as number;
  }

  *preference(key: Key): Generator<number> {
    const owner = this.ownerIndex(key);
    yield owner;
    this.#rendezvous ??= new Rendezvous(this.#roster);
    yield* this.#rendezvous.others(ownPosition(key) >>> CELL_SHIFT, owner);
  }

  /** Exact for the function of the paper, whose buckets are equal by construction. */
  shares(): Float64Array {
    return new Float64Array(this.buckets.length).fill(1 / this.buckets.length);
  }

  pieces(): undefined {
    return undefined;
  }
}

/** The bucket of the 64-bit key (high, low) among `count`; halves are signed, to stay off the heap. */
export function jump(high: number, low: number, count: number): number {
  let upper = high | 0;
  let lower = low | 0;
  let bucket = 0;
  for (let next = 0; next < count; ) {
    bucket = next;
    const crossed = Math.imul(lower, FACTOR_HIGH) + Math.imul(upper, FACTOR_LOW);
    upper = (multiplyHigh(lower, FACTOR_LOW) + crossed) | 0;
    lower = (Math.imul(lower, FACTOR_LOW) + 1) | 0;
    if (lower === 0) upper = (upper + 1) | 0;
    next = Math.floor((bucket + 1) * (TWO_31 / ((upper >>> 1) + 1)));
  }
  return bucket;
}

/** The upper 32 bits of the product of two 32-bit numbers, taken as unsigned, as a signed number. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x1_0000) + Math.floor(carry / 0x1_0000)) | 0;
}
