/**
 * The ring: which member owns a key, who comes next, what each one's share is, and what moves when the
 * members change. A ring is immutable and pure; a change makes a new one. Members are placed by one of five
 * layouts behind one interface, "arcs" unless told otherwise.
 * What a ring answers depends on its members, its options and, after `rebalance`, on the ring it came from;
 * never on the order of members (except in the layout "jump"), on the machine, on chance or on time.
 */
import { CoterieError, quote } from "../errors.ts";
import { booleanField, numberField, readOptions } from "../options.ts";
import { ARC_COUNT } from "./hash/arc.ts";
import type { Key } from "./hash/key.ts";
import { readRing, type RingJson, writeRing } from "./json.ts";
import { ArcsLayout, type ArcTable } from "./layouts/arcs.ts";
import type { Layout, LayoutName } from "./layouts/layout.ts";
import { rebalanceArcs } from "./layouts/rebalance.ts";
import { type Member, readMembers, readRoster, type RingMember, type Roster } from "./members.ts";
import { type Movement, movementBetween } from "./movement.ts";
import { layOut, readChoices, type RingChoices, type RingOptions } from "./options.ts";

export interface OwnersOptions {
  /**
   * True answers members of different zones first, in order of preference, and repeats a zone only when
   * every zone has its member. Default false. A member without a zone is a zone of its own.
   */
  readonly distinctZones?: boolean | undefined;
}

export interface OwnerWithinOptions {
  /** The most load a member may have relative to its fair part of all, from 1. Default 1.25. */
  readonly loadRatioMax?: number | undefined;
}

/** What each member carries now, by id: a map (absent means 0) or a function. */
export type Loads = ReadonlyMap<string, number> | ((id: string) => number);

export const LOAD_RATIO_MAX = 1.25;

const OWNERS = { distinctZones: booleanField(false) };
const OWNER_WITHIN = { loadRatioMax: numberField(LOAD_RATIO_MAX, { min: 1, max: 16_384, integer: false }) };

export class HashRing {
  readonly #roster: Roster;
  readonly #choices: RingChoices;
  /** The members in the order that matters: of buckets in "jump", of ids everywhere else. */
  readonly #ordered: readonly RingMember[];
  readonly #layout: Layout;
  readonly #ids: readonly string[];

