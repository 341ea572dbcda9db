/** Lock groups under test over real Redis, closed after each test. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { type Env, systemEnv } from "../../src/env/index.ts";
import { type GroupSettings, LockGroup, type Member } from "../../src/locks/group/index.ts";
import type { ChannelName, Messages } from "../../src/observe/index.ts";
import { createInstance } from "../../src/redis/index.ts";
import { QUICK } from "./instances.ts";
import { until } from "./until.ts";

export interface GroupUnderTest extends Partial<GroupSettings> {
  /** In the place of a, b, c and so on. */
  readonly ids?: readonly string[];
  readonly env?: Env;
}

/** Short leases, so that a wait is short: 505 ms and 2. */
export const GROUP_SETTINGS: GroupSettings = {
  name: "t",
  leaseMsMax: 500,
  assumeNew: true,
  durable: [],
  deadlineMs: 150,
  tokenSkewMaxMs: 600_000,
};

export class OpenGroups {
  readonly #opened: LockGroup[] = [];

  create(urls: readonly string[], options: GroupUnderTest = {}): LockGroup {
    const { ids = "abcdefgh".split(""), env = systemEnv, ...settings } = options;
    const instances = urls.map((url, at) =>
      createInstance("instance under test", { id: ids[at]!, url }, QUICK, env),
    );
    const group = new LockGroup(instances, { ...GROUP_SETTINGS, ...settings }, env);
    this.#opened.push(group);
    return group;
  }

  async open(urls: readonly string[], options: GroupUnderTest = {}): Promise<LockGroup> {
    const group = this.create(urls, options);
    await group.open();
    return group;
  }

  destroyAll(): void {
    for (const group of this.#opened.splice(0)) group.destroy();
  }
}

export function memberOf(group: LockGroup, id: string): Member {
  return group.members.find((member) => member.id === id)!;
}

/** The state of each member, as in `member abstaining member`. */
export function statesOf(group: LockGroup): string {
  return group.status().members.map(({ state }) => state).join(" ");
}

export async function untilStates(group: LockGroup, states: string, withinMs = 5000): Promise<void> {
  try {
    await until(`the members are ${states}`, () => statesOf(group) === states, withinMs);
  } catch (error) {
    throw new Error(JSON.stringify(group.status().members, undefined, 1), { cause: error });
  }
}

/** All messages on one channel while `during` runs. */
export async function heardOn<Name extends ChannelName>(
  name: Name,
  during: () => Promise<unknown>,
): Promise<Messages[Name][]> {
  const heard: Messages[Name][] = [];
  const listen = (message: unknown): void => void heard.push(message as Messages[Name]);
  subscribe(name, listen);
  try {
    await during();
  } finally {
    unsubscribe(name, listen);
  }
  return heard;
}
