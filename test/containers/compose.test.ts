/**
 * docker/compose.yaml, brought up for real under a project name of its own: five healthy and independent
 * instances, the demo's check against them, and nothing left afterwards.
 */
import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/index.ts";
import { startRedis } from "../../src/testing/index.ts";
import { holdFreePort } from "../../src/testing/redis/ports.ts";
import { Watchdog } from "../../src/testing/redis/watchdog.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PROJECT_LABEL = "com.docker.compose.project";
const PREFIX = "coterie-suite-";
const PROJECT = `${PREFIX}${process.pid}`;
const HEALTHY_MS_MAX = 60_000;

const runFile = promisify(execFile);
/** Debian 12 has the first, newer engines the second. */
const COMPOSE = [["docker-compose"], ["docker", "compose"]];
const [composeProgram = "", ...composeWords] =
  COMPOSE.find(([program = "", ...words]) => spawnSync(program, [...words, "version"]).status === 0) ?? [];

let ports: number[];
let urls: string[];
let watchdog: Watchdog;

beforeAll(async () => {
  await sweep();
  ports = await Promise.all(Array.from({ length: 5 }, holdFreePort));
  urls = ports.map((port) => `redis://127.0.0.1:${port}`);
  watchdog = new Watchdog({ containerLabel: `${PROJECT_LABEL}=${PROJECT}` });
  await compose(PROJECT, "up", "-d");
  await waitUntilHealthy();
});

afterAll(async () => {
  await compose(PROJECT, "down", "-v");
  await watchdog.close();
});

describe("docker/compose.yaml", () => {
  test("brings up five instances, each on its port of loopback and no other address", async () => {
    const published = await docker(
      "ps",
      "--filter",
      `label=${PROJECT_LABEL}=${PROJECT}`,
      "--format",
      "{{.Ports}}",
    );

    expect(published.toSorted()).toEqual(ports.map((port) => `127.0.0.1:${port}->6379/tcp`).toSorted());
  });

  test("has every instance for itself: no replicas, nothing on disk, nothing evicted", async () => {
    const answers = await Promise.all(urls.map(examine));

    expect(new Set(answers.map(({ runId }) => runId)).size).toBe(5);
    for (const { info, config } of answers) {
      expect(info).toMatch(/role:master\r\nconnected_slaves:0/);
      expect(info).toContain("cluster_enabled:0");
      expect(config).toEqual({ "maxmemory-policy": "noeviction", save: "", appendonly: "no" });
    }
  });

  test("serves startRedis as external instances", async () => {
    await using group = await startRedis({ urls });

    expect(group.instances.map(({ provider }) => provider)).toEqual(urls.map(() => "external"));
  });

  test("carries the demo: its check passes against the five", async () => {
    const demo = `${ROOT}.build/examples/demo/main.js`;
    const environment = { ...process.env, COTERIE_REDIS_URLS: urls.join(",") };

    const { stdout } = await runFile(process.execPath, [demo, "--once"], {
      cwd: ROOT,
      env: environment,
      timeout: 90_000,
    });

    expect(stdout.length).toBeGreaterThan(0);
  });

  test("is taken down without leaving a container, a network or a volume", async () => {
    await compose(PROJECT, "down", "-v");

    const filter = ["--filter", `label=${PROJECT_LABEL}=${PROJECT}`];
    expect(await docker("ps", "-aq", ...filter)).toEqual([]);
    expect(await docker("network", "ls", "-q", ...filter)).toEqual([]);
    expect(await docker("volume", "ls", "-q", ...filter)).toEqual([]);
    await expect(examine(urls[0] ?? "")).rejects.toThrow(/closed|ECONNREFUSED/);
  });
});

async function compose(project: string, ...words: string[]): Promise<void> {
  const chosen = Object.fromEntries(
    (ports ?? []).map((port, at) => [`COTERIE_REDIS_PORT_${at + 1}`, String(port)]),
  );
  const all = [...composeWords, "-p", project, "-f", `${ROOT}docker/compose.yaml`, ...words];
  await runFile(composeProgram, all, { env: { ...process.env, ...chosen }, timeout: 120_000 });
}

/** The lines of its answer. */
async function docker(...words: string[]): Promise<string[]> {
  const { stdout } = await runFile("docker", words, { timeout: 30_000 });
  return stdout.split("\n").filter((line) => line !== "");
}

async function waitUntilHealthy(): Promise<void> {
  const filter = ["--filter", `label=${PROJECT_LABEL}=${PROJECT}`, "--filter", "health=healthy"];
  const deadline = systemEnv.clock.now() + HEALTHY_MS_MAX;
  for (;;) {
    const healthy = await docker("ps", "-q", ...filter);
    if (healthy.length === 5) return;
    if (systemEnv.clock.now() > deadline) {
      const all = await docker("ps", "-aq", ...filter.slice(0, 2));
      const states = await docker("inspect", "--format", "{{json .State}}", ...all);
      throw new Error(`${healthy.length} of 5 are healthy after a minute:\n${states.join("\n")}`);
    }
    await systemEnv.clock.sleep(200);
  }
}

/** Takes down what a suite that was killed has left: a project is named by the process that brought it up. */
async function sweep(): Promise<void> {
  const format = ["--filter", `label=${PROJECT_LABEL}`, "--format", `{{.Label "${PROJECT_LABEL}"}}`];
  const names = [...(await docker("ps", "-a", ...format)), ...(await docker("network", "ls", ...format))];
  const dead = new Set(
    names.filter((name) => name.startsWith(PREFIX) && !isAlive(name.slice(PREFIX.length))),
  );
  for (const project of dead) await compose(project, "down", "-v");
}

function isAlive(pid: string): boolean {
  return spawnSync("kill", ["-0", pid]).status === 0;
}

async function examine(
  url: string,
): Promise<{ runId: string; info: string; config: Record<string, string> }> {
  const redis = new Redis(url, { protocol: 2, lazyConnect: true, retryStrategy: () => null });
  redis.on("error", () => undefined);
  try {
    await redis.connect();
    const info = await redis.info();
    const config: Record<string, string> = {};
    for (const name of ["maxmemory-policy", "save", "appendonly"]) {
      const [, value] = (await redis.config("GET", name)) as [string, string];
      config[name] = value;
    }
    return { runId: /run_id:(\w+)/.exec(info)?.[1] ?? "", info, config };
  } finally {
    redis.disconnect();
  }
}
