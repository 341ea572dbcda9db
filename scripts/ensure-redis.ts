/**
 * Makes sure that a real Redis can be found, before `npm test` and `npm run demo`: one line when all is
 * well, an installation that says so where that needs no password, else the command to type and exit code 1.
 * It never waits at a prompt: nothing that it runs has a terminal, and everything has a bound.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { argv, env, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";

import { systemEnv } from "coterie";
import { findRedisServer, redisInstallCommand } from "coterie/testing";

import { type Facts, planRedis, type Step, stop } from "./redis-plan.ts";

const IMAGE = "redis:7-alpine";
const LOOK_SECONDS_MAX = 15;
const OUTPUT_LINES_SHOWN = 30;

/** The exit code. The machine is asked through its PATH, so that tests can put one of their own there. */
export async function ensureRedis(
  say: (line: string) => void,
  isRoot = process.getuid?.() === 0,
): Promise<0 | 1> {
  const facts = await lookAround(isRoot);
  const plan = planRedis(facts);
  say(plan.say);
  if (plan.kind !== "install") return plan.kind === "ready" ? 0 : 1;
  const failure = await carryOut(plan.steps);
  const serverPath = findRedisServer();
  if (failure === undefined && serverPath !== undefined) {
    say(`Redis: ${serverPath}`);
    return 0;
  }
  say(stop(failure ?? "the installation went through, but there is no redis-server on the PATH", facts).say);
  return 1;
}

async function lookAround(isRoot: boolean): Promise<Facts> {
  const known = {
    forced: env["COTERIE_TEST_REDIS"] ?? "",
    hasUrls: (env["COTERIE_REDIS_URLS"] ?? "").trim() !== "",
    serverPath: findRedisServer(),
    installCommand: redisInstallCommand(),
    hasSystemd: existsSync("/run/systemd/system"),
  };
  // What comes next takes time and is only asked where it decides.
  const settled =
    known.forced === "external" ||
    known.hasUrls ||
    (known.serverPath !== undefined && known.forced !== "container");
  if (settled) return { ...known, containers: "none", hasApt: false, hasBrew: false, rights: "none" };
  return {
    ...known,
    containers: await lookForContainers(),
    hasApt: await succeeds("apt-get", "--version"),
    hasBrew: await succeeds("brew", "--version"),
    rights: isRoot ? "root" : (await succeeds("sudo", "-n", "true")) ? "sudo" : "none",
  };
}

async function lookForContainers(): Promise<Facts["containers"]> {
  if (!(await succeeds("docker", "info"))) return "none";
  const image = env["COTERIE_REDIS_IMAGE"] ?? IMAGE;
  return (await succeeds("docker", "image", "inspect", image)) ? "image" : "engine";
}

async function succeeds(...command: string[]): Promise<boolean> {
  return (await run({ command, mayFail: true, limitSeconds: LOOK_SECONDS_MAX })).failure === undefined;
}

/** The first failure that matters, with what was printed; undefined when all went through. */
async function carryOut(steps: readonly Step[]): Promise<string | undefined> {
  for (const step of steps) {
    const { failure, output } = await run(step);
    if (failure === undefined || step.mayFail) continue;
    const shown = output.trim().split("\n").slice(-OUTPUT_LINES_SHOWN).join("\n");
    return `${step.command.join(" ")}\n${failure}:\n${shown}\n`;
  }
  return undefined;
}

interface Outcome {
  readonly failure: string | undefined;
  readonly output: string;
}

/**
 * Runs it without a terminal and in a session of its own, so that it has nobody to ask. A command that
 * sudo runs cannot be ended from here: the wait ends all the same.
 */
function run({ command: [program = "", ...words], limitSeconds }: Step): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => (output += String(chunk)));
    const end = (failure: string | undefined) => {
      limit.cancel();
      resolve({ failure, output });
    };
    const giveUp = () => {
      endGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      end(`took longer than ${limitSeconds} s`);
    };
    const limit = systemEnv.timers.after(limitSeconds * 1000, giveUp, { keepAlive: true });
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => end(code === 0 ? undefined : `ended with ${code ?? signal}`));
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "ESRCH") throw error;
  }
}

function print(line: string): void {
  stdout.write(`${line}\n`);
}

if (argv[1] !== undefined && fileURLToPath(import.meta.url) === argv[1]) {
  process.exitCode = await ensureRedis(print).catch((error: unknown) => {
    stderr.write(`${String(error)}\n`);
    return 1;
  });
}
