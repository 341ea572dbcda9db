/**
 * What a key is: a string, hashed as its UTF-8 bytes, or the bytes themselves. Every hash of the ring
 * works on bytes; this file turns the rest into bytes without allocating, in one scratch buffer that
 * belongs to the thread. Hashing is synchronous, so the buffer is never needed twice at a time.
 * It must never keep a reference to a key.
 */
import { CoterieError, quote } from "../../errors.ts";

/** A string stands for its UTF-8 bytes, as Redis stores it. */
export type Key = string | Uint8Array;

/**
 * A 32-bit hash of `bytes[start]` up to, not including, `bytes[end]`, as a signed number: those are never
 * put on the heap, while one above 2^31 may be. `>>> 0` makes it the position that people speak of.
 */
export type BytesHash = (bytes: Uint8Array, start: number, end: number) => number;

const SCRATCH_BYTES = 65_536;
const scratch = new Uint8Array(SCRATCH_BYTES);

/**
 * The hash of the UTF-8 bytes of `text[start]` up to `text[end]`. A lone surrogate counts as U+FFFD, as
 * in `Buffer.from`. Allocates only for pieces of more than 21,845 characters.
 */
export function hashUtf8(text: string, start: number, end: number, hash: BytesHash): number {
  if (3 * (end - start) > SCRATCH_BYTES) {
    const bytes = new TextEncoder().encode(text.slice(start, end));
    return hash(bytes, 0, bytes.length);
  }
  return hash(scratch, 0, encodeUtf8(text, start, end, scratch));
}

/** Throws INVALID_ARGUMENT unless `key` is bytes; for the place where it is known not to be a string. */
export function requireBytes(key: unknown): asserts key is Uint8Array {
  if (key instanceof Uint8Array || isForeignBytes(key)) return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `ring: a key must be a string or a Uint8Array, got ${quote(key)}`,
    { details: { type: typeof key } },
  );
}

/** Bytes of another realm (a vm context, a worker's test runner), where `instanceof` says no. */
function isForeignBytes(key: unknown): boolean {
  return ArrayBuffer.isView(key) && Object.prototype.toString.call(key) === "[object Uint8Array]";
}

/** Writes the UTF-8 bytes of the piece to `into`, which is long enough, and returns how many. */
function encodeUtf8(text: string, start: number, end: number, into: Uint8Array): number {
  let length = 0;
  for (let i = start; i < end; i++) {
    let point = text.charCodeAt(i);
    if (point < 0x80) {
      into[length++] = point;
      continue;
    }
    if (point < 0x800) {
      into[length++] = 0xc0 | (point >> 6);
      into[length++] = 0x80 | (point & 0x3f);
      continue;
    }
    if (point >= 0xd800 && point <= 0xdfff) {
      const low = i + 1 < end ? text.charCodeAt(i + 1) : 0;
      if (point <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        into[length++] = 0xf0 | (point >> 18);
        into[length++] = 0x80 | ((point >> 12) & 0x3f);
        into[length++] = 0x80 | ((point >> 6) & 0x3f);
        into[length++] = 0x80 | (point & 0x3f);
        i++;
        continue;
      }
      point = 0xfffd;
    }
    into[length++] = 0xe0 | (point >> 12);
    into[length++] = 0x80 | ((point >> 6) & 0x3f);
    into[length++] = 0x80 | (point & 0x3f);
  }
  return length;
}