  /** Throws INVALID_ARGUMENT for members, INVALID_OPTION for options. */
  constructor(members: readonly (string | Member)[], options?: RingOptions);
  /** @internal With a table that is known to be sound. */
  constructor(members: readonly (string | Member)[], options: RingOptions, table: ArcTable);
  constructor(members: readonly (string | Member)[], options?: RingOptions, table?: ArcTable) {
    this.#choices = readChoices(options);
    this.#roster = readRoster(members);
    this.#ids = this.#roster.ids;
    this.#ordered = this.#choices.layout === "jump" ? readMembers(members) : this.#roster.members;
    const ids = this.#ordered.map((member) => member.id);
    this.#layout =
      table === undefined ? layOut(this.#roster, ids, this.#choices) : new ArcsLayout(this.#roster, table);
  }

  /** The ring that `toJSON` wrote, from its JSON or from the text of it; throws INVALID_ARGUMENT. */
  static from(json: unknown): HashRing {
    const { members, options, table } = readRing(json);
    try {
      const isArcs = readChoices(options).layout === "arcs";
      if (isArcs !== (table !== undefined)) {
        throw new CoterieError("INVALID_ARGUMENT", 'arcs go with the layout "arcs" and with no other');
      }
      if (table === undefined) return new HashRing(members as Member[], options);
      const ring = new HashRing(members as Member[], options, table);
      if (readMembers(members).every(({ id }, index) => id === ring.#ids[index])) return ring;
      throw new CoterieError("INVALID_ARGUMENT", "members must be in order of id");
    } catch (error) {
      if (!CoterieError.is(error)) throw error;
      throw new CoterieError("INVALID_ARGUMENT", `ring JSON: ${error.message}`, { cause: error });
    }
  }

  /**
   * A ring of the layout "arcs" with the owners that `ownerOfArc` names, for instance the slots of a Redis
   * Cluster that one comes from. The bound on shares is not applied until the next `rebalance`.
   */
  static fromArcs(
    members: readonly (string | Member)[],
    ownerOfArc: (arc: number) => string,
    options: RingOptions = {},
  ): HashRing {
    if (readChoices(options).layout !== "arcs") {
      throw invalid('ring: fromArcs makes rings of the layout "arcs" alone');
    }
    if (typeof ownerOfArc !== "function") {
      throw invalid(`ring.fromArcs: ownerOfArc must be a function, got ${quote(ownerOfArc)}`);
    }
    const indexes = new Map(readRoster(members).ids.map((id, index) => [id, index]));
    const table = Uint16Array.from({ length: ARC_COUNT }, (_, arc) => {
      const id = ownerOfArc(arc);
      const index = indexes.get(id);
      if (index !== undefined) return index;
      throw invalid(`ring: the owner of arc ${arc}, ${quote(id)}, is not a member`, { arc });
    });
    return new HashRing(members, options, table);
  }

  /** The members in order of id, weights filled in. */
  get members(): readonly RingMember[] {
    return this.#roster.members;
  }

  /** How many members there are. */
  get size(): number {
    return this.#ids.length;
  }

  get layout(): LayoutName {
    return this.#layout.name;
  }

  /** The id of the member that owns the key. Allocates nothing; throws INVALID_ARGUMENT for other types. */
  owner(key: Key): string {
    return this.#ids[this.#layout.ownerIndex(key)] as string;
  }

  /** The owner's index in `members`, for callers that keep an array by it. Allocates nothing. */
  ownerIndex(key: Key): number {
    return this.#layout.ownerIndex(key);
  }

  /**
   * The first `count` members for the key in order of preference: the owner, then whoever would stand in for
   * those before. Throws INVALID_ARGUMENT unless count is from 1 to `size`.
   */
  owners(key: Key, count: number, options?: OwnersOptions): string[] {
    const { distinctZones } = readOptions("ring.owners", options, OWNERS);
    if (!Number.isInteger(count) || count < 1 || count > this.size) {
      const needed = `from 1 to ${this.size}, the number of members`;
      throw invalid(`ring.owners: count must be ${needed}, got ${quote(count)}`, { count, size: this.size });
    }
    return this.#firstOwners(key, count, distinctZones).map((index) => this.#ids[index] as string);
  }

  /**
   * Bounded loads (Mirrokni, Thorup and Zadimoghaddam 2016): the first member in order of preference that
   * has fewer than ceil(loadRatioMax x its fair part of all loads and this one). There always is one.
   * Throws INVALID_ARGUMENT for a load that is negative or not finite.
   */
  ownerWithin(key: Key, loads: Loads, options?: OwnerWithinOptions): string {
    const { loadRatioMax } = readOptions("ring.ownerWithin", options, OWNER_WITHIN);
    const carried = this.#readLoads(loads);
    const total = carried.reduce((sum, load) => sum + load, 1);
    const fairUnit = (loadRatioMax * total) / this.#roster.weightSum;
    for (const index of this.#layout.preference(key)) {
      const cap = Math.ceil(fairUnit * (this.#roster.weights[index] as number));
      if ((carried[index] as number) < cap) return this.#ids[index] as string;
    }
    // Only rounding in loads near 2^53 can get here: the caps add up to more than the loads.
    return this.owner(key);
  }

  /** This ring with one member more, or with that member changed; computed anew with the same options. */
  with(member: string | Member): HashRing {
    const id = typeof member === "object" && member !== null ? member.id : member;
    const members: (string | Member)[] = [...this.#ordered];
    const at = this.#ordered.findIndex((present) => present.id === id);
    return new HashRing(at < 0 ? [...members, member] : members.with(at, member), this.#choices);
  }

  /** This ring without the member; computed anew with the same options. Throws if there is no such member. */
  without(id: string): HashRing {
    const at = this.#ordered.findIndex((present) => present.id === id);
    if (at < 0) throw invalid(`ring.without: ${quote(id)} is not a member`, { id });
    if (this.#choices.layout === "jump" && at !== this.size - 1) {
      const last = quote(this.#ordered.at(-1)?.id);
      throw invalid(`ring.without: the layout "jump" can lose only its last member, ${last}`, { id });
    }
    return new HashRing(this.#ordered.toSpliced(at, 1), this.#choices);
  }

  /**
   * A ring of these members that differs from this one as little as the bound on shares allows (layout
   * "arcs"). Other layouts have no table to start from: there it is a ring computed from the members.
   */
  rebalance(members: readonly (string | Member)[]): HashRing {
    if (!(this.#layout instanceof ArcsLayout) || this.#choices.layout !== "arcs") {
      return new HashRing(members, this.#choices);
    }
    const roster = readRoster(members);
    const table = rebalanceArcs(this.#layout.table, this.#roster, roster, this.#choices.shareRatioMax);
    return new HashRing(members, this.#choices, table);
  }

  /** What moves from this ring to `next`, exactly. Throws INVALID_ARGUMENT if they hash keys differently. */
  movement(next: HashRing): Movement {
    if (typeof next !== "object" || next === null || !(#layout in next)) {
      throw invalid(`ring.movement: next must be a HashRing, got ${quote(next)}`);
    }
    const { keySpace } = this.#layout;
    if (keySpace !== next.#layout.keySpace) {
      const details = { from: keySpace, to: next.#layout.keySpace };
      throw invalid(`ring.movement: the rings hash keys differently: ${keySpace}, ${details.to}`, details);
    }
    const before = { ids: this.#ids, layout: this.#layout };
    return movementBetween(before, { ids: next.#ids, layout: next.#layout });
  }

  /** The exact share of the key space of each member, in order of id; they add up to 1. */
  shares(): Map<string, number> {
    const shares = this.#layout.shares();
    return new Map(this.#ids.map((id, index) => [id, shares[index] as number]));
  }

  /** The id of the member that owns the arc, 0 to 16,383; for the layout "arcs" alone. */
  ownerOfArc(arc: number): string {
    if (!(this.#layout instanceof ArcsLayout)) {
      throw invalid(`ring.ownerOfArc: the layout "${this.layout}" has no arcs`);
    }
    const index = Number.isInteger(arc) ? this.#layout.table[arc] : undefined;
    if (index !== undefined) return this.#ids[index] as string;
    throw invalid(`ring.ownerOfArc: an arc is a whole number from 0 to ${ARC_COUNT - 1}, got ${quote(arc)}`);
  }

  toJSON(): RingJson {
    const table = this.#layout instanceof ArcsLayout ? this.#layout.table : undefined;
    return writeRing(this.#ordered, { ...this.#choices }, table);
  }

  #firstOwners(key: Key, count: number, distinctZones: boolean): number[] {
    const chosen: number[] = [];
    const repeats: number[] = [];
    const zones = new Set<string>();
    for (const index of this.#layout.preference(key)) {
      const { zone } = this.members[index] as RingMember;
      const isRepeat = distinctZones && zone !== undefined && zones.has(zone);
      if (zone !== undefined) zones.add(zone);
      (isRepeat ? repeats : chosen).push(index);
      if (chosen.length === count) return chosen;
    }
    return [...chosen, ...repeats].slice(0, count);
  }

  #readLoads(loads: Loads): Float64Array {
    if (typeof loads !== "function" && !(loads instanceof Map)) {
      throw invalid(`ring.ownerWithin: loads must be a Map or a function, got ${quote(loads)}`);
    }
    const loadOf = typeof loads === "function" ? loads : (id: string) => loads.get(id) ?? 0;
    return Float64Array.from(this.#ids, (id) => {
      const load: unknown = loadOf(id);
      if (typeof load === "number" && Number.isFinite(load) && load >= 0) return load;
      const received = `the load of ${quote(id)} must be a number from 0, got ${quote(load)}`;
      throw invalid(`ring.ownerWithin: ${received}`, { id });
    });
  }
}

function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", message, { details });
}
