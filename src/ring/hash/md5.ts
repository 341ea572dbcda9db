/**
 * MD5 (RFC 1321) in plain JavaScript, for the one purpose of agreeing with libketama, which takes its
 * points and key positions from it. Not for anything that has an enemy. It is here because the ring is
 * pure and imports nothing of Node.js, and because a call into a native hash costs more than this for
 * keys of ordinary length. State lives in module arrays: no call allocates.
 */

const SHIFTS = Uint8Array.of(7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21);

/** floor(2^32 x |sin(i + 1)|) of RFC 1321, section 3.4, written out: Math.sin may differ between engines. */
const SINES = Uint32Array.of(
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
);

const BLOCK_BYTES = 64;
const LENGTH_AT = 56;
const block = new Uint32Array(16);
const state = new Uint32Array(4);

/** The first four bytes of the MD5 of `bytes[start]` up to `bytes[end]`, little-endian and signed. */
export function md5(bytes: Uint8Array, start: number, end: number): number {
  digest(bytes, start, end);
  return (state[0] as number) | 0;
}

/** All four little-endian words of the MD5. The array is overwritten by the next call. */
export function md5Words(bytes: Uint8Array): Readonly<Uint32Array> {
  digest(bytes, 0, bytes.length);
  return state;
}

function digest(bytes: Uint8Array, start: number, end: number): void {
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  let at = start;
  for (; at + BLOCK_BYTES <= end; at += BLOCK_BYTES) {
    fill(bytes, at, at + BLOCK_BYTES);
    mixBlock();
  }
  fill(bytes, at, end);
  const rest = end - at;
  block[rest >> 2] = (block[rest >> 2] as number) | (0x80 << ((rest & 3) * 8));
  if (rest >= LENGTH_AT) {
    mixBlock();
    block.fill(0);
  }
  const length = end - start;
  block[14] = length << 3;
  block[15] = Math.floor(length / 0x2000_0000);
  mixBlock();
}

/** Puts the bytes into the block, little-endian, with zeros behind them. */
function fill(bytes: Uint8Array, start: number, end: number): void {
  block.fill(0);
  for (let i = start; i < end; i++) {
    const at = i - start;
    block[at >> 2] = (block[at >> 2] as number) | ((bytes[i] as number) << ((at & 3) * 8));
  }
}

function mixBlock(): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    let mixed: number;
    let word: number;
    if (round === 0) {
      mixed = (b & c) | (~b & d);
      word = i;
    } else if (round === 1) {
      mixed = (d & b) | (~d & c);
      word = (5 * i + 1) & 15;
    } else if (round === 2) {
      mixed = b ^ c ^ d;
      word = (3 * i + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * i) & 15;
    }
    const sum = (a + mixed + (SINES[i] as number) + (block[word] as number)) | 0;
    const shift = SHIFTS[(round << 2) | (i & 3)] as number;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
}
