/**
 * From what the user gives (a URL, options, or an ioredis client) to one ioredis client of our own with
 * the settings that coordination needs. A given client is never used itself: its settings, and whatever
 * else its owner does on it, would decide what a lost answer means. Its options are taken, so TLS, ACL
 * users and Sentinels pass through, and its owner keeps closing it.
 */
import { Redis, type RedisOptions } from "ioredis";

import { CoterieError } from "../errors.ts";
import { readOptions, secretField, valueField } from "../options.ts";

/** One Redis server, in the long form. Exactly one of `url`, `options` and `client` is given. */
export interface InstanceOptions {
  /** Its name in the ring, in errors and in status. Default: `host:port`, with `/db` unless that is 0. */
  readonly id?: string | undefined;
  /** `redis://` or, for TLS, `rediss://`; user, password and database as usual. */
  readonly url?: string | undefined;
  /** ioredis' own options: TLS, Sentinels, sockets. Settings that coordination needs are overruled. */
  readonly options?: RedisOptions | undefined;
  /** A client whose options are taken; the connection is a new one and this one is left alone. */
  readonly client?: Redis | undefined;
  /** Its part of the keys relative to the others; finite and above 0. Default 1. */
  readonly weight?: number | undefined;
  /** The zone it stands in, for `owners(key, n, { distinctZones: true })`. */
  readonly zone?: string | undefined;
}

export type InstanceInput = string | Redis | InstanceOptions;

/** An input that was checked, with the client not connected yet. */
export interface Target {
  readonly id: string;
  readonly weight: number;
  readonly zone: string | undefined;
  readonly client: Redis;
}

type OwnOptions = Omit<RedisOptions, "replyMapping"> & { replyMapping: "legacy" };

/**
 * What our connections need, and why (each default of ioredis was seen to break a promise):
 * a queue while offline, or a resend after a reconnect, runs commands whose callers were told that they
 * failed; RESP3 costs more and fails through proxies; a long wait between "loading" checks keeps a ready
 * server out.
 */
const SAFE_OPTIONS: OwnOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  maxLoadingRetryTime: 250,
  reconnectOnError: null,
  stringNumbers: false,
  monitor: false,
  retryStrategy: (attempt) => Math.min(2000, 25 * 2 ** Math.min(attempt, 10)),
  // After a cut there is nothing to wait for, above all not for a server that says nothing.
  disconnectTimeout: 1,
  // Versions of ioredis that cannot choose speak RESP2 anyway.
  protocol: 2,
  replyMapping: "legacy",
};

const INSTANCE_SHAPE = {
  id: valueField<string | undefined>(undefined, "a non-empty string", isName),
  url: secretField<string | undefined>(undefined, "a string", (value) => typeof value === "string"),
  options: secretField<RedisOptions | undefined>(undefined, "ioredis options", isObject),
  client: secretField<Redis | undefined>(undefined, "an ioredis client", isClient),
  weight: valueField<number | undefined>(
    undefined,
    "a finite number above 0",
    (value) => typeof value === "number" && Number.isFinite(value) && value > 0,
  ),
  zone: valueField<string | undefined>(undefined, "a non-empty string", isName),
};

/** Checks one element of an `instances` option; `place` names it in errors. Opens no connection. */
export function readTarget(place: string, input: InstanceInput, connectDeadlineMs: number): Target {
  const { id, url, options, client, weight, zone } = readOptions(
    place,
    longForm(place, input),
    INSTANCE_SHAPE,
  );
  const given = [url, options, client].filter((source) => source !== undefined).length;
  if (given !== 1) {
    throw new CoterieError(
      "INVALID_OPTION",
      `${place}: exactly one of url, options and client is needed, got ${given}`,
    );
  }
  if (client?.isCluster === true) {
    throw new CoterieError(
      "INVALID_OPTION",
      `${place}: a Redis Cluster client is not one instance; give its servers one by one`,
    );
  }
  const prefix = client?.options.keyPrefix ?? options?.keyPrefix;
  if (prefix !== undefined && prefix !== "") {
    throw new CoterieError(
      "INVALID_OPTION",
      `${place}: keyPrefix is not supported: it would change keys after they were routed`,
    );
  }
  const own = {
    ...SAFE_OPTIONS,
    connectTimeout: connectDeadlineMs,
    sentinelCommandTimeout: connectDeadlineMs,
  };
  const opened = openClient(place, url, options, client, own);
  return { id: id ?? addressOf(opened), weight: weight ?? 1, zone, client: opened };
}

/** `host:port`, with `/db` unless that is 0, or the path of a socket. */
export function addressOf(client: Redis): string {
  const { path, host, port, db, sentinels, name } = client.options;
  const suffix = db === undefined || db === 0 ? "" : `/${db}`;
  if (path !== undefined && path !== null) return `${path}${suffix}`;
  if (sentinels !== undefined && sentinels !== null) return `sentinel:${name ?? "master"}${suffix}`;
  return `${host ?? "localhost"}:${port ?? 6379}${suffix}`;
}

function longForm(place: string, input: unknown): InstanceOptions {
  if (typeof input === "string") return { url: input };
  if (isClient(input)) return { client: input as Redis };
  if (isObject(input)) return input as InstanceOptions;
  throw new CoterieError(
    "INVALID_OPTION",
    `${place}: must be a URL, an ioredis client or an options object, got ${typeof input}`,
  );
}

function openClient(
  place: string,
  url: string | undefined,
  options: RedisOptions | undefined,
  client: Redis | undefined,
  own: OwnOptions,
): Redis {
  if (client !== undefined) return client.duplicate(own);
  if (url !== undefined) return new Redis(checkUrl(place, url), own);
  try {
    return new Redis({ ...options, ...own });
  } catch (error) {
    const { message } = error as Error;
    throw new CoterieError("INVALID_OPTION", `${place}: ioredis refuses these options: ${message}`);
  }
}

/** Only what cannot hold a secret is quoted: scheme and host. */
function checkUrl(place: string, url: string): string {
  const refuse = (needed: string, got: string): CoterieError =>
    new CoterieError("INVALID_OPTION", `${place}: option url must be ${needed}, got ${got}`);
  const needed = "a redis:// or rediss:// URL with a host";
  if (!URL.canParse(url)) throw refuse(needed, "text that is no URL");
  const { protocol, host, hostname, pathname, search, hash } = new URL(url);
  const seen = `${protocol}//${host}`;
  if ((protocol !== "redis:" && protocol !== "rediss:") || hostname === "") throw refuse(needed, seen);
  if (!/^(\/\d*)?$/.test(pathname)) throw refuse("a URL whose path is a database number, if any", seen);
  // ioredis reads them as options, which would overrule those that our promises rest on.
  if (search !== "" || hash !== "") throw refuse("a URL without a query or fragment", seen);
  return url;
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** By shape, not by class: the user's ioredis may be another copy. */
function isClient(value: unknown): boolean {
  const client = value as { duplicate?: unknown; options?: unknown; status?: unknown } | null;
  return typeof client?.duplicate === "function" && typeof client.status === "string";
}
