import { afterAll, beforeAll, describe } from "vitest";

import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { redisProviderContract } from "./redis-provider.contract.ts";

redisProviderContract({
  name: "child processes",
  provider: "process",
  capabilities: ["kill", "restart", "pause", "output"],
  start: (options) => startRedis({ ...options, provider: "process" }),
});

describe("with Redis that somebody else runs", () => {
  let foreign: RedisGroup;

  beforeAll(async () => {
    foreign = await startRedis({ count: 2, provider: "process" });
  });

  afterAll(() => foreign.stop());

  redisProviderContract({
    name: "external instances",
    provider: "external",
    capabilities: [],
    start: ({ count = 1, ...options }) => startRedis({ ...options, urls: foreign.urls.slice(0, count) }),
  });
});
