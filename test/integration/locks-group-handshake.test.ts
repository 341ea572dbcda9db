import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { parseBoot } from "../../src/locks/group/boot.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { memberOf, OpenGroups, statesOf, untilStates } from "../support/lock-groups.ts";
import { rejection } from "../support/reject.ts";

let redis: RedisGroup;
let admins: Redis[];
const opened = new OpenGroups();
const others: RedisGroup[] = [];

beforeEach(async () => {
  redis = await startRedis({ count: 3 });
  admins = redis.urls.map((url) => new Redis(url));
  for (const admin of admins) admin.on("error", () => {});
});
afterEach(async () => {
  opened.destroyAll();
  for (const admin of admins) admin.disconnect();
  await Promise.all([redis, ...others.splice(0)].map((group) => group.stop()));
});

describe("an instance is refused that", () => {
  test("may evict keys, until it may not", async () => {
    await admins[1]!.config("SET", "maxmemory-policy", "allkeys-lru");
    const group = await opened.open(redis.urls);

    const error = memberOf(group, "b").refusal()!;
    const states = statesOf(group);
    await admins[1]!.config("SET", "maxmemory-policy", "noeviction");
    await untilStates(group, "member member member");

    expect(states).toBe("member refused member");
    expect([error.code, error.retryable, error.details["reason"]]).toEqual([
      "INSTANCE_REFUSED",
      false,
      "eviction",
    ]);
    expect(error.message).toContain("maxmemory-policy is allkeys-lru");
  });

  test("is a replica, and abstains when it is promoted after it was a member", async () => {
    const group = await opened.open(redis.urls);
    const [host, port] = [redis.instances[0]!.host, redis.instances[0]!.port];
    await admins[1]!.config("SET", "repl-diskless-sync-delay", "0");
    await admins[0]!.config("SET", "repl-diskless-sync-delay", "0");

    await admins[1]!.call("replicaof", host, port);
    await admins[1]!.call("client", "kill", "type", "normal", "skipme", "yes");
    await untilStates(group, "member refused member");
    const error = memberOf(group, "b").refusal()!;
    await admins[1]!.call("replicaof", "no", "one");
    await admins[1]!.del("t:boot");
    await untilStates(group, "member abstaining member");
    await untilStates(group, "member member member");

    expect(error.details).toMatchObject({ instance: "b", reason: "replica" });
  });

  test("was a replica and has the very record that it had before", async () => {
    const group = await opened.open(redis.urls);
    const record = (await admins[1]!.get("t:boot"))!;
    await admins[1]!.call("replicaof", "127.0.0.1", 1);
    await admins[1]!.call("client", "kill", "type", "normal", "skipme", "yes");
    await untilStates(group, "member refused member");

    await admins[1]!.call("replicaof", "no", "one");
    const kept = await admins[1]!.get("t:boot");
    await untilStates(group, "member abstaining member");

    expect(kept).toBe(record);
    expect(memberOf(group, "b").refusal()?.message).toContain("it was a replica meanwhile");
    await untilStates(group, "member member member");
  });

  test("runs in cluster mode", async () => {
    const cluster = await startRedis({ config: { "cluster-enabled": "yes" } });
    others.push(cluster);

    const group = await opened.open([...redis.urls.slice(0, 2), ...cluster.urls]);

    expect(statesOf(group)).toBe("member member refused");
    expect(memberOf(group, "c").refusal()?.details).toMatchObject({ reason: "cluster" });
  });

  test("is the same server as another instance, by another name", async () => {
    const { port } = redis.instances[1]!;
    const urls = [redis.urls[0]!, redis.urls[1]!, `redis://localhost:${port}`];

    const groups = await Promise.all([opened.open(urls), opened.open(urls), opened.open(urls)]);

    const refused = groups.map((group) => statesOf(group));
    expect(["member member refused", "member refused member"]).toContain(refused[0]);
    expect(new Set(refused).size).toBe(1);
    const at = refused[0]!.split(" ").indexOf("refused");
    expect(groups[0].members[at]!.refusal()?.details).toMatchObject({ reason: "same-server" });
  });

  test("is another database of the same server as another instance", async () => {
    const group = await opened.open([redis.urls[0]!, redis.urls[1]!, `${redis.urls[1]!}/1`]);

    await untilStates(group, "member member refused");

    expect(memberOf(group, "c").refusal()?.message).toContain('it is the same server as "b"');
  });

  test("does not let its user run INFO", async () => {
    await admins[2]!.call("acl", ["setuser", "app", "on", ">pw", "~*", "&*", "+@all", "-info"]);
    const { host, port } = redis.instances[2]!;

    const group = await opened.open([...redis.urls.slice(0, 2), `redis://app:pw@${host}:${port}`]);
    const error = memberOf(group, "c").refusal()!;
    await admins[2]!.call("acl", ["setuser", "app", "+info"]);
    await untilStates(group, "member member member");

    expect(error.details).toMatchObject({ reason: "rights" });
    expect(error.message).toMatch(/its user lacks a right: .* refused INFO: NOPERM/);
  });

  test("does not let its user run scripts or write the record", async () => {
    await admins[2]!.call("acl", ["setuser", "app", "on", ">pw", "~other:*", "&*", "+@all"]);
    const { host, port } = redis.instances[2]!;

    const group = await opened.open([...redis.urls.slice(0, 2), `redis://app:pw@${host}:${port}`]);

    expect(statesOf(group)).toBe("member member refused");
    expect(memberOf(group, "c").refusal()?.details).toMatchObject({ reason: "rights" });
  });
});

