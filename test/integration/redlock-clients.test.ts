import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis5";
import { afterEach, beforeEach, expect, test } from "vitest";

import { readClients } from "../../src/redlock/clients.ts";
import Redlock, { ResourceLockedError } from "../../src/redlock/index.ts";
import { Program } from "../support/program.ts";
import { outcomeOf, Redlocks, sleep } from "../support/redlocks.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

let redis: Redlocks;

beforeEach(async () => {
  redis = await Redlocks.start(3);
});
afterEach(() => redis.stop());

async function valuesOf(resource: string): Promise<(string | null)[]> {
  return Promise.all(redis.clients().map((client) => client.get(resource)));
}

/** Who is connected to the first server. */
async function connections(observer: Redis): Promise<number> {
  return String(await observer.client("LIST")).trim().split("\n").length;
}

test("the clients put their keyPrefix before each key, as ever", async () => {
  const redlock = redis.ours({}, redis.clients({ keyPrefix: "shop:" }));

  const lock = await redlock.acquire(["r"], 5000);
  const other = await outcomeOf(
    redis.old5({ retryCount: 0 }, redis.clients({ keyPrefix: "shop:" })).acquire(["r"], 1000),
  );
  const elsewhere = await outcomeOf(redis.old5({ retryCount: 0 }).acquire(["r"], 1000));

  expect((await valuesOf("shop:r")).every((value) => value?.startsWith(lock.value))).toBe(true);
  expect(lock.resources).toEqual(["r"]);
  expect([other.state, elsewhere.state]).toEqual(["rejected", "resolved"]);
});

test.each([{}, { keyPrefix: "shop:" }])("the clients may be of ioredis 5, with %j", async (options) => {
  const clients = redis.group.urls.map((url) => new Redis5(url, { ...options, lazyConnect: true }));
  const redlock = redis.ours({}, clients as unknown as Redis[]);

  const lock = await redlock.acquire(["r"], 5000);
  const votes = await lock.attempts[0];
  for (const client of clients) client.disconnect();

  expect(votes?.votesFor).toEqual(new Set(clients));
});

test("the clients say which database it is", async () => {
  const redlock = redis.ours({}, redis.clients({ db: 3 }));

  await redlock.acquire(["r"], 5000);

  expect(await valuesOf("r")).toEqual([null, null, null]);
  expect(await redis.clients({ db: 3 })[0]?.exists("r")).toBe(1);
});

test("the clients are not used: one that is never connected will do", async () => {
  const clients = redis.clients({ lazyConnect: true });
  const redlock = redis.ours({}, clients);

  await (await redlock.acquire(["r"], 1000)).release();

  expect(clients.map(({ status }) => status)).toEqual(["wait", "wait", "wait"]);
});

test("the clients share our connections, however many Redlocks are made of them", async () => {
  const clients = redis.clients();
  const observer = redis.client(0);
  const locks = async (): Promise<void> => {
    await (await redis.ours({}, clients).acquire([`r:${Math.random()}`], 1000)).release();
  };

  await locks();
  const one = await connections(observer);
  for (let n = 0; n < 20; n += 1) await locks();
  const many = await connections(observer);

  expect(many).toBe(one);
});

test("the clients end our connections when they are closed, and a later call says so", async () => {
  const observer = redis.client(0);
  const clients = redis.clients();
  const redlock = redis.ours({}, clients);
  const before = await connections(observer);
  await redlock.acquire(["r"], 5000);

  for (const client of clients) client.disconnect();

  let left = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 100 && left >= before; n += 1) {
    await sleep(10);
    left = await connections(observer);
  }
  expect(left).toBe(before - 1);
  const error = await rejection(() => redlock.acquire(["s"], 1000), "CLOSED");
  expect(error.message).toContain("clients");
  expect(await observer.exists("r")).toBe(1);
});

test("the clients are closed by quit, which does not wait for a server that says nothing", async () => {
  const clients = redis.clients();
  const redlock = redis.ours({}, clients);
  await redlock.acquire(["r"], 5000);
  await redis.server(1).pause();

  const outcome = await outcomeOf(redlock.quit());
  await redis.server(1).resume();

  expect(outcome.state).toBe("resolved");
  expect(outcome.tookMs).toBeLessThan(2000);
  await until("they are closed", () => clients.every(({ status }) => status === "end"));
  await redlock.quit();
});

