/**
 * Bytes in the making: one buffer that grows. Numbers are varints (seven bits a byte, the lowest first),
 * texts and values carry their length in front. What a Writer wrote, a Reader reads, and only that.
 */
import { invariant } from "../../invariant.ts";
import { utf8Length, writeUtf8 } from "./utf8.ts";

const VARINT_BYTES_MAX = 8;
/** A buffer that grew beyond this is let go when its bytes were taken. */
const KEPT_BYTES_MAX = 2 ** 20;

export class Writer {
  #bytes: Uint8Array;
  #length = 0;
  readonly #startCapacity: number;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#startCapacity = capacity;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = new Uint8Array(this.#startCapacity);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Four bytes, the lowest first. */
  word(value: number): void {
    this.#reserve(4);
    this.#length += 4;
    this.setWord(this.#length - 4, value);
  }

  /** Writes over the four bytes at `at`. */
  setWord(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = (value >>> (8 * i)) & 0xff;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    if ((rest | 0) !== rest || rest < 0) {
      invariant(Number.isSafeInteger(rest) && rest >= 0, "a varint is a safe integer from 0", { value });
      for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) {
        this.#bytes[this.#length++] = (rest % 128) | 0x80;
      }
    }
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  /** Well-formed text. */
  text(text: string): void {
    const length = utf8Length(text);
    invariant(length >= 0, "a text is well-formed");
    this.varint(length);
    this.#reserve(length);
    this.#length = writeUtf8(text, this.#bytes, this.#length);
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A copy of all that was written; the writer is empty afterwards. */
  take(): Uint8Array {
    const taken = copyOf(this.#bytes, 0, this.#length);
    this.clear();
    return taken;
  }

  /** A copy of the bytes from `start` up to `end`. */
  copyOf(start: number, end: number): Uint8Array {
    return copyOf(this.#bytes, start, end);
  }

  /** Drops the bytes before `start`; the others move to the front. */
  dropBefore(start: number): void {
    this.#bytes.copyWithin(0, start, this.#length);
    this.#length -= start;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Always a plain Uint8Array with a buffer of its own, whatever kind of bytes it comes from. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
