/**
 * A ring as JSON, so that it can be stored, agreed on and sent. Version 1 holds the members, the options
 * and, for the layout "arcs", the table itself: a table that was rebalanced follows from no formula, and a
 * stored map must not change when a later version computes tables otherwise.
 * What comes in is hostile until proved otherwise: every field is checked, and unknown ones are refused.
 */
import { CoterieError, quote } from "../errors.ts";
import { ARC_COUNT } from "./hash/arc.ts";
import type { ArcTable } from "./layouts/arcs.ts";
import type { Member, RingMember } from "./members.ts";

export const RING_JSON_VERSION = 1;

export interface RingJson {
  readonly version: typeof RING_JSON_VERSION;
  /** In order of id; in the layout "jump" in order of bucket. */
  readonly members: readonly Member[];
  /** As the constructor takes them, the layout among them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Layout "arcs" alone: each arc's owner as an index into `members`, 16 bits, big-endian, in base64. */
  readonly arcs?: string;
}

const FIELDS = ["version", "members", "options", "arcs"];

/** What `RingJson` holds, as far as it can be checked without knowing the layouts. */
export interface RawRing {
  readonly members: unknown;
  readonly options: Readonly<Record<string, unknown>>;
  readonly table: ArcTable | undefined;
}

export function writeRing(
  members: readonly RingMember[],
  options: Readonly<Record<string, unknown>>,
  table: ArcTable | undefined,
): RingJson {
  const json = { version: RING_JSON_VERSION, members, options } as const;
  return table === undefined ? json : { ...json, arcs: encodeTable(table) };
}

/** Takes the JSON apart; text is parsed first. Throws INVALID_ARGUMENT. */
export function readRing(given: unknown): RawRing {
  const json = typeof given === "string" ? parse(given) : given;
  if (!isRecord(json)) throw invalid(`it must be an object, got ${quote(json)}`);
  const unknown = Object.keys(json).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw invalid(`unknown field ${quote(unknown)} (known: ${FIELDS.join(", ")})`);
  const own = (field: string) => (Object.hasOwn(json, field) ? json[field] : undefined);
  if (own("version") !== RING_JSON_VERSION) {
    throw invalid(`version ${quote(own("version"))} is not known, only ${RING_JSON_VERSION} is`);
  }
  const options = own("options");
  if (!isRecord(options)) throw invalid(`options must be an object, got ${quote(options)}`);
  const members = own("members");
  const arcs = own("arcs");
  return { members, options, table: arcs === undefined ? undefined : decodeTable(arcs, members) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CoterieError("INVALID_ARGUMENT", "ring JSON: the text does not parse", { cause: error });
  }
}

function encodeTable(table: ArcTable): string {
  let binary = "";
  for (const owner of table) binary += String.fromCharCode(owner >> 8, owner & 0xff);
  return btoa(binary);
}

function decodeTable(arcs: unknown, members: unknown): ArcTable {
  const binary = typeof arcs === "string" ? fromBase64(arcs) : undefined;
  if (binary?.length !== 2 * ARC_COUNT) {
    throw invalid(`arcs must be ${2 * ARC_COUNT} bytes in base64, got ${quote(arcs)}`);
  }
  const memberCount = Array.isArray(members) ? members.length : 0;
  return Uint16Array.from({ length: ARC_COUNT }, (_, arc) => {
    const owner = (binary.charCodeAt(2 * arc) << 8) | binary.charCodeAt(2 * arc + 1);
    if (owner < memberCount) return owner;
    throw invalid(`arc ${arc} belongs to member ${owner} of ${memberCount}`, { arc, owner });
  });
}

/** The bytes as a string of their values; undefined if it is not base64. */
function fromBase64(text: string): string | undefined {
  if (text.length > 4 * ARC_COUNT || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return text.length % 4 === 0 ? atob(text) : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `ring JSON: ${message}`, { details });
}
