/**
 * `npm run demo`, as a program: what it claims holds, and however it ends nothing of it is left. It runs
 * from the build that `npm test` makes first.
 */
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";

import { startRedis } from "../../src/testing/index.ts";
import { Program } from "../support/program.ts";

const MAIN = ".build/examples/demo/main.js";
/** Redis of its own, whatever the test run was given. */
const OWN_REDIS = { COTERIE_REDIS_URLS: undefined, COTERIE_TEST_REDIS: "process" };

const started: Program[] = [];

afterEach(() => {
  for (const program of started.splice(0)) program.destroy();
});

function demo(
  words: readonly string[],
  variables: Readonly<Record<string, string | undefined>> = OWN_REDIS,
): Program {
  const program = new Program([MAIN, ...words], variables);
  started.push(program);
  return program;
}

function claimsIn(output: string): string[] {
  return output.split("\n").filter((line) => /^ {2}(ok|FAILED) /.test(line)).map((line) => line.trim());
}

test(
  "--once kills a Redis, shows that all claims held, and ends with 0 and nothing left",
  { timeout: 90_000 },
  async () => {
    const program = demo(["--once"]);

  const ending = await program.ended;

    expect(claimsIn(program.output)).toEqual([
      "ok      all processes name the same owner for every item",
      "ok      requests are spread as the ring says, within 8 percentage points",
      "ok      every process served requests, and every shard",
      expect.stringMatching(
        /^ok {6}while redis-\d was dead, every request for the other shards was answered 2xx$/,
      ),
      "ok      its own keys got 503 with Retry-After and problem+json, and not one a 2xx",
      "ok      started again, every process served them within 5 s, and every request since",
      "ok      every item holds its last acknowledged write, or a later one",
      "ok      nobody got anything else: no other status, no wrong shard, no stale value, no hang-up",
      "ok      increments through all processes ran one at a time: none was lost, and none counted twice",
      expect.stringMatching(/^ok {6}while redis-\d was dead, the others granted locks all the same$/),
      "ok      a holder was killed (SIGKILL): who waited had its lock within the lease and 2000 ms",
      "ok      BullMQ jobs of one entity never ran at once over two workers, and those of others did",
    ]);
    expect(program.output).toMatch(
      /\n +\d+ requests\/s, errors\/s \d+ x 503, 0 other \| redis-1 +\d+%.*\n/,
    );
    expect(program.output).toMatch(/curl -X PUT -d red http:\/\/127\.0\.0\.1:\d+\/items\/cherry/);
    expect(program.output).not.toContain("\u001b");
    expect(ending).toEqual({ code: 0, signal: null });
    expect(await program.leftovers()).toEqual([]);
  },
);

test(
  "with five Redis of somebody else's, nothing is killed and nothing is left in them",
  { timeout: 90_000 },
  async () => {
    await using redis = await startRedis({ count: 5, provider: "process" });
    const program = demo(["--once"], {
      COTERIE_REDIS_URLS: redis.urls.join(","),
      COTERIE_TEST_REDIS: undefined,
    });

  const ending = await program.ended;

    // The whole output, so that a claim that failed says what was seen.
    expect(program.output).not.toContain("FAILED");
    expect(claimsIn(program.output)).toHaveLength(9);
    expect(program.output).toContain("nothing is killed");
    expect(program.output).toContain("redis-5");
    expect(ending).toEqual({ code: 0, signal: null });
    expect(await Promise.all(redis.urls.map(keysLeft))).toEqual([0, 0, 0, 0, 0]);
    expect(await program.leftovers()).toEqual([]);
  },
);

async function keysLeft(url: string): Promise<number> {
  const client = new Redis(url, { protocol: 2, maxRetriesPerRequest: 0 });
  const count = await client.dbsize();
  client.disconnect();
  return count;
}

describe("nothing is left", () => {
  test("after a Ctrl-C while the load runs, which --once answers with 130", async () => {
    const program = demo(["--once"]);
    await program.printed("requests/s");

    program.signalAll("SIGINT");

    expect(await program.ended).toEqual({ code: 130, signal: null });
    expect(program.output).not.toContain("FAILED");
    expect(await program.leftovers()).toEqual([]);
  });

  test("after a Ctrl-C, which is how the demo that runs on is meant to end", async () => {
    const program = demo([]);
    await program.printed("requests/s");

    program.signalAll("SIGINT");

    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(await program.leftovers()).toEqual([]);
  });

  test("after a SIGTERM while Redis starts", async () => {
    const program = demo(["--once"]);
    await program.printed("starting Redis");

    program.signal("SIGTERM");

    expect(await program.ended).toEqual({ code: 130, signal: null });
    expect(await program.leftovers()).toEqual([]);
  });

  test("after a SIGKILL while the load runs", async () => {
    const program = demo(["--once"]);
    await program.printed("requests/s");

    program.signal("SIGKILL");

    expect(await program.ended).toEqual({ code: null, signal: "SIGKILL" });
    expect(await program.leftovers()).toEqual([]);
  });

  test("when nobody reads what it prints any more", async () => {
    const program = demo(["--once"]);
    await program.printed("requests/s");

    program.closeOutput();

    expect(await program.ended).toEqual({ code: 130, signal: null });
    expect(await program.leftovers()).toEqual([]);
  });

  test("when a process of the app dies, which is said and ends with 1", async () => {
    const program = demo(["--once"]);
    await program.printed("requests/s");
    const apps = program.descendants().filter(({ command }) => command.includes("app-process.js"));
    expect(apps).toHaveLength(3);

    process.kill(apps[1]!.pid, "SIGKILL");

    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toMatch(/app \d ended with SIGKILL/);
    expect(await program.leftovers()).toEqual([]);
  });
});

test("without any Redis it says what to type, and ends with 1", async () => {
  const program = demo([], { ...OWN_REDIS, PATH: "" });

  const ending = await program.ended;

  expect(program.output).toMatch(/demo: no Redis to test with: .* Type: /);
  expect(program.output).not.toContain("    at ");
  expect(ending).toEqual({ code: 1, signal: null });
  expect(await program.leftovers()).toEqual([]);
});

test("a word that it does not know is answered with the usage and 2", async () => {
  const program = demo(["--twice"]);

  expect(await program.ended).toEqual({ code: 2, signal: null });
  expect(program.output).toBe("usage: npm run demo [-- --once]\n");
});
