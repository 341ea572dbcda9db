/**
 * The options of a ring: which layout, and what that layout can be told. One shape per layout, so that an
 * option of another layout is an unknown option. `layOut` turns members and options into a layout.
 */
import { quote } from "../errors.ts";
import {
  invalidOption,
  numberField,
  oneOfField,
  optionalNumberField,
  readOptions,
  valueField,
} from "../options.ts";
import { KETAMA_HASHES, type KetamaHash } from "./hash/position.ts";
import { ArcsLayout, fillArcs } from "./layouts/arcs.ts";
import { JumpLayout } from "./layouts/jump.ts";
import { KETAMA_COMPATS, type KetamaChoices, type KetamaCompat, ketamaLayout } from "./layouts/ketama.ts";
import { type Layout, type LayoutName, LAYOUTS } from "./layouts/layout.ts";
import { isPrime, MaglevLayout, TABLE_SIZE_MAX } from "./layouts/maglev.ts";
import { POINTS_MAX, pointsLayout } from "./layouts/points.ts";
import type { Roster } from "./members.ts";

export type RingOptions = ArcsOptions | PointsOptions | KetamaOptions | MaglevOptions | JumpOptions;

/** 16,384 equal arcs by Redis Cluster's slot function. The default, and what shards use. */
export interface ArcsOptions {
  /** Default. Weigh against the others by what you come from: see docs/ring.md. */
  readonly layout?: "arcs" | undefined;
  /**
   * The most that a member's share may be of its fair share, from 1 to 16,384. Default 1.05. A share is a
   * whole number of arcs, so ceil(fair share) is always allowed. 16,384 switches the bound off: then a
   * change of members moves nothing between members that stay, and shares scatter.
   */
  readonly shareRatioMax?: number | undefined;
}

/** The classic ring of hashed points. */
export interface PointsOptions {
  /** Least movement always, shares within about a fifth of fair; slower than "arcs". */
  readonly layout: "points";
  /** Points of a member of weight 1, above 0. Default 160. More points: evener shares, more memory. */
  readonly pointsPerWeight?: number | undefined;
}

/** Bit for bit what libketama, nutcracker or the `hashring` package do. */
export interface KetamaOptions {
  /** For those who come from one of these programs; everyone else does better with "arcs". */
  readonly layout: "ketama";
  /** Whose arithmetic to follow. Default "libketama". */
  readonly compat?: KetamaCompat | undefined;
  /** How keys are hashed. Default "md5", and with nutcracker "fnv1a_64", its own default. */
  readonly hash?: KetamaHash | undefined;
  /** Two ASCII characters between which the part of a key stands that alone is hashed. Default "": none. */
  readonly hashTag?: string | undefined;
  /** Ids that end in this port make their points without it. Default 0, none; with nutcracker 11211. */
  readonly defaultPort?: number | undefined;
  /** Groups of points of a member of average weight; `hashring` calls it "vnode count". Default 40. */
  readonly groupsPerMember?: number | undefined;
  /** Points in a group, 1 to 4; `hashring` calls it "replicas". Default 4. */
  readonly pointsPerGroup?: number | undefined;
}

/** The table of Google's Maglev. */
export interface MaglevOptions {
  /** The evenest shares, and more movement than any other layout. */
  readonly layout: "maglev";
  /** Entries of the table, a prime up to 2,097,143. Default 65,537. At least 100 per member is advised. */
  readonly tableSize?: number | undefined;
}

/** Jump consistent hash: members are numbered in the order given, and only the last comes or goes. */
export interface JumpOptions {
  /** Even shares and least movement without a table, for shards that are only ever added at the end. */
  readonly layout: "jump";
}

/** Options with every default filled in. */
export type RingChoices =
  | { readonly layout: "arcs"; readonly shareRatioMax: number }
  | { readonly layout: "points"; readonly pointsPerWeight: number }
  | ({ readonly layout: "ketama" } & KetamaChoices)
  | { readonly layout: "maglev"; readonly tableSize: number }
  | { readonly layout: "jump" };

