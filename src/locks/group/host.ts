/**
 * What a member asks of its group: the agreed settings, and everything that one instance cannot know by
 * itself. Members are named by their place in the group.
 */
import type { Env } from "../../env/index.ts";
import type { Leap } from "../core/server-clock.ts";
import type { GroupKeys, Look } from "./link.ts";
import type { GroupSettings } from "./status.ts";

export interface MemberHost {
  readonly env: Env;
  readonly settings: GroupSettings;
  readonly digest: string;
  readonly keys: GroupKeys;
  /** The group's ids, as JSON for people. */
  readonly description: string;
  isMember(id: string): boolean;
  /** The id of another member on the same server, which counts in the place of this one. */
  twinOf(at: number): string | undefined;
  /** Asks the others whether they know it, and makes it a member if nobody does. */
  claim(at: number): Promise<Look | undefined>;
  /** Its wait is over: raises its counters and makes it a member, or says why that cannot be yet. */
  readmit(at: number): Promise<Look | undefined>;
  /** Its wait has begun. */
  announce(at: number, waitMs: number, reason: string): void;
  onLeap(at: number, leap: Leap): void;
  /** Others may have waited for what is known of it now. */
  onSettled(at: number): void;
}
