/**
 * The layout "arcs": 16,384 equal arcs, numbered by Redis Cluster's slot function, and a table of 32 KiB
 * that says who owns each. A lookup is a hash and one array read, whatever the number of members.
 *
 * `fillArcs` computes the table from the members alone: weighted rendezvous, then each member above its
 * cap gives up the arcs that it ranks lowest, and each of these goes to the keenest member that has room.
 * The cap is max(ceil(mean), floor(shareRatioMax x mean)) arcs, where the mean is the member's weighted fair
 * share: no bound below ceil(mean) can be kept, for arcs are whole.
 * The table never holds an index that is not a member's.
 */
import { ARC_COUNT, arcOf } from "../hash/arc.ts";
import type { Key } from "../hash/key.ts";
import { invariant } from "../../invariant.ts";
import type { Roster } from "../members.ts";
import { type Layout, type Pieces, sharesOf } from "./layout.ts";
import { Rendezvous } from "./rendezvous.ts";

/** The owner of each arc, as indexes into a roster. */
export type ArcTable = Readonly<Uint16Array>;

export class ArcsLayout implements Layout {
  readonly name = "arcs";
  readonly keySpace = "crc16/16384";
  readonly table: ArcTable;
  readonly #roster: Roster;
  #rendezvous: Rendezvous | undefined;

  constructor(roster: Roster, table: ArcTable) {
    invariant(table.length === ARC_COUNT, "an arc table has one owner per arc", { length: table.length });
    invariant(table.every((owner) => owner < roster.ids.length), "every arc's owner is a member");
    this.table = table;
    this.#roster = roster;
  }

  ownerIndex(key: Key): number {
    return this.table[arcOf(key)] as number;
  }

  *preference(key: Key): Generator<number> {
    const arc = arcOf(key);
    const owner = this.table[arc] as number;
    yield owner;
    this.#rendezvous ??= new Rendezvous(this.#roster);
    yield* this.#rendezvous.others(arc, owner);
  }

  shares(): Float64Array {
    return sharesOf(this.pieces(), this.#roster.ids.length);
  }

  pieces(): Pieces {
    const lasts = Uint32Array.from({ length: ARC_COUNT }, (_, arc) => arc);
    return { size: ARC_COUNT, lasts, owners: this.table };
  }
}

/** The table for these members, the same in every process and whatever their order. */
export function fillArcs(roster: Roster, shareRatioMax: number): ArcTable {
  const rendezvous = new Rendezvous(roster);
  const table = rendezvous.winners();
  const caps = arcCaps(roster, shareRatioMax);
  const loads = arcLoads(table, roster.ids.length);
  const excess: number[] = [];
  for (const [member, load] of loads.entries()) {
    const cap = caps[member] as number;
    if (load <= cap) continue;
    excess.push(...arcsOf(table, member, rendezvous).slice(cap));
    loads[member] = cap;
  }
  const hasRoom = (member: number) => (loads[member] as number) < (caps[member] as number);
  for (const arc of excess.toSorted((a, b) => a - b)) {
    const owner = rendezvous.keenest(arc, hasRoom);
    invariant(owner >= 0, "the caps have room for every arc", { arc });
    table[arc] = owner;
    loads[owner] = (loads[owner] as number) + 1;
  }
  return table;
}

/** The member's arcs, those that it ranks highest first. */
export function arcsOf(table: ArcTable, member: number, rendezvous: Rendezvous): number[] {
  const arcs: number[] = [];
  for (let arc = table.indexOf(member); arc >= 0; arc = table.indexOf(member, arc + 1)) arcs.push(arc);
  return arcs.toSorted((a, b) => rendezvous.rank(member, b) - rendezvous.rank(member, a));
}

/** Each member's weighted fair share in arcs, a fraction as a rule. */
export function arcMeans(roster: Roster): Float64Array {
  return roster.weights.map((weight) => (ARC_COUNT * weight) / roster.weightSum);
}

/** The most arcs that each member may have. */
export function arcCaps(roster: Roster, shareRatioMax: number): Float64Array {
  return arcMeans(roster).map((mean) => Math.max(Math.ceil(mean), Math.floor(shareRatioMax * mean)));
}

/** How many arcs each member has. */
export function arcLoads(table: ArcTable, memberCount: number): Float64Array {
  const loads = new Float64Array(memberCount);
  for (const owner of table) loads[owner] = (loads[owner] as number) + 1;
  return loads;
}
