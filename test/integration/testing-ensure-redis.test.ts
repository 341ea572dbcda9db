/**
 * The script before `npm test` and `npm run demo`, on machines that it sees through a PATH with a few
 * small programs. The real installation is run by the CI script on a bare machine.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { ensureRedis } from "../../scripts/ensure-redis.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coterie-test-"));
  said = [];
  vi.stubEnv("PATH", folder);
  vi.stubEnv("COTERIE_REDIS_URLS", "");
  vi.stubEnv("COTERIE_TEST_REDIS", "");
  symlinkSync("/usr/bin/env", join(folder, "env"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A program that notes how it was called before it does what the script says. */
function addProgram(name: string, script = ""): void {
  const note = `echo "${name} $*" >> ${join(folder, "calls")}`;
  writeFileSync(join(folder, name), `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
}

const installsRedis = () => {
  const path = join(folder, "redis-server");
  return `case "$*" in *install*) printf '#!/bin/sh\\n' > ${path}; /bin/chmod 755 ${path};; esac`;
};

function calls(): string[] {
  const path = join(folder, "calls");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

const run = (isRoot: boolean) => ensureRedis((line) => said.push(line), isRoot);

test("a machine with redis-server gets one line and nothing is run", async () => {
  addProgram("redis-server");
  addProgram("apt-get");

  expect(await run(true)).toBe(0);

  expect(said).toEqual([`Redis: ${join(folder, "redis-server")}`]);
  expect(calls()).toEqual([]);
});

test("root on a machine with apt and no Redis gets it installed, and is told before and after", async () => {
  addProgram("apt-get", installsRedis());

  expect(await run(true)).toBe(0);

  expect(said).toHaveLength(2);
  expect(said[0]).toContain("apt-get installs redis-server");
  expect(said[1]).toBe(`Redis: ${join(folder, "redis-server")}`);
  expect(calls().filter((call) => call.includes(" install "))).toHaveLength(1);
});

test("whoever may use sudo without a password gets it installed through sudo -n", async () => {
  addProgram("apt-get", installsRedis());
  addProgram("sudo", 'shift; exec "$@"');
  addProgram("true");

  expect(await run(false)).toBe(0);

  expect(
    calls()
      .filter((call) => call.startsWith("sudo"))
      .every((call) => call.startsWith("sudo -n ")),
  ).toBe(true);
  expect(calls().some((call) => call.startsWith("apt-get") && call.includes(" install "))).toBe(true);
});

test("whoever would be asked for a password is told what to type instead", async () => {
  addProgram("apt-get", installsRedis());
  addProgram("sudo", "echo 'sudo: a password is required' >&2; exit 1");

  expect(await run(false)).toBe(1);

  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/Type:\n\n {4}(sudo )?apt-get update && (sudo )?apt-get install -y redis-server\n/);
  expect(calls().some((call) => call.includes(" install "))).toBe(false);
});

test("an installation that fails ends with what it printed and the command to type", async () => {
  addProgram("apt-get", 'case "$*" in *install*) echo "E: Unable to locate package" >&2; exit 100;; esac');

  expect(await run(true)).toBe(1);

  expect(said.at(-1)).toMatch(/ended with 100:\nE: Unable to locate package[^]*Type:/);
});

test("an installation that brings no server is a failure too", async () => {
  addProgram("apt-get");

  expect(await run(true)).toBe(1);

  expect(said.at(-1)).toContain("no redis-server on the PATH");
});

test("a machine whose container engine has the image installs nothing", async () => {
  addProgram("docker");
  addProgram("apt-get", installsRedis());
  vi.stubEnv("COTERIE_REDIS_IMAGE", "some-image:1");

  expect(await run(true)).toBe(0);

  expect(calls()).toEqual(["docker info", "docker image inspect some-image:1", "apt-get --version"]);
  expect(said).toEqual([expect.stringContaining("containers")]);
});

test("URLs of running instances are enough", async () => {
  vi.stubEnv("COTERIE_REDIS_URLS", "redis://127.0.0.1:6379");

  expect(await run(false)).toBe(0);

  expect(said).toEqual(["Redis: the instances in COTERIE_REDIS_URLS"]);
});

test.runIf(process.platform === "linux")("started at a terminal, it gives none to what it runs", () => {
  const note = `echo "at a terminal" >> ${join(folder, "calls")}`;
  const findsTerminal = `if [ -t 0 ] || (: < /dev/tty) 2>/dev/null; then ${note}; fi`;
  addProgram("apt-get", `${findsTerminal}\n${installsRedis()}`);
  addProgram("sudo", 'shift; exec "$@"');
  addProgram("true");

  const direct = atTerminal(join(folder, "apt-get"));
  const seenDirectly = calls().includes("at a terminal");
  rmSync(join(folder, "calls"));
  const script = atTerminal(`${process.execPath} ${ROOT}.build/scripts/ensure-redis.js`);

  expect([direct, seenDirectly]).toEqual([0, true]);
  expect(script).toBe(0);
  expect(calls().some((call) => call.includes(" install "))).toBe(true);
  expect(calls()).not.toContain("at a terminal");
});

/** Runs a command at a terminal of its own; its exit code. */
function atTerminal(command: string): number | null {
  return spawnSync("/usr/bin/script", ["-qec", command, "/dev/null"], { stdio: "ignore", timeout: 20_000 })
    .status;
}
