/**
 * The layout "points": the classic ring. Each member has a number of points that depends on its own weight
 * alone, so that a change of one member never moves a key between two others; that is what libketama's
 * points, counted from each member's part of the total, get wrong. Weights are doubles and the counts whole
 * numbers up to 2^53, so nothing wraps at 32 bits.
 */
import { CoterieError } from "../../errors.ts";
import { mix32, ownPosition } from "../hash/position.ts";
import type { Roster } from "../members.ts";
import { CircleLayout, packPoint } from "./circle.ts";
import { idHash } from "./rendezvous.ts";

/** Bounds the memory of a circle to about 40 MB. */
export const POINTS_MAX = 4_194_304;

export const OWN_KEY_SPACE = "own/32";

/** `pointsPerWeight` times its weight is a member's number of points, rounded, and at least one. */
export function pointsLayout(roster: Roster, pointsPerWeight: number): CircleLayout {
  const counts = roster.members.map(({ weight }) => Math.max(1, Math.round(weight * pointsPerWeight)));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > POINTS_MAX) {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `ring: the weights ask for ${total} points, and ${POINTS_MAX} are allowed: lower pointsPerWeight`,
      { details: { points: total, pointsMax: POINTS_MAX, pointsPerWeight } },
    );
  }
  const points = new Float64Array(total);
  let at = 0;
  for (const [member, id] of roster.ids.entries()) {
    const [low, high] = idHash(id);
    for (let point = 0; point < (counts[member] as number); point++) {
      points[at++] = packPoint(mix32(mix32(low + Math.imul(point, 0x9e3779b1)) ^ high), member);
    }
  }
  return new CircleLayout({
    name: "points",
    keySpace: OWN_KEY_SPACE,
    memberCount: roster.ids.length,
    points,
    position: ownPosition,
  });
}
