import { startRedis } from "../../src/testing/index.ts";
import { redisProviderContract } from "../contract/redis-provider.contract.ts";

redisProviderContract({
  name: "containers",
  provider: "container",
  capabilities: ["kill", "restart", "pause", "output"],
  start: (options) => startRedis({ ...options, provider: "container" }),
});
