/** Redis in containers: not there yet, and says so. */
import { noRedis } from "./find.ts";
import type { RedisGroup } from "./handle.ts";

export function openContainers(): Promise<RedisGroup> {
  return Promise.reject(noRedis("containers are not supported yet"));
}
