/**
 * The arc of a key: Redis Cluster's slot function, CRC16/XMODEM of the hash tag modulo 16,384
 * (Redis Cluster specification, "Key distribution model" and "Hash tags"). It is the hot path of every
 * routed command, so it allocates nothing and takes four characters a step: CRC is linear, so the
 * remainders of the four bytes are looked up side by side and XORed, and only the first two depend on
 * what came before. Reading the characters is most of what is left.
 *
 * The fast loop knows letters, digits and most punctuation. At the first character above "z" ("{" starts
 * a hash tag; beyond 127 UTF-8 differs from the string) it leaves the key to the careful path, which
 * starts again from the beginning.
 */
import { hashUtf8, type Key, requireBytes } from "./key.ts";

/** The ring's number of arcs, and Redis Cluster's number of slots. */
export const ARC_COUNT = 16_384;

const LAST_PLAIN = 0x7a;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** REMAINDERS[k][b]: what byte b leaves in the register after k further bytes of zero. */
const REMAINDERS = remainders();
const [T0, T1, T2, T3] = REMAINDERS;

/** The arc of the key, from 0 to 16,383; throws INVALID_ARGUMENT unless it is a string or bytes. */
export function arcOf(key: Key): number {
  if (typeof key !== "string") return arcOfBytes(key);
  const length = key.length;
  let crc = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const a = key.charCodeAt(i);
    const b = key.charCodeAt(i + 1);
    const c = key.charCodeAt(i + 2);
    const d = key.charCodeAt(i + 3);
    if (a > LAST_PLAIN || b > LAST_PLAIN || c > LAST_PLAIN || d > LAST_PLAIN) return arcOfAnyText(key);
    crc = at(T3, (crc >>> 8) ^ a) ^ at(T2, (crc & 0xff) ^ b) ^ at(T1, c) ^ at(T0, d);
  }
  for (; i < length; i++) {
    const a = key.charCodeAt(i);
    if (a > LAST_PLAIN) return arcOfAnyText(key);
    crc = ((crc << 8) & 0xffff) ^ at(T0, (crc >>> 8) ^ a);
  }
  return crc & (ARC_COUNT - 1);
}

/** CRC16/XMODEM of `bytes[start]` up to `bytes[end]`. */
function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = ((crc << 8) & 0xffff) ^ at(T0, (crc >>> 8) ^ (bytes[i] as number));
  return crc;
}

/** The careful path for strings. The tag stands between the first "{" and the next "}", unless empty. */
function arcOfAnyText(key: string): number {
  let start = 0;
  let end = key.length;
  const open = key.indexOf("{");
  if (open >= 0) {
    const close = key.indexOf("}", open + 1);
    if (close > open + 1) {
      start = open + 1;
      end = close;
    }
  }
  let crc = 0;
  for (let i = start; i < end; i++) {
    const a = key.charCodeAt(i);
    if (a > 0x7f) return hashUtf8(key, start, end, crc16) & (ARC_COUNT - 1);
    crc = ((crc << 8) & 0xffff) ^ at(T0, (crc >>> 8) ^ a);
  }
  return crc & (ARC_COUNT - 1);
}

function arcOfBytes(key: unknown): number {
  requireBytes(key);
  const open = key.indexOf(OPEN);
  if (open >= 0) {
    const close = key.indexOf(CLOSE, open + 1);
    if (close > open + 1) return crc16(key, open + 1, close) & (ARC_COUNT - 1);
  }
  return crc16(key, 0, key.length) & (ARC_COUNT - 1);
}

/** A table read whose index is in range by construction; inlined by the compiler. */
function at(table: Uint16Array, index: number): number {
  return table[index] as number;
}

type Table = Uint16Array;

function remainders(): readonly [Table, Table, Table, Table] {
  const tables = [emptyTable(), emptyTable(), emptyTable(), emptyTable()] as const;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (const remainder of tables) {
      for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
      remainder[byte] = crc;
    }
  }
  return tables;
}

function emptyTable(): Table {
  return new Uint16Array(256);
}
