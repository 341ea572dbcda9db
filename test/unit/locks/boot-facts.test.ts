import { describe, expect, test } from "vitest";

import { readFacts, unfit, warningsOf } from "../../../src/locks/group/facts.ts";

/** As a server of that version answers INFO, where it matters here. */
function info(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const fields: Record<string, string | undefined> = {
    redis_version: "7.2.14",
    redis_mode: "standalone",
    run_id: "0123456789abcdef0123456789abcdef01234567",
    maxmemory_policy: "noeviction",
    aof_enabled: "0",
    role: "master",
    connected_slaves: "0",
    cluster_enabled: "0",
    ...changes,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}:${value}`],
  );
  return ["# Server", ...lines, "", "# Keyspace", "db0:keys=1,expires=0,avg_ttl=0", ""].join("\r\n");
}

const factsOf = (changes?: Parameters<typeof info>[0]) => readFacts(info(changes))!;

test("INFO is read whatever its order and line ends", () => {
  const facts = factsOf();
  const unixLines = readFacts(info().split("\r\n").toReversed().join("\n"));

  expect(facts).toEqual({
    runId: "0123456789abcdef0123456789abcdef01234567",
    role: "master",
    isCluster: false,
    isSentinel: false,
    evictionPolicy: "noeviction",
    redisVersion: "7.2.14",
    product: "redis 7.2.14",
    replicas: 0,
    isAppending: false,
  });
  expect(unixLines).toEqual(facts);
});

test.each([
  ["nothing", ""],
  ["something else", "hello: world"],
  ["no run id", info({ run_id: undefined })],
  ["a run id that would break the record", info({ run_id: "a b" })],
  ["no version", info({ redis_version: "unstable" })],
])("an INFO with %s is not that of a Redis", (_, text) => {
  expect(readFacts(text)).toBeUndefined();
});

describe("a server is fit", () => {
  test.each([
    ["Redis 6.2", { redis_version: "6.2.0" }],
    ["Redis 7.2", {}],
    ["Redis 10", { redis_version: "10.0.1" }],
    ["Valkey", { redis_version: "7.2.4", server_name: "valkey", valkey_version: "8.1.4" }],
  ])("that is %s", (_, changes) => {
    expect(unfit("a", factsOf(changes))).toBeUndefined();
  });
});

describe("a server is refused", () => {
  test.each([
    ["a Sentinel", { redis_mode: "sentinel" }, "sentinel", "holds no data"],
    ["of a cluster", { cluster_enabled: "1", redis_mode: "cluster" }, "cluster", "cluster mode"],
    ["a replica", { role: "slave" }, "replica", "role slave"],
    ["one that may evict", { maxmemory_policy: "volatile-lru" }, "eviction", "is volatile-lru"],
    ["one that does not tell", { maxmemory_policy: undefined }, "eviction", "is not told"],
    ["too old", { redis_version: "6.0.16" }, "version", "it is Redis 6.0.16, and 6.2 or later is needed"],
    ["far too old", { redis_version: "5.0.14" }, "version", "it is Redis 5.0.14"],
  ])("that is %s", (_, changes, reason, text) => {
    const error = unfit("a", factsOf(changes))!;

    expect(error.code).toBe("INSTANCE_REFUSED");
    expect(error.details).toMatchObject({ instance: "a", reason });
    expect(error.message).toContain(text);
  });
});

describe("a warning is given", () => {
  test.each([
    ["of a hole that scripts can break out of", { redis_version: "7.2.10" }, "CVE-2025-49844"],
    ["of a series that was never mended", { redis_version: "7.0.15" }, "redis 7.0.15 is older"],
    [
      "of Valkey's own versions",
      { redis_version: "7.2.4", server_name: "valkey", valkey_version: "8.0.5" },
      "valkey 8.0.5",
    ],
    ["of replicas", { connected_slaves: "2" }, "it has replicas"],
  ])("%s", (_, changes, text) => {
    expect(warningsOf(factsOf(changes), false, false)).toEqual([expect.stringContaining(text)]);
  });

  test("of an instance that was declared durable and is not", () => {
    const warnings = [true, false].map((isDurable) => warningsOf(factsOf(), true, isDurable));

    expect(warnings).toEqual([[], [expect.stringContaining("it was declared durable and is not")]]);
  });

  test("and none when there is nothing to say", () => {
    expect(warningsOf(factsOf(), false, false)).toEqual([]);
  });
});
