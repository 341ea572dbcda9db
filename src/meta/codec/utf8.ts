/**
 * UTF-8, strictly: what is written is well-formed, and nothing else is read. Written out rather than left
 * to the platform's decoder, which drops a byte order mark and costs more than a short key is worth.
 * It must never replace a wrong byte by U+FFFD: two keys would become one.
 */

/** How many bytes the text takes, or -1 if it has a surrogate without its other half. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit < 0xd800 || unit > 0xdfff) length += 2;
    else {
      const low = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return -1;
      length += 2;
      i++;
    }
  }
  return length;
}

/** Writes well-formed text from `at` on, where there is room for it, and returns where it ends. */
export function writeUtf8(text: string, into: Uint8Array, at: number): number {
  let end = at;
  for (let i = 0; i < text.length; i++) {
    let point = text.charCodeAt(i);
    if (point < 0x80) {
      into[end++] = point;
      continue;
    }
    if (point < 0x800) {
      into[end++] = 0xc0 | (point >> 6);
    } else {
      if (point >= 0xd800 && point <= 0xdbff) {
        i++;
        point = 0x10000 + ((point - 0xd800) << 10) + (text.charCodeAt(i) - 0xdc00);
        into[end++] = 0xf0 | (point >> 18);
        into[end++] = 0x80 | ((point >> 12) & 0x3f);
      } else into[end++] = 0xe0 | (point >> 12);
      into[end++] = 0x80 | ((point >> 6) & 0x3f);
    }
    into[end++] = 0x80 | (point & 0x3f);
  }
  return end;
}

/** The text of `bytes[start]` up to `bytes[end]`, or undefined if that is not well-formed UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  for (let i = start; i < end; i += PIECE_CHARS) {
    const length = Math.min(PIECE_CHARS, end - i);
    const units = unitsOf(length);
    let all = 0;
    for (let at = 0; at < length; at++) {
      const byte = bytes[i + at] as number;
      units[at] = byte;
      all |= byte;
    }
    if (all >= 0x80) return readWide(bytes, i, end, text);
    text += String.fromCharCode(...units);
  }
  return text;
}

/**
 * A text made at once from all its units is one flat string. Put together from parts it would be a tree of
 * them, which the first look-up flattens: that cost as much as all the rest of reading a key.
 */
const PIECE_CHARS = 128;
const pieces: number[][] = [];

function unitsOf(length: number): number[] {
  return (pieces[length] ??= Array.from({ length }, () => 0));
}

/** The least code point that may be written in 2, 3 and 4 bytes. */
const LEAST = [0, 0, 0x80, 0x800, 0x10000] as const;

function readWide(bytes: Uint8Array, start: number, end: number, before: string): string | undefined {
  let text = before;
  for (let i = start; i < end; ) {
    const first = bytes[i] as number;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      i++;
      continue;
    }
    const size = sizeOf(first);
    if (size === 0 || i + size > end) return undefined;
    let point = first & (0xff >> (size + 1));
    for (let at = i + 1; at < i + size; at++) {
      const byte = bytes[at] as number;
      if ((byte & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (byte & 0x3f);
    }
    const isSurrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < (LEAST[size] as number) || point > 0x10ffff || isSurrogate) return undefined;
    text += String.fromCodePoint(point);
    i += size;
  }
  return text;
}

function sizeOf(first: number): number {
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}
