/** Shards under test over real Redis, closed after each test. */
import { openShards, type Shards, type ShardsOptions } from "../../src/shards/index.ts";
import { QUICK } from "./instances.ts";

/** `count` keys per instance id, found by asking the ring. */
export function keysByOwner(shards: Shards, count: number): Map<string, string[]> {
  const found = new Map<string, string[]>(shards.ring.members.map(({ id }) => [id, []]));
  for (let n = 0; [...found.values()].some((keys) => keys.length < count); n += 1) {
    const key = `key:${n}`;
    const keys = found.get(shards.for(key).id)!;
    if (keys.length < count) keys.push(key);
  }
  return found;
}

export class OpenShards {
  readonly #opened: Shards[] = [];

  async open(
    urls: readonly string[],
    options: Omit<ShardsOptions, "instances"> = {},
  ): Promise<Shards> {
    const { deadlineMs, connectDeadlineMs, healthMs } = QUICK;
    const instances = urls.map((url, at) => ({ id: "abcdefgh"[at]!, url }));
    const shards = await openShards({ instances, deadlineMs, connectDeadlineMs, healthMs, ...options });
    this.#opened.push(shards);
    return shards;
  }

  destroyAll(): void {
    for (const shards of this.#opened.splice(0)) shards.destroy();
  }
}
