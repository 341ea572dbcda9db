/**
 * The hash of the state: 64 bits that are equal on two peers when their states are, and almost never
 * otherwise. Each thing in the state (a record, a lease, an event) has a digest of its own; a Sum adds those
 * up, lane by lane, modulo 2^32. Sums do not depend on order, and what changes is taken out and put in
 * again, so the hash of everything costs nothing extra to keep.
 * 32-bit integer operations only, so that every engine agrees. It finds mistakes and damage; it is no
 * defence against somebody who constructs a collision.
 */

const WORD_VALUES = 2 ** 32;

/** Two lanes: the rounds of MurmurHash3 (Appleby) and of xxHash32 (Collet), mixed at the end. */
export class Digest {
  low = 0;
  high = 0;

  /** Each kind of thing begins with a tag of its own. */
  begin(tag: number): void {
    this.low = Math.imul(tag, 0x9e37_79b1);
    this.high = Math.imul(tag ^ 0x5bd1_e995, 0x85eb_ca77);
  }

  word(word: number): void {
    this.low = lowRound(this.low, word);
    this.high = highRound(this.high, word);
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    this.word(value | 0);
    this.word((value / WORD_VALUES) | 0);
  }

  text(text: string): void {
    let { low, high } = this;
    const { length } = text;
    for (let i = 0; i < length; i += 2) {
      const word = text.charCodeAt(i) | (i + 1 < length ? text.charCodeAt(i + 1) << 16 : 0);
      low = lowRound(low, word);
      high = highRound(high, word);
    }
    this.low = lowRound(low, length);
    this.high = highRound(high, length);
  }

  bytes(bytes: Uint8Array): void {
    let { low, high } = this;
    const { length } = bytes;
    const whole = length & ~3;
    for (let i = 0; i < whole; i += 4) {
      const lower = (bytes[i] as number) | ((bytes[i + 1] as number) << 8);
      const word = lower | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
      low = lowRound(low, word);
      high = highRound(high, word);
    }
    let rest = 0;
    for (let i = whole; i < length; i++) rest |= (bytes[i] as number) << (8 * (i - whole));
    if (whole < length) {
      low = lowRound(low, rest);
      high = highRound(high, rest);
    }
    this.low = lowRound(low, length);
    this.high = highRound(high, length);
  }

  end(): void {
    const low = finish(this.low + this.high);
    const high = finish(this.high ^ Math.imul(low, 0xc2b2_ae3d));
    this.low = (low + high) | 0;
    this.high = high;
  }
}

/** What the digests of many things add up to. */
export class Sum {
  low = 0;
  high = 0;

  add(low: number, high: number): void {
    this.low = (this.low + low) | 0;
    this.high = (this.high + high) | 0;
  }

  remove(low: number, high: number): void {
    this.low = (this.low - low) | 0;
    this.high = (this.high - high) | 0;
  }
}

/** Both words as sixteen hexadecimal digits, the high one first. */
export function hexOf(low: number, high: number): string {
  return hexWord(high) + hexWord(low);
}

function hexWord(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

function lowRound(lane: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e_2d51);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b87_3593);
  mixed ^= lane;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe654_6b64) | 0;
}

function highRound(lane: number, word: number): number {
  const mixed = lane + Math.imul(word, 0x85eb_ca77);
  return Math.imul((mixed << 13) | (mixed >>> 19), 0x9e37_79b1);
}

/** MurmurHash3's last step: each bit of the input reaches each bit of the output. */
function finish(lane: number): number {
  let mixed = lane;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
