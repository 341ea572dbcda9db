/** How startRedis finds and starts Redis on this machine, and what it says where it cannot. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { systemEnv } from "../../src/index.ts";
import { findRedisServer, startRedis } from "../../src/testing/index.ts";
import { holdFreePort } from "../../src/testing/redis/ports.ts";
import { ProcessBackend } from "../../src/testing/redis/process.ts";
import { Watchdog } from "../../src/testing/redis/watchdog.ts";

const realServer = findRedisServer() ?? "redis-server is not on the PATH";
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coterie-test-"));
  vi.stubEnv("COTERIE_REDIS_URLS", "");
  vi.stubEnv("COTERIE_TEST_REDIS", "");
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe("startRedis finds Redis", () => {
  test("on the PATH, on loopback, at ports that no outgoing connection is given", async () => {
    await using group = await startRedis({ count: 5 });

    expect(group.instances).toHaveLength(5);
    expect(
      group.instances.every(({ provider, host }) => provider === "process" && host === "127.0.0.1"),
    ).toBe(true);
    expect(group.instances.every(({ port }) => port >= 20_000 && port < 30_000)).toBe(true);
    expect(new Set(group.urls).size).toBe(5);
  });

  test("as valkey-server where there is no redis-server", async () => {
    symlinkSync(realServer, join(folder, "valkey-server"));
    vi.stubEnv("PATH", `${folder}:/nowhere`);

    await using group = await startRedis();

    expect(await ping(group.urls)).toEqual(["PONG"]);
  });

  test("in COTERIE_REDIS_URLS before the PATH, as many as are asked for", async () => {
    await using foreign = await startRedis({ count: 2 });
    vi.stubEnv("COTERIE_REDIS_URLS", foreign.urls.join(", "));

    await using one = await startRedis();
    await using two = await startRedis({ count: 2 });

    expect([one.instances[0]?.provider, one.urls]).toEqual(["external", foreign.urls.slice(0, 1)]);
    expect(two.urls).toEqual(foreign.urls);
  });

  test("where COTERIE_TEST_REDIS says, whatever else there is; the caller's provider stands above it", async () => {
    await using foreign = await startRedis();
    vi.stubEnv("COTERIE_REDIS_URLS", foreign.urls.join(","));
    vi.stubEnv("COTERIE_TEST_REDIS", "process");

    await using forced = await startRedis();
    await using chosen = await startRedis({ provider: "external" });

    expect(forced.instances[0]?.provider).toBe("process");
    expect(chosen.urls).toEqual(foreign.urls);
  });

  test("in a temporary folder whose name has blanks and quotes", async () => {
    const odd = join(folder, `a "quoted" name`);
    mkdirSync(odd);
    vi.stubEnv("TMPDIR", odd);

    await using group = await startRedis({ config: { appendonly: true } });

    expect(await ping(group.urls)).toEqual(["PONG"]);
    expect(readdirSync(odd)).toHaveLength(1);
    await group.stop();
    expect(readdirSync(odd)).toEqual([]);
  });
});

describe("startRedis says what is missing", () => {
  test("no Redis anywhere: NO_REDIS with the very command to type", async () => {
    vi.stubEnv("PATH", folder);
    vi.stubEnv("COTERIE_TEST_REDIS", "process");
    writeFileSync(join(folder, "apt-get"), "#!/bin/sh\n", { mode: 0o755 });

    await expect(startRedis()).rejects.toMatchObject({
      code: "NO_REDIS",
      message: expect.stringMatching(
        /Type: (sudo )?apt-get update && (sudo )?apt-get install -y redis-server/,
      ) as string,
    });
  });

  test("more instances wanted than URLs given", async () => {
    vi.stubEnv("COTERIE_REDIS_URLS", "redis://127.0.0.1:1");

    await expect(startRedis({ count: 3 })).rejects.toMatchObject({ code: "NO_REDIS" });
  });

  test("an external instance that is not there, or wants another password, without telling the one it was given", async () => {
    await using group = await startRedis({ config: { requirepass: "right" } });
    const [url = ""] = group.urls;
    const wrong = url.replace("right", "wrong-secret");

    const refused = (await startRedis({ urls: [wrong] }).catch((error: unknown) => error)) as Error;
    await group.stop();
    const absent = (await startRedis({ urls: [wrong] }).catch((error: unknown) => error)) as Error;

    expect(refused).toMatchObject({
      code: "UNREACHABLE",
      message: expect.stringContaining("WRONGPASS") as string,
    });
    expect(absent).toMatchObject({
      code: "UNREACHABLE",
      message: expect.stringContaining("ECONNREFUSED") as string,
    });
    expect(JSON.stringify([refused, absent]) + refused.message + absent.message).not.toContain(
      "wrong-secret",
    );
  });

  test("a server that ends at once: START_FAILED with its output, and nothing is left", async () => {
    fakeServer("echo 'cannot map memory' >&2; exit 3");
    vi.stubEnv("TMPDIR", folder);

    await expect(startRedis({ count: 2 })).rejects.toMatchObject({
      code: "START_FAILED",
      message: expect.stringMatching(/exited with code 3[^]*cannot map memory/) as string,
      details: { output: "cannot map memory\n" },
    });
    expect(readdirSync(folder)).toEqual(["redis-server"]);
  });

  test("one bad start of several stops the others too", async () => {
    const once = join(folder, "once");
    fakeServer(
      `if mkdir ${once} 2>/dev/null; then sleep 0.1; echo bad luck; exit 1; fi; exec ${realServer} "$@"`,
    );
    vi.stubEnv("TMPDIR", folder);

    await expect(startRedis({ count: 3 })).rejects.toMatchObject({ code: "START_FAILED" });

    expect(readdirSync(folder).toSorted()).toEqual(["once", "redis-server"]);
  });

  test("an abort while it starts rejects with ABORTED, kills the child and leaves nothing", async () => {
    const pidFile = join(folder, "pid");
    fakeServer(`echo $$ > ${pidFile}; exec sleep 60`);
    vi.stubEnv("TMPDIR", folder);
    const abort = new AbortController();

    const starting = startRedis({ signal: abort.signal });
    while (!existsSync(pidFile)) await systemEnv.clock.sleep(5);
    abort.abort("changed my mind");

    await expect(starting).rejects.toMatchObject({ code: "ABORTED", cause: "changed my mind" });
    expect(() => process.kill(Number(readFileSync(pidFile, "utf8")), 0)).toThrow("ESRCH");
    expect(readdirSync(folder).toSorted()).toEqual(["pid", "redis-server"]);
  });

  test.each(["process", "external"] as const)("an abort in the last moment wins: %s", async (provider) => {
    await using foreign = await startRedis();
    vi.stubEnv("COTERIE_REDIS_URLS", foreign.urls.join(","));
    vi.stubEnv("TMPDIR", folder);
    const abort = new AbortController();

    const starting = startRedis({ provider, signal: abort.signal });
    abort.abort();

    await expect(starting).rejects.toMatchObject({ code: "ABORTED" });
    expect(readdirSync(folder)).toEqual([]);
    expect(await ping(foreign.urls)).toEqual(["PONG"]);
  });

  test.each([
    [{ count: 0 }, "count"],
    [{ count: 65 }, "count"],
    [{ count: 1.5 }, "count"],
    [{ provider: "docker" }, "provider"],
    [{ urls: ["http://127.0.0.1"] }, "urls"],
    [{ urls: ["redis://127.0.0.1"], provider: "process" }, "urls"],
    [{ config: { port: 1 } }, "config"],
    [{ config: { save: "1\nport 2" } }, "config"],
    [{ config: { "bad name": "1" } }, "config"],
    [{ config: { save: ["1"] } }, "config"],
    [{ amount: 3 }, "amount"],
  ])("the options %j are refused", async (options, option) => {
    await expect(startRedis(options as object)).rejects.toMatchObject({
      code: "INVALID_OPTION",
      details: { option },
    });
  });

  test("a word in COTERIE_TEST_REDIS that means nothing is refused", async () => {
    vi.stubEnv("COTERIE_TEST_REDIS", "docker");

    await expect(startRedis()).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringContaining("COTERIE_TEST_REDIS") as string,
    });
  });
});

test.runIf(process.platform === "linux")(
  "a busy instance has stopped already when pause resolves",
  async () => {
    await using group = await startRedis();
    const [instance] = group.instances;
    const redis = new Redis(group.urls[0] ?? "", { protocol: 2 });
    const pid = /process_id:(\d+)/.exec(await redis.info("server"))?.[1] ?? "";
    const ask = (): unknown => redis.incr("asked").then(ask, String);
    for (let caller = 0; caller < 50; caller += 1) ask();

  const states = new Set<string>();
  for (let round = 0; round < 50; round += 1) {
    await instance?.pause();
    states.add(/\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "");
    await instance?.resume();
    await systemEnv.clock.sleep(2);
  }
  redis.disconnect();

  expect([...states]).toEqual(["T"]);
});

describe("a port that is taken in the last moment", () => {
  let watchdog: Watchdog;

  beforeEach(() => {
    watchdog = new Watchdog({});
  });

  afterEach(() => watchdog.close());

  const open = (ports: number[]) =>
    ProcessBackend.open({
      serverPath: realServer,
      folder: join(folder, "instance"),
      config: {},
      watchdog,
      nextPort: () => Promise.resolve(ports.shift() ?? 0),
    });

  test("makes the instance take another one", async () => {
    const taken = await holdFreePort();
    const free = await holdFreePort();
    const blocker = await listen(taken);

    const backend = await open([taken, free]);
    const { port } = backend.address;
    await backend.discard();
    blocker.close();

    expect(port).toBe(free);
  });

  test("by another Redis is noticed too, although that one answers", async () => {
    await using other = await startRedis();
    const taken = other.instances[0]?.port ?? 0;
    const free = await holdFreePort();

    const backend = await open([taken, free]);
    const { port } = backend.address;
    await backend.discard();

    expect(port).toBe(free);
  });

  test("is waited for by a restart, which keeps its address", async () => {
    await using group = await startRedis();
    const [instance] = group.instances;
    await instance?.kill();
    const blocker = await listen(instance?.port ?? 0);

    const restarting = instance?.restart();
    await systemEnv.clock.sleep(300);
    blocker.close();
    await restarting;

    expect(await ping(group.urls)).toEqual(["PONG"]);
  });
});

/** A program of this name, found before the real one. */
function fakeServer(script: string): void {
  writeFileSync(join(folder, "redis-server"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"] ?? ""}`);
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function ping(urls: readonly string[]): Promise<string[]> {
  return Promise.all(
    urls.map(async (url) => {
      const redis = new Redis(url, { protocol: 2, maxRetriesPerRequest: 0 });
      const answer = await redis.ping();
      redis.disconnect();
      return answer;
    }),
  );
}
