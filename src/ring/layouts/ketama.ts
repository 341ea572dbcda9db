/**
 * The layout "ketama": point for point and key for key what libketama, twemproxy (nutcracker) or the
 * `hashring` package do, their rounding faults included, so that data can stay where they put it. Each
 * member has points in groups of four, the words of MD5(name-0), MD5(name-1) and so on; how many groups
 * depends on its part of the total weight, and on the arithmetic of the program that is followed:
 *
 * - libketama:  the part in float32, the product in double, and that rounded to float32;
 * - nutcracker: every step in float32, with 1e-10 added in double before the last;
 * - hashring:   all in double.
 *
 * Faithful means not improved: use "arcs" or "points" unless you come from one of these.
 * Where two points of different members fall together, the C programs let qsort decide; here the smaller id
 * owns (a chance of about points^2 / 2^33 that there is such a pair at all).
 */
import { CoterieError, quote } from "../../errors.ts";
import type { Key } from "../hash/key.ts";
import { type KetamaHash, ketamaPosition } from "../hash/position.ts";
import { md5Words } from "../hash/md5.ts";
import type { Roster } from "../members.ts";
import { CircleLayout, packPoint } from "./circle.ts";
import { POINTS_MAX } from "./points.ts";

export const KETAMA_COMPATS = ["libketama", "nutcracker", "hashring"] as const;
export type KetamaCompat = (typeof KETAMA_COMPATS)[number];

export interface KetamaChoices {
  readonly compat: KetamaCompat;
  readonly hash: KetamaHash;
  readonly hashTag: string;
  /** A member whose id ends in this port is named without it; 0 for none. */
  readonly defaultPort: number;
  readonly groupsPerMember: number;
  readonly pointsPerGroup: number;
}

/** nutcracker builds "name-number" in a buffer of 86 bytes. */
const NUTCRACKER_NAME_BYTES_MAX = 80;

export function ketamaLayout(roster: Roster, choices: KetamaChoices): CircleLayout {
  const names = roster.ids.map((id) => pointName(id, choices));
  const groups = groupCounts(roster, choices);
  const { pointsPerGroup, hash, hashTag } = choices;
  const position = ketamaPosition(hash, hashTag);
  const points = new Float64Array(pointCount(groups, choices));
  let at = 0;
  const encoder = new TextEncoder();
  for (const [member, name] of names.entries()) {
    for (let group = 0; group < (groups[member] as number); group++) {
      const words = md5Words(encoder.encode(`${name}-${group}`));
      for (let k = 0; k < pointsPerGroup; k++) points[at++] = packPoint(words[k] as number, member);
    }
  }
  return new CircleLayout({
    name: "ketama",
    keySpace: `${hash}/32${hashTag}`,
    memberCount: roster.ids.length,
    points,
    position: choices.compat === "nutcracker" ? emptyFirst(position) : position,
  });
}

/** How many points there will be: what to refuse is known before the first is made. */
function pointCount(groups: readonly number[], choices: KetamaChoices): number {
  const points = choices.pointsPerGroup * groups.reduce((sum, count) => sum + count, 0);
  const details = { points, pointsMax: POINTS_MAX, groupsPerMember: choices.groupsPerMember };
  if (points > POINTS_MAX) {
    const allowed = `${POINTS_MAX} are allowed: lower groupsPerMember`;
    const message = `ring: ${groups.length} members ask for ${points} points, and ${allowed}`;
    throw new CoterieError("INVALID_ARGUMENT", message, { details });
  }
  // Weights beyond the arithmetic make counts of NaN, which are above nothing.
  if (points > 0) return points;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `ring: no member gets a point by the arithmetic of ${choices.compat}: its weights cannot be told apart ` +
      "from 0 or Infinity, or groupsPerMember is too low",
    { details },
  );
}

/** nutcracker does not hash the empty key: it lies at position 0. */
function emptyFirst(position: (key: Key) => number): (key: Key) => number {
  return (key) => {
    const hashed = position(key);
    return key.length === 0 ? 0 : hashed;
  };
}

function pointName(id: string, { compat, defaultPort }: KetamaChoices): string {
  const suffix = `:${defaultPort}`;
  const name = defaultPort > 0 && id.endsWith(suffix) ? id.slice(0, -suffix.length) : id;
  if (compat === "nutcracker" && new TextEncoder().encode(name).length > NUTCRACKER_NAME_BYTES_MAX) {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `ring: nutcracker cuts names at ${NUTCRACKER_NAME_BYTES_MAX} bytes, and ${quote(id)} is longer`,
      { details: { id } },
    );
  }
  return name;
}

function groupCounts(roster: Roster, { compat, groupsPerMember }: KetamaChoices): number[] {
  const weights = roster.members.map(({ weight }) => weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const count = weights.length;
  if (compat === "hashring") {
    return weights.map((weight) => Math.floor((weight / total) * groupsPerMember * count));
  }
  return weights.map((weight) => {
    const part = Math.fround(Math.fround(weight) / Math.fround(total));
    if (compat === "libketama") return Math.floor(Math.fround(part * groupsPerMember * count));
    const points = Math.fround(Math.fround(part * (4 * groupsPerMember)) / 4);
    return Math.floor(Math.fround(Math.fround(points * Math.fround(count)) + 1e-10));
  });
}