export const SHARE_RATIO_MAX = 1.05;

const ARCS = {
  layout: oneOfField(["arcs"], "arcs"),
  shareRatioMax: numberField(SHARE_RATIO_MAX, { min: 1, max: 16_384, integer: false }),
};
const POINTS = {
  layout: oneOfField(["points"], "points"),
  pointsPerWeight: valueField(160, `a number above 0, at most ${POINTS_MAX}`, isPointsPerWeight),
};
const KETAMA = {
  layout: oneOfField(["ketama"], "ketama"),
  compat: oneOfField(KETAMA_COMPATS, "libketama"),
  hash: valueField<KetamaHash | undefined>(undefined, `one of ${KETAMA_HASHES.join(", ")}`, isKetamaHash),
  hashTag: valueField("", "two printable ASCII characters, or empty for none", isHashTag),
  defaultPort: optionalNumberField({ min: 0, max: 65_535 }),
  groupsPerMember: numberField(40, { min: 1, max: 10_000 }),
  pointsPerGroup: numberField(4, { min: 1, max: 4 }),
};
const MAGLEV = {
  layout: oneOfField(["maglev"], "maglev"),
  tableSize: valueField(65_537, `a prime from 2 to ${TABLE_SIZE_MAX}`, isTableSize),
};
const JUMP = { layout: oneOfField(["jump"], "jump") };

const READERS: Readonly<Record<LayoutName, (options: unknown) => RingChoices>> = {
  arcs: (options) => readOptions("ring", options, ARCS),
  points: (options) => readOptions("ring", options, POINTS),
  ketama: readKetama,
  maglev: (options) => readOptions("ring", options, MAGLEV),
  jump: (options) => readOptions("ring", options, JUMP),
};

/** Checks the options and fills in the defaults; throws INVALID_OPTION. */
export function readChoices(options: unknown): RingChoices {
  return READERS[layoutName(options)](options);
}

/** Places the members; `ids` are theirs in the order given, which "jump" alone looks at. */
export function layOut(roster: Roster, ids: readonly string[], choices: RingChoices): Layout {
  if (choices.layout === "arcs") return new ArcsLayout(roster, fillArcs(roster, choices.shareRatioMax));
  if (choices.layout === "points") return pointsLayout(roster, choices.pointsPerWeight);
  if (choices.layout === "ketama") return ketamaLayout(roster, choices);
  if (choices.layout === "maglev") return new MaglevLayout(roster, choices.tableSize);
  return new JumpLayout(roster, ids);
}

function layoutName(options: unknown): LayoutName {
  if (typeof options !== "object" || options === null) return "arcs";
  const { layout = "arcs" } = options as { readonly layout?: unknown };
  if (LAYOUTS.includes(layout as LayoutName)) return layout as LayoutName;
  throw invalidOption("ring", "layout", `one of ${LAYOUTS.map((name) => quote(name)).join(", ")}`, layout);
}

function readKetama(options: unknown): RingChoices {
  const { hash, defaultPort, ...rest } = readOptions("ring", options, KETAMA);
  const isProxy = rest.compat === "nutcracker";
  return {
    ...rest,
    hash: hash ?? (isProxy ? "fnv1a_64" : "md5"),
    defaultPort: defaultPort ?? (isProxy ? 11_211 : 0),
  };
}

function isPointsPerWeight(value: unknown): boolean {
  return typeof value === "number" && value > 0 && value <= POINTS_MAX;
}

function isKetamaHash(value: unknown): boolean {
  return KETAMA_HASHES.includes(value as KetamaHash);
}

function isHashTag(value: unknown): boolean {
  return typeof value === "string" && /^(?:[!-~]{2})?$/.test(value);
}

function isTableSize(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) <= TABLE_SIZE_MAX && isPrime(value as number);
}
