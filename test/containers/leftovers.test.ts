/** However a program that started containers ends, none is left; and nobody else's is ever touched. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { systemEnv } from "../../src/index.ts";
import { type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const IMAGE = process.env["COTERIE_REDIS_IMAGE"] ?? "redis:7-alpine";
const LIMIT_MS = 30_000;
const runFile = promisify(execFile);

describe("containers of startRedis", () => {
  test("are reached on loopback only", async () => {
    await using group = await startRedis({ provider: "container" });
    const [{ port, host }] = group.instances as [RedisInstanceHandle];

    expect(host).toBe("127.0.0.1");
    expect(await docker("ps", "--filter", "label=coterie.testing", "--format", "{{.Ports}}")).toContain(
      `127.0.0.1:${port}->6379/tcp`,
    );
  });

  test("are reached on loopback also where testcontainers names another address of this machine", async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const own = addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "";
    const program = await startProgram(process.env["PATH"], { TESTCONTAINERS_HOST_OVERRIDE: own });

    const published = await docker("ps", "--format", '{{.Label "coterie.testing.owner"}} {{.Ports}}');

    const mine = published.filter((line) => line.includes(`/${program.pid}/`));
    expect(mine.map((line) => / (.*):/.exec(line)?.[1])).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test("leave no volume behind", async () => {
    const before = await docker("volume", "ls", "-q");
    const group = await startRedis({ provider: "container", config: { appendonly: true } });
    await group.instances[0]?.restart({ wipe: true });

    await group.stop();

    const after = await docker("volume", "ls", "-q");
    expect(after.filter((volume) => !before.includes(volume))).toEqual([]);
  });

  test("go when their program is killed, one of them paused", async () => {
    const program = await startProgram(process.env["PATH"]);
    const labels = await labelsOf(program);
    const before = await containersOf(program);

    program.kill("SIGKILL");

    expect([before.length, labels]).toEqual([2, expect.stringContaining(`/${program.pid}/`)]);
    expect(await isEventually(async () => (await containersOf(program)).length === 0)).toBe(true);
  });

  test("are swept by the next start where the watchdog had no docker command; those of the living stay", async () => {
    const folder = mkdtempSync(join(tmpdir(), "coterie-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    symlinkSync("/bin/rm", join(folder, "rm"));
    const [dead, alive] = await Promise.all([startProgram(folder), startProgram(folder)]);
    dead.kill("SIGKILL");
    await isEventually(() => Promise.resolve(dead.signalCode !== null));
    const leftBefore = await containersOf(dead);

    await using group = await startRedis({ provider: "container" });

    expect(leftBefore).toHaveLength(2);
    expect(await containersOf(dead)).toEqual([]);
    expect(await containersOf(alive)).toHaveLength(2);
    alive.kill("SIGKILL");
    await isEventually(() => Promise.resolve(alive.signalCode !== null));
    await using sweeper = await startRedis({ provider: "container" });
    expect(await containersOf(alive)).toEqual([]);
    expect([group, sweeper].map(({ urls }) => urls.length)).toEqual([1, 1]);
  });

  test("of another host are not touched, whatever their owner's number", async () => {
    const labels = [
      "--label",
      "coterie.testing=redis",
      "--label",
      "coterie.testing.owner=elsewhere/999999/1",
    ];
    const [id = ""] = await docker("create", ...labels, IMAGE);

    await using group = await startRedis({ provider: "container" });

    expect(group.urls).toHaveLength(1);
    expect(await docker("rm", id)).toEqual([id]);
  });

  test("do not outlive a start that is aborted", async () => {
    const abort = new AbortController();
    const starting = startRedis({ provider: "container", count: 3, signal: abort.signal });
    const outcome = starting.catch((error: unknown) => error);
    const mine = () => docker("ps", "-aq", "--filter", `label=coterie.testing.owner`);
    await isEventually(async () => (await mine()).length > 0);

    abort.abort();

    expect(await outcome).toMatchObject({ code: "ABORTED" });
    expect(await isEventually(async () => (await mine()).length === 0)).toBe(true);
  });

  test("of an image that cannot be had fail to start, and the error names the image", async () => {
    const image = "127.0.0.1:1/no-such-image:1";

    await expect(startRedis({ provider: "container", image })).rejects.toMatchObject({
      code: "START_FAILED",
      message: expect.stringContaining(image) as string,
    });
  });

  test("come from COTERIE_REDIS_IMAGE unless the caller names an image", async () => {
    vi.stubEnv("COTERIE_REDIS_IMAGE", "127.0.0.1:1/from-the-environment:1");

    await expect(startRedis({ provider: "container" })).rejects.toMatchObject({
      message: expect.stringContaining("from-the-environment") as string,
    });
    await using group = await startRedis({ provider: "container", image: IMAGE });

    expect(group.urls).toHaveLength(1);
    vi.unstubAllEnvs();
  });
});

/** A program that starts two containers and pauses one; resolved when it has. */
async function startProgram(
  path: string | undefined,
  environment: Readonly<Record<string, string>> = {},
): Promise<ChildProcess & { readonly pid: number }> {
  const source = `
    import { startRedis } from "coterie/testing";
    const group = await startRedis({ provider: "container", count: 2 });
    await group.instances[1].pause();
    console.log("ready");
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    cwd: ROOT,
    env: { ...process.env, ...environment, PATH: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += String(chunk)));
  const settled = () => Promise.resolve(printed.includes("ready") || child.exitCode !== null);
  if (!(await isEventually(settled)) || child.pid === undefined) {
    throw new Error(`the program did not start its containers: ${printed}`);
  }
  return child as ChildProcess & { readonly pid: number };
}

async function containersOf({ pid }: { readonly pid: number }): Promise<string[]> {
  const lines = await docker("ps", "-a", "--format", '{{.ID}} {{.Label "coterie.testing.owner"}}');
  return lines.filter((line) => line.includes(`/${pid}/`));
}

async function labelsOf(program: { readonly pid: number }): Promise<string> {
  return (await containersOf(program)).join();
}

async function docker(...words: string[]): Promise<string[]> {
  const { stdout } = await runFile("docker", words, { timeout: LIMIT_MS });
  return stdout.split("\n").filter((line) => line !== "");
}

async function isEventually(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = systemEnv.clock.now() + LIMIT_MS;
  while (systemEnv.clock.now() < deadline) {
    if (await holds()) return true;
    await systemEnv.clock.sleep(20);
  }
  return holds();
}
