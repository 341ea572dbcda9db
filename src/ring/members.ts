/**
 * Who shares the keys. A `Roster` is the checked, complete and sorted form of the members that a ring was
 * given; everything else in this folder speaks of members by their index in it. Sorting by id (in order of
 * UTF-16 code units, never by locale) is what makes the order in which members are named irrelevant.
 */
import { CoterieError, quote } from "../errors.ts";

/** A member of a ring: usually one Redis instance. */
export interface Member {
  /** What `owner` answers; 1 to 512 characters, unique in the ring. */
  readonly id: string;
  /** Its share relative to the others: above 0 and finite. Default 1. */
  readonly weight?: number;
  /** Where it stands, for instance a rack; `owners` can spread over zones. Without one: a zone of its own. */
  readonly zone?: string;
}

/** A member with its weight filled in, as `ring.members` lists it. */
export interface RingMember extends Member {
  readonly weight: number;
}

export interface Roster {
  readonly members: readonly RingMember[];
  readonly ids: readonly string[];
  /** Weights divided by the largest of them, so that only their ratios matter. */
  readonly weights: Float64Array;
  readonly weightSum: number;
  /** True when no weight differs from another. */
  readonly isEqual: boolean;
}

export const MEMBERS_MAX = 16_384;
const ID_LENGTH_MAX = 512;

const MEMBER_FIELDS = ["id", "weight", "zone"];

/** Checks the members and sorts them by id; throws INVALID_ARGUMENT. */
export function readRoster(given: unknown): Roster {
  const members = readMembers(given).toSorted((a, b) => compareIds(a.id, b.id));
  for (let i = 1; i < members.length; i++) {
    const id = (members[i] as RingMember).id;
    if (id === (members[i - 1] as RingMember).id) throw invalid(`the id ${quote(id)} is given twice`, { id });
  }
  return rosterOf(members);
}

/** The checked members in the order given. */
export function readMembers(given: unknown): RingMember[] {
  if (!Array.isArray(given)) throw invalid(`the members must be an array, got ${quote(given)}`);
  if (given.length === 0) throw invalid("a ring needs at least one member, got none");
  if (given.length > MEMBERS_MAX) {
    throw invalid(`a ring has at most ${MEMBERS_MAX} members, got ${given.length}`);
  }
  return Array.from(given, readMember);
}

function rosterOf(members: readonly RingMember[]): Roster {
  const weightMax = members.reduce((max, member) => Math.max(max, member.weight), 0);
  const weights = Float64Array.from(members, (member) => member.weight / weightMax);
  return {
    members: Object.freeze(members),
    ids: members.map((member) => member.id),
    weights,
    weightSum: weights.reduce((sum, weight) => sum + weight, 0),
    isEqual: weights.every((weight) => weight === 1),
  };
}

function readMember(given: unknown, index: number): RingMember {
  const where = `member ${index}`;
  if (typeof given === "string") return Object.freeze({ id: readName(given, where, "id"), weight: 1 });
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalid(`${where} must be an id or { id, weight, zone }, got ${quote(given)}`);
  }
  const unknown = Object.keys(given).find((field) => !MEMBER_FIELDS.includes(field));
  if (unknown !== undefined) {
    throw invalid(`${where}: unknown field ${quote(unknown)} (known: ${MEMBER_FIELDS.join(", ")})`);
  }
  const { id, weight = 1, zone } = given as { readonly [field in keyof Member]?: unknown };
  if (typeof weight !== "number" || !Number.isFinite(weight) || weight <= 0) {
    throw invalid(`${where}: weight must be a finite number above 0, got ${quote(weight)}`, { index, id });
  }
  const member = { id: readName(id, where, "id"), weight };
  return Object.freeze(zone === undefined ? member : { ...member, zone: readName(zone, where, "zone") });
}

function readName(name: unknown, where: string, field: string): string {
  if (typeof name === "string" && name.length > 0 && name.length <= ID_LENGTH_MAX) return name;
  throw invalid(`${where}: ${field} must be text of 1 to ${ID_LENGTH_MAX} characters, got ${quote(name)}`);
}

function compareIds(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `ring: ${message}`, { details });
}
