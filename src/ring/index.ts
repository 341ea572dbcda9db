/** The room of the ring: consistent hashing of keys over members. Pure. */
export { ARC_COUNT, arcOf } from "./hash/arc.ts";
export type { Key } from "./hash/key.ts";
export { RING_JSON_VERSION, type RingJson } from "./json.ts";
export type { KetamaHash } from "./hash/position.ts";
export type { KetamaCompat } from "./layouts/ketama.ts";
export type { HashRange, LayoutName } from "./layouts/layout.ts";
export type { Member, RingMember } from "./members.ts";
export type { Move, Movement } from "./movement.ts";
export {
  type ArcsOptions,
  type JumpOptions,
  type KetamaOptions,
  type MaglevOptions,
  type PointsOptions,
  type RingOptions,
  SHARE_RATIO_MAX,
} from "./options.ts";
export { HashRing, LOAD_RATIO_MAX, type Loads, type OwnersOptions, type OwnerWithinOptions } from "./ring.ts";
