/**
 * Where Redis comes from on this machine, and what to type where there is none. Decided from the
 * environment alone, so that every decision can be shown in a test.
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

import { CoterieError } from "../../index.ts";
import type { RedisProvider } from "./handle.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const SERVERS = ["redis-server", "valkey-server"];
const FORCED: readonly string[] = ["process", "container", "external"] satisfies RedisProvider[];

/** The command that installs Redis, by the tool that a machine has; the first that is found counts. */
const INSTALL_COMMANDS: readonly (readonly [tool: string, command: string])[] = [
  ["apt-get", "apt-get update && apt-get install -y redis-server"],
  ["brew", "brew install redis"],
  ["dnf", "dnf install -y redis"],
  ["apk", "apk add redis"],
  ["pacman", "pacman -S redis"],
];

/** The path of redis-server, or else of valkey-server, on the PATH. */
export function findRedisServer(environment: Environment = process.env): string | undefined {
  for (const server of SERVERS) {
    const path = findOnPath(server, environment);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** What a person has to type so that Redis can be found. */
export function redisInstallCommand(environment: Environment = process.env): string {
  const [tool, command] =
    INSTALL_COMMANDS.find(([name]) => findOnPath(name, environment) !== undefined) ?? [];
  if (tool === undefined || command === undefined)
    return "COTERIE_REDIS_URLS=redis://127.0.0.1:6379 npm test";
  const isRoot = process.getuid?.() === 0;
  return tool === "brew" || isRoot ? command : command.replaceAll(/(^|&& )/g, "$1sudo ");
}

/** The URLs of COTERIE_REDIS_URLS, separated by commas or blanks; empty when it is not set. */
export function environmentUrls(environment: Environment = process.env): string[] {
  return (environment["COTERIE_REDIS_URLS"] ?? "").split(/[\s,]+/).filter((url) => url !== "");
}

/** What COTERIE_TEST_REDIS forces, if it is set; INVALID_OPTION for a word that means nothing. */
export function forcedProvider(environment: Environment = process.env): RedisProvider | undefined {
  const forced = environment["COTERIE_TEST_REDIS"] ?? "";
  if (forced === "") return undefined;
  if (FORCED.includes(forced)) return forced as RedisProvider;
  throw new CoterieError(
    "INVALID_OPTION",
    `COTERIE_TEST_REDIS must be one of ${FORCED.join(", ")}, got ${JSON.stringify(forced)}`,
    { details: { option: "COTERIE_TEST_REDIS" } },
  );
}

export function noRedis(why: string, cause?: unknown): CoterieError {
  const install = redisInstallCommand();
  const elsewhere = install.startsWith("COTERIE") ? "" : ", or set COTERIE_REDIS_URLS=redis://host:port";
  return new CoterieError("NO_REDIS", `no Redis to test with: ${why}. Type: ${install}${elsewhere}`, {
    details: { install },
    cause,
  });
}

function findOnPath(command: string, environment: Environment): string | undefined {
  for (const folder of (environment["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, command);
    if (folder !== "" && isProgram(path)) return path;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw error;
  }
}