test("the clients must be ioredis clients of different servers, one each", async () => {
  const [first, second] = redis.clients() as [Redis, Redis, Redis];
  const cluster = new Cluster([{ host: "127.0.0.1", port: redis.server(0).port }], { lazyConnect: true });
  const again = redis.client(0);
  const prefixed = redis.clients({ keyPrefix: "p:" })[1] as Redis;
  const cases: [unknown, string][] = [
    [[], "at least one redis client"],
    [undefined, "a list of ioredis clients"],
    [first, "a list of ioredis clients"],
    [["redis://127.0.0.1"], "client 1 is not an ioredis client"],
    [[first, { evalsha: () => undefined }], "client 2 is not an ioredis client"],
    [[first, cluster], "client 2 is a Redis Cluster client"],
    [[first, again], "two of the clients are for the same server"],
    [[first, prefixed], "the same keyPrefix"],
  ];

  for (const [clients, text] of cases) {
    const error = await rejection(() => new Redlock(clients as Redis[]), "INVALID_OPTION");
    expect(error.message).toContain(text);
  }
  expect(new Redlock([first, second, first]).clients).toEqual(new Set([first, second]));
});

test("independent groups of Sentinels may call their primaries by one name", async () => {
  const behind = (host: string, ...more: string[]): Redis => {
    const sentinels = [host, ...more].map((one) => ({ host: one, port: 26_379 }));
    return new Redis({ sentinels, name: "mymaster", lazyConnect: true });
  };

  expect([...readClients([behind("s1", "s0")]).byId.keys()]).toEqual(["sentinel:mymaster"]);
  expect([...readClients([behind("s1", "s0"), behind("s2")]).byId.keys()]).toEqual([
    "sentinel:mymaster@s0:26379",
    "sentinel:mymaster@s2:26379",
  ]);
  expect(() => readClients([behind("s1", "s2"), behind("s2", "s1")])).toThrow("for the same server");
});

test("servers that may evict keys are refused with the reason", async () => {
  for (const server of redis.clients()) await server.config("SET", "maxmemory-policy", "volatile-lru");

  const error = await rejection(() => redis.ours().acquire(["r"], 1000), "INSTANCE_REFUSED");

  expect(error.message).toContain("noeviction");
});

test("the clients' user needs no more rights than the documents say", async () => {
  const keys = "~locks:* ~coterie-redlock:* &coterie-redlock:*";
  const commands = "+@read +@write +@scripting +@pubsub +@connection +info +time";
  const servers = redis.clients();
  for (const server of servers) {
    const words = `SETUSER app on >secret resetchannels ${keys} ${commands}`;
    await server.call("ACL", words.split(" "));
  }
  const urls = redis.group.urls.map((url) => url.replace("redis://", "redis://app:secret@"));
  const [redlock, other] = [redis.ours({}, redis.clients({}, urls)), redis.ours({}, redis.clients({}, urls))];

  const lock = await redlock.acquire(["locks:a", "locks:b"], 1000);
  const waiting = outcomeOf(other.acquire(["locks:a"], 1000));
  await sleep(50);
  await (await lock.extend(1000)).release();

  expect((await waiting).state).toBe("resolved");
  expect(redis.errors.filter((error) => !(error instanceof ResourceLockedError))).toEqual([]);
});

test.each([
  ["that released its lock", "const lock = await redlock.acquire(['r'], 5000); await lock.release();"],
  ["that holds a lock still", "await redlock.acquire(['r'], 120_000);"],
  ["whose lock is waited for", "await redlock.acquire('r', 9000); redlock.acquire('r', 9000).catch(quiet);"],
  ["that uses redlock's quit", "await redlock.acquire(['r'], 5000); await redlock.quit();"],
  ["that never used its Redlock", ""],
])("a program %s ends by itself once its clients are closed", async (_, body) => {
  const program = new Program([
    "--input-type=module",
    "--eval",
    `import { Redis } from "ioredis";
    import Redlock from "coterie/redlock";
    const quiet = () => undefined;
    const clients = ${JSON.stringify(redis.group.urls)}.map((url) => new Redis(url));
    const redlock = new Redlock(clients);
    ${body}
    for (const client of clients) client.disconnect();
    process.stdout.write("closed");`,
  ]);

  try {
    const outcome = await outcomeOf(program.ended, 8000);

    expect(program.output).toBe("closed");
    expect(outcome.value).toEqual({ code: 0, signal: null });
  } finally {
    program.destroy();
  }
});
