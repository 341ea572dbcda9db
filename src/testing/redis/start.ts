/**
 * startRedis: real Redis for tests and demos, found or started, and gone afterwards.
 * It looks in this order: `urls`, COTERIE_REDIS_URLS, redis-server or valkey-server on the PATH, a
 * container engine. `provider` names one; COTERIE_TEST_REDIS does so where the caller does not.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CoterieError } from "../../index.ts";
import { type RedisConfig, requireConfig } from "./config.ts";
import { ExternalHandle, readRedisUrl } from "./external.ts";
import { environmentUrls, findRedisServer, forcedProvider, noRedis } from "./find.ts";
import { InstanceGroup, openGroup, type RedisGroup, type RedisProvider } from "./handle.ts";
import { ProcessBackend } from "./process.ts";
import { Watchdog } from "./watchdog.ts";

export interface StartRedisOptions {
  /** How many independent instances, 1 to 64. Default: as many as `urls` has, else 1. */
  readonly count?: number | undefined;
  /** Default: the first that is found, in the order process, container; external when there are URLs. */
  readonly provider?: RedisProvider | undefined;
  /** redis.conf directives over the defaults: nothing on disk, maxmemory-policy noeviction. */
  readonly config?: RedisConfig | undefined;
  /** Use these, which somebody else runs. Default: COTERIE_REDIS_URLS. */
  readonly urls?: readonly string[] | undefined;
  /** For containers. Default: COTERIE_REDIS_IMAGE, else redis:7-alpine. */
  readonly image?: string | undefined;
  /** An abort during the start ends what was started and rejects with ABORTED; later it changes nothing. */
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = ["count", "provider", "config", "urls", "image", "signal"];
const PROVIDERS: readonly unknown[] = ["process", "container", "external"] satisfies RedisProvider[];
const COUNT_MAX = 64;

/** Resolves when every instance answers. Rejects with NO_REDIS, START_FAILED, UNREACHABLE or ABORTED. */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisGroup> {
  const plan = readPlan(options);
  const { signal } = options;
  if (signal !== undefined && hasAborted(signal)) throw aborted(signal);
  let group: RedisGroup;
  try {
    group = await openGroupOf(plan, options);
  } catch (error) {
    if (signal !== undefined && hasAborted(signal)) throw aborted(signal);
    throw error;
  }
  if (signal === undefined || !hasAborted(signal)) return group;
  await group.stop();
  throw aborted(signal);
}

async function openGroupOf(plan: Plan, { image, signal }: StartRedisOptions): Promise<RedisGroup> {
  if (plan.provider === "external") return openExternal(plan);
  if (plan.provider === "process") return openProcesses(plan, signal);
  const { openContainers } = await import("./container.ts");
  return openContainers({ ...plan, image, signal });
}

interface Plan {
  readonly provider: RedisProvider;
  readonly count: number;
  readonly config: RedisConfig;
  readonly urls: readonly string[];
  readonly serverPath: string | undefined;
}

function readPlan(options: StartRedisOptions): Plan {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw invalid(unknown, `is unknown (known: ${OPTIONS.join(", ")})`);
  if (options.provider !== undefined && !PROVIDERS.includes(options.provider)) {
    throw invalid(
      "provider",
      `must be process, container or external, got ${JSON.stringify(options.provider)}`,
    );
  }
  const urls = options.urls ?? environmentUrls();
  for (const url of urls) readRedisUrl(url, options.urls === undefined ? "COTERIE_REDIS_URLS" : "urls");
  const serverPath = findRedisServer();
  const provider = chooseProvider(options, urls, serverPath);
  const config = requireConfig(options.config ?? {});
  const count = requireCount(options.count ?? (options.urls === undefined ? 1 : urls.length));
  if (provider === "external") checkExternal(options, urls, count);
  return { provider, count, config, urls, serverPath };
}

function chooseProvider(
  { provider, urls: given }: StartRedisOptions,
  urls: readonly string[],
  serverPath: string | undefined,
): RedisProvider {
  if (given !== undefined && provider !== undefined && provider !== "external") {
    throw invalid("urls", `contradicts provider ${provider}`);
  }
  if (given !== undefined) return "external";
  const forced = provider ?? forcedProvider();
  if (forced !== undefined) return forced;
  if (urls.length > 0) return "external";
  return serverPath === undefined ? "container" : "process";
}

function checkExternal(options: StartRedisOptions, urls: readonly string[], count: number): void {
  if (urls.length < count) {
    throw noRedis(
      `${count} external instances are wanted, ${urls.length} URLs are given in urls or COTERIE_REDIS_URLS`,
    );
  }
  if (Object.keys(options.config ?? {}).length > 0) {
    throw invalid("config", "cannot be applied to external instances");
  }
}

function requireCount(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= COUNT_MAX) return count;
  throw invalid("count", `must be an integer from 1 to ${COUNT_MAX}, got ${JSON.stringify(count)}`);
}

async function openExternal({ urls, count }: Plan): Promise<RedisGroup> {
  const handles = await Promise.all(urls.slice(0, count).map((url) => ExternalHandle.open(url)));
  return new InstanceGroup(handles, () => Promise.resolve());
}

async function openProcesses({ count, config, serverPath }: Plan, signal?: AbortSignal): Promise<RedisGroup> {
  if (serverPath === undefined) throw noRedis("neither redis-server nor valkey-server is on the PATH");
  const folder = mkdtempSync(join(tmpdir(), "coterie-redis-"));
  const watchdog = new Watchdog({ folder });
  const cleanUp = async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await watchdog.close();
  };
  const open = () =>
    ProcessBackend.open({ serverPath, folder: join(folder, randomUUID()), config, watchdog }, signal);
  return openGroup(count, open, cleanUp);
}

function invalid(option: string, problem: string): CoterieError {
  return new CoterieError("INVALID_OPTION", `startRedis: option ${option} ${problem}`, {
    details: { option },
  });
}

/** A call, since the compiler would carry the first answer over the awaits in between. */
function hasAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function aborted(signal: AbortSignal): CoterieError {
  return new CoterieError("ABORTED", "startRedis was aborted", { retryable: true, cause: signal.reason });
}
