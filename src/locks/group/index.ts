/** The lock group: which instances vote, when they abstain, and how they come back. */
export { LockGroup } from "./group.ts";
export type { MemberInstance } from "./instance.ts";
export type { Member } from "./member.ts";
export { type Replacement, replaceLockInstance, type ReplaceOptions } from "./replace.ts";
export type { GroupSettings, GroupStatus, MemberState, MemberStatus } from "./status.ts";
