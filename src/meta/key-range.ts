/**
 * Which keys are meant: all that begin with a prefix, or all from one key up to, not including, another.
 * Keys are in the order of their UTF-16 code units, the order of JavaScript's own `<`. It differs from the
 * order of UTF-8 bytes in one place: characters above U+FFFF stand before those from U+E000 to U+FFFF.
 * A prefix is whole characters, so none of its keys begins with half of one.
 */
import { CoterieError, quote } from "../errors.ts";
import { utf8Length } from "./codec/utf8.ts";

/** Without `to` the range goes to the last key; `{ prefix: "" }` is every key. */
export type KeyRange =
  | { readonly prefix: string; readonly from?: undefined; readonly to?: undefined }
  | { readonly prefix?: undefined; readonly from: string; readonly to?: string | undefined };

const FIELDS: readonly string[] = ["prefix", "from", "to"];

/** From `from` up to, not including, `to`; without `to` up to the end. `to` may be ill-formed. */
export interface Bounds {
  readonly from: string;
  readonly to: string | undefined;
}

/** For a range that is known to be one. */
export function boundsOf(range: KeyRange): Bounds {
  if (range.prefix !== undefined) return { from: range.prefix, to: prefixEnd(range.prefix) };
  return { from: range.from, to: range.to };
}

/** Throws INVALID_ARGUMENT unless it is a range; `where` begins the message. */
export function requireRange(where: string, range: unknown): asserts range is KeyRange {
  if (typeof range !== "object" || range === null) {
    throw invalid(`${where}: a range is { prefix } or { from, to }, got ${quote(range)}`);
  }
  for (const name of Object.keys(range)) {
    if (FIELDS.includes(name)) continue;
    throw invalid(`${where}: a range: unknown field ${quote(name)} (known: ${FIELDS.join(", ")})`);
  }
  const { prefix, from, to } = range as Readonly<Record<string, unknown>>;
  if ((prefix === undefined) === (from === undefined) || (prefix !== undefined && to !== undefined)) {
    throw invalid(`${where}: a range has either a prefix, or from and perhaps to`);
  }
  requireText(where, "prefix", prefix);
  requireText(where, "from", from);
  requireText(where, "to", to);
}

function requireText(where: string, name: string, text: unknown): void {
  if (text === undefined) return;
  if (typeof text === "string" && utf8Length(text) >= 0) return;
  throw invalid(`${where}: ${name} must be well-formed text, got ${quote(text)}`);
}

function invalid(message: string): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", message);
}

/** The first string after all that begin with the prefix; undefined if they go to the end. */
export function prefixEnd(prefix: string): string | undefined {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const unit = prefix.charCodeAt(last);
    if (unit < 0xffff) return prefix.slice(0, last) + String.fromCharCode(unit + 1);
  }
  return undefined;
}
