/**
 * Bytes from outside, read once from front to back. Nothing throws: the first thing that is wrong makes the
 * reader bad, everything read after it is empty, and whoever reads asks `isBad` at the end. So bytes that
 * are no command are the same answer on every peer, at the price of one comparison.
 * One number has one spelling: a varint with zeros at its end is wrong.
 */
import { readUtf8 } from "./utf8.ts";

export const NO_BYTES: Uint8Array = new Uint8Array(0);

export class Reader {
  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  #end = 0;
  #badAt = -1;

  constructor(bytes: Uint8Array = NO_BYTES) {
    this.reset(bytes);
  }

  reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
    this.#badAt = -1;
  }

  get isBad(): boolean {
    return this.#badAt >= 0;
  }

  /** Where the first wrong thing was found; -1 if nothing was. */
  get badAt(): number {
    return this.#badAt;
  }

  /** True when there is nothing left, or nothing that could be read. */
  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** For what only the caller can see is wrong. */
  fail(): void {
    if (this.#badAt < 0) this.#badAt = this.#at;
    this.#at = this.#end;
  }

  byte(): number {
    if (this.#at < this.#end) return this.#bytes[this.#at++] as number;
    this.fail();
    return 0;
  }

  word(): number {
    let word = 0;
    for (let i = 0; i < 4; i++) word |= this.byte() << (8 * i);
    return word;
  }

  varint(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let scale = 128; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (byte !== 0 && value <= Number.MAX_SAFE_INTEGER) return value;
      break;
    }
    this.fail();
    return 0;
  }

  text(): string {
    const start = this.#skipCounted();
    const text = readUtf8(this.#bytes, start, this.#at);
    if (text !== undefined) return text;
    this.fail();
    return "";
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const start = this.#skipCounted();
    if (start === this.#at) return NO_BYTES;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Goes past a length and as many bytes, and returns where those begin. */
  #skipCounted(): number {
    const length = this.varint();
    if (length > this.#end - this.#at) this.fail();
    if (this.isBad) return this.#at;
    this.#at += length;
    return this.#at - length;
  }
}
