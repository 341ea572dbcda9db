/**
 * Hashes that give a key its position on a circle of 2^32, for the layouts that are not made of arcs.
 * Two choices come together: which hash, and between which two characters the part of a key stands that
 * alone is hashed (the hash tag). Positions are signed 32-bit numbers here (see `BytesHash`); each of these
 * functions allocates nothing.
 */
import { hashUtf8, type BytesHash, type Key, requireBytes } from "./key.ts";
import { md5 } from "./md5.ts";

/** Positions are whole numbers below this. */
export const CIRCLE = 0x1_0000_0000;

/** The hashes of keys that nutcracker and libketama know and this package follows. */
export const KETAMA_HASHES = ["md5", "fnv1a_64", "fnv1_64", "fnv1a_32", "fnv1_32"] as const;
export type KetamaHash = (typeof KETAMA_HASHES)[number];

const KETAMA_BYTES: Readonly<Record<KetamaHash, BytesHash>> = {
  md5,
  // nutcracker keeps the low 32 bits of the 64-bit forms, which depend on the low 32 bits alone.
  fnv1a_64: fnv(0x84222325, 0x1b3, true),
  fnv1_64: fnv(0x84222325, 0x1b3, false),
  fnv1a_32: fnv(0x811c9dc5, 0x01000193, true),
  fnv1_32: fnv(0x811c9dc5, 0x01000193, false),
};

/** The position of a key by one of ketama's hashes; `tag` is two characters, or empty for none. */
export function ketamaPosition(hash: KetamaHash, tag: string): (key: Key) => number {
  return taggedHash(KETAMA_BYTES[hash], tag);
}

/** The position of a key by this package's own hash; hash tags as in Redis Cluster. */
export const ownPosition: (key: Key) => number = taggedHash(ownHash, "{}");

/**
 * FNV-1a of 32 bits, finished by a mixer so that keys that differ in their last character alone are far
 * apart: for points, tables and jumps of this package's own.
 */
function ownHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return mixSigned(hash);
}

/** A bijection of 32 bits in which every bit of the input changes half of the output; signed. */
export function mixSigned(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}

/** The same as a number from 0 to 2^32 - 1. */
export function mix32(value: number): number {
  return mixSigned(value) >>> 0;
}

/**
 * The FNV of nutcracker. In C its bytes are `char`, signed on x86: a byte above 127 is XORed as a
 * negative number, with ones in the upper 24 bits.
 */
function fnv(seed: number, prime: number, isXorFirst: boolean): BytesHash {
  return (bytes, start, end) => {
    let hash = seed;
    for (let i = start; i < end; i++) {
      const signed = ((bytes[i] as number) << 24) >> 24;
      hash = isXorFirst ? Math.imul(hash ^ signed, prime) : Math.imul(hash, prime) ^ signed;
    }
    return hash | 0;
  };
}

function taggedHash(hash: BytesHash, tag: string): (key: Key) => number {
  const open = tag.slice(0, 1);
  const close = tag.slice(1, 2);
  const openByte = open.charCodeAt(0);
  const closeByte = close.charCodeAt(0);
  return (key) => {
    if (typeof key === "string") {
      const first = open === "" ? -1 : key.indexOf(open);
      const last = first < 0 ? -1 : key.indexOf(close, first + 1);
      return last > first + 1 ? hashUtf8(key, first + 1, last, hash) : hashUtf8(key, 0, key.length, hash);
    }
    requireBytes(key);
    const first = open === "" ? -1 : key.indexOf(openByte);
    const last = first < 0 ? -1 : key.indexOf(closeByte, first + 1);
    return last > first + 1 ? hash(key, first + 1, last) : hash(key, 0, key.length);
  };
}
