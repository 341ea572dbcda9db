/** Instances under test: opened on real Redis, closed after each test. */
import { systemEnv } from "../../src/env/index.ts";
import type { InstanceInput } from "../../src/redis/connect.ts";
import {
  createInstance,
  DEFAULT_INSTANCE_SETTINGS,
  type Instance,
  type InstanceSettings,
} from "../../src/redis/index.ts";

/** Quick to notice, so that tests are quick: 150 ms for a command, a health check every 100 ms. */
export const QUICK: InstanceSettings = {
  ...DEFAULT_INSTANCE_SETTINGS,
  deadlineMs: 150,
  connectDeadlineMs: 400,
  healthMs: 100,
};

export class OpenInstances {
  readonly #opened: Instance[] = [];

  async open(input: InstanceInput, settings: Partial<InstanceSettings> = {}): Promise<Instance> {
    const instance = createInstance("instance under test", input, { ...QUICK, ...settings }, systemEnv);
    this.#opened.push(instance);
    await instance.open();
    return instance;
  }

  closeAll(): void {
    for (const instance of this.#opened.splice(0)) instance.destroy();
  }
}