describe("a process is refused that has", () => {
  test.each<[string, Parameters<OpenGroups["open"]>[1]]>([
    ["another longest lease", { leaseMsMax: 501 }],
    ["other ids", { ids: ["a", "b", "x"] }],
    ["the ids at other addresses", { ids: ["c", "a", "b"] }],
  ])("%s", async (_, options) => {
    const first = await opened.open(redis.urls);
    const second = opened.create(redis.urls, options);

    const code = options?.ids?.[0] === "c" ? "INSTANCE_REFUSED" : "CONFIG_MISMATCH";
    const error = await rejection(() => second.open(), code);

    expect(error.retryable).toBe(false);
    expect(statesOf(first)).toBe("member member member");
    expect(second.members.map(({ boot }) => boot)).toEqual([undefined, undefined, undefined]);
  });

  test("fewer instances", async () => {
    await opened.open(redis.urls);
    const second = opened.create(redis.urls.slice(0, 2));

    const error = await rejection(() => second.open(), "CONFIG_MISMATCH");

    expect(error.message).toContain('{"ids":["a","b","c"],"leaseMsMax":500}');
    expect(error.message).toContain('{"ids":["a","b"],"leaseMsMax":500}');
    expect(error.details).toMatchObject({ instance: "a", given: { digest: second.digest } });
  });

  test("another version of the protocol", async () => {
    for (const admin of admins) await admin.set("t:boot", "2 something else");
    const group = opened.create(redis.urls);

    await rejection(() => group.open(), "CONFIG_MISMATCH");

    expect(await admins[0]!.get("t:boot")).toBe("2 something else");
  });

  test("another name shares nothing with it, and is not refused", async () => {
    await opened.open(redis.urls);
    const second = await opened.open(redis.urls, { name: "u", leaseMsMax: 400 });

    expect(statesOf(second)).toBe("member member member");
  });

  test("and one whose minority alone is registered elsewhere goes on with the others", async () => {
    await opened.open(redis.urls.slice(0, 1));
    const group = await opened.open(redis.urls);

    expect(statesOf(group)).toBe("refused member member");
    expect(memberOf(group, "a").refusal()?.code).toBe("CONFIG_MISMATCH");
    await admins[0]!.del("t:boot", "t:group");
  });
});

describe("a durable instance", () => {
  const SAFE = { appendonly: "yes", appendfsync: "always", "no-appendfsync-on-rewrite": "no" };

  async function openDurable(config: Record<string, string>) {
    const group = await startRedis({ count: 3, config: { ...SAFE, ...config } });
    others.push(group);
    return { servers: group.instances, urls: group.urls };
  }
  const isMarked = (text: string | undefined): boolean => parseBoot(text!)!.durable;

  test("keeps its vote over a restart with its data, and without a wait", async () => {
    const { servers, urls } = await openDurable({});
    const group = await opened.open(urls, { durable: ["b"], leaseMsMax: 20_000 });
    expect(group.status().members.map(({ durable }) => durable)).toEqual([false, true, false]);
    const before = memberOf(group, "b").status().runId;

    await servers[1]!.restart();
    await untilStates(group, "member member member");
    const other = await opened.open(urls, { durable: ["b"], leaseMsMax: 20_000 });

    expect(memberOf(group, "b").status().runId).not.toBe(before);
    expect(statesOf(other)).toBe("member member member");
    expect(isMarked(memberOf(group, "b").boot)).toBe(true);
  });

  test("abstains when it comes back without its data", async () => {
    const { servers, urls } = await openDurable({});
    const group = await opened.open(urls, { durable: ["b"] });

    await servers[1]!.restart({ wipe: true });

    await untilStates(group, "member abstaining member");
    await untilStates(group, "member member member");
    expect(isMarked(memberOf(group, "b").boot)).toBe(true);
  });

  test("abstains in the eyes of a process that did not declare it", async () => {
    const { servers, urls } = await openDurable({});
    (await opened.open(urls, { durable: ["b"] })).destroy();
    const group = await opened.open(urls);

    await servers[1]!.restart();

    await untilStates(group, "member abstaining member");
    expect(memberOf(group, "b").refusal()?.message).toContain("it restarted");
  });

  test.each([
    ["does not append", { appendonly: "no", save: "" }],
    ["does not wait for the disk", { appendfsync: "everysec" }],
    ["does not wait while it rewrites its file", { "no-appendfsync-on-rewrite": "yes" }],
  ])("is none that %s", async (_, config) => {
    const { urls } = await openDurable(config);

    const group = await opened.open(urls, { durable: ["b"] });

    expect(statesOf(group)).toBe("member member member");
    expect(isMarked(memberOf(group, "b").boot)).toBe(false);
  });

  test.each([
    ["was safe and is not any more", "always", "everysec"],
    ["is safe now and was not before", "everysec", "always"],
  ])("abstains when it %s", async (_, before, after) => {
    const { servers, urls } = await openDurable({ appendfsync: before });
    (await opened.open(urls, { durable: ["b"] })).destroy();
    await servers[1]!.restart();
    const admin = new Redis(urls[1]!);
    await admin.config("SET", "appendfsync", after);
    admin.disconnect();

    const group = await opened.open(urls, { durable: ["b"] });

    expect(statesOf(group)).toBe("member abstaining member");
    expect(memberOf(group, "b").refusal()?.message).toContain("it restarted");
  });

  test("stays what it is while its settings cannot be read, and is not believed after a restart", async () => {
    const { servers, urls } = await openDurable({});
    const admin = new Redis(urls[1]!);
    const rights = ["on", ">pw", "~*", "&*", "+@all"];
    await admin.call("acl", ["setuser", "app", ...rights, "-config"]);
    (await opened.open(urls, { durable: ["b"] })).destroy();
    const { host, port } = servers[1]!;
    const limited = [urls[0]!, `redis://app:pw@${host}:${port}`, urls[2]!];

    const group = await opened.open(limited, { durable: ["b"] });
    const kept = isMarked(memberOf(group, "b").boot);
    group.destroy();
    await servers[1]!.restart();
    admin.disconnect();
    const again = new Redis(urls[1]!);
    await again.call("acl", ["setuser", "app", ...rights, "-config"]);
    again.disconnect();
    const afterwards = await opened.open(limited, { durable: ["b"] });

    expect(kept).toBe(true);
    expect(statesOf(afterwards)).toBe("member abstaining member");
  });

  test("is none any more when its settings were changed, even just for the restart", async () => {
    const { servers, urls } = await openDurable({});
    const group = await opened.open(urls, { durable: ["b"] });
    expect(isMarked(memberOf(group, "b").boot)).toBe(true);
    const admin = new Redis(urls[1]!);

    await admin.config("SET", "appendfsync", "everysec");
    memberOf(group, "b").doubt();
    while (isMarked((await admin.get("t:boot"))!)) await systemEnv.clock.sleep(5);
    admin.disconnect();
    await servers[1]!.restart();

    await untilStates(group, "member abstaining member");
  });
});

test("status tells what an operator needs, as JSON and without secrets", async () => {
  const { host, port } = redis.instances[0]!;
  await admins[0]!.call("acl", ["setuser", "app", "on", ">s3cret", "~*", "&*", "+@all"]);
  const group = await opened.open([`redis://app:s3cret@${host}:${port}`, ...redis.urls.slice(1)]);

  const text = JSON.stringify(group.status());
  const status = JSON.parse(text) as ReturnType<typeof group.status>;

  expect(text).not.toContain("s3cret");
  expect(status).toMatchObject({ name: "t", quorum: 2, digest: group.digest, leaseMsMax: 500 });
  expect(status.members[0]).toMatchObject({
    id: "a",
    address: `${host}:${port}`,
    state: "member",
    waitMs: 0,
    leaps: 0,
    durable: false,
  });
  expect(status.members[0]!.product).toMatch(/^(?:redis|valkey) \d+\.\d+\.\d+$/);
  expect(Math.abs(status.members[0]!.clockOffsetMs!)).toBeLessThan(100);
});
