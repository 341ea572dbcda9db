/**
 * What a server says of itself, and whether it can keep a lock. A promise needs a server that forgets
 * nothing by itself: no eviction, no primary that overwrites it, no cluster that moves keys away. Pure.
 */
import { CoterieError } from "../../errors.ts";

/** The oldest Redis whose scripts and commands are the ones that ours are written for and tested with. */
const VERSION_MIN: readonly [number, number] = [6, 2];

/** What INFO says, as far as locks care. */
export interface Facts {
  readonly runId: string;
  readonly role: string;
  readonly isCluster: boolean;
  readonly isSentinel: boolean;
  readonly evictionPolicy: string;
  /** As the server compares itself with Redis: Valkey says 7.2.4, and its own version in `product`. */
  readonly redisVersion: string;
  readonly product: string;
  readonly replicas: number;
  readonly isAppending: boolean;
}

/** Why a server is refused; `details.reason` of INSTANCE_REFUSED. */
export type RefusalReason =
  | "replica"
  | "cluster"
  | "sentinel"
  | "eviction"
  | "version"
  | "same-server"
  | "rights"
  | "unknown-server";

/** What INFO said; undefined when it does not look like that of a Redis. */
export function readFacts(info: string): Facts | undefined {
  const fields = new Map<string, string>();
  for (const line of info.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const runId = fields.get("run_id") ?? "";
  const redisVersion = fields.get("redis_version") ?? "";
  if (!/^\w+$/.test(runId) || !/^\d+\.\d+/.test(redisVersion)) return undefined;
  const name = fields.get("server_name") ?? "redis";
  const version = fields.get(`${name}_version`) ?? redisVersion;
  return {
    runId,
    role: fields.get("role") ?? "",
    isCluster: fields.get("cluster_enabled") === "1",
    isSentinel: fields.get("redis_mode") === "sentinel",
    evictionPolicy: fields.get("maxmemory_policy") ?? "",
    redisVersion,
    product: `${name} ${version}`,
    replicas: Number(fields.get("connected_slaves") ?? 0),
    isAppending: fields.get("aof_enabled") === "1",
  };
}

/** The error for a server that cannot keep a lock; undefined when it can. */
export function unfit(id: string, facts: Facts): CoterieError | undefined {
  const { role, evictionPolicy, redisVersion } = facts;
  if (facts.isSentinel) return refused(id, "sentinel", "it is a Sentinel and holds no data");
  if (facts.isCluster) {
    return refused(id, "cluster", "it runs in cluster mode, where keys move and failovers lose writes");
  }
  if (role !== "master") {
    return refused(id, "replica", `it is a replica (role ${role}); give the address of a primary`, { role });
  }
  if (evictionPolicy !== "noeviction") {
    const policy = evictionPolicy === "" ? "not told" : evictionPolicy;
    const why = `its maxmemory-policy is ${policy}, and must be noeviction: others evict locks`;
    return refused(id, "eviction", why, { evictionPolicy });
  }
  const [major = 0, minor = 0] = redisVersion.split(".").map(Number);
  const [majorMin, minorMin] = VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return undefined;
  const needed = VERSION_MIN.join(".");
  return refused(id, "version", `it is Redis ${redisVersion}, and ${needed} or later is needed`, {
    redisVersion,
    needed,
  });
}

export function refused(
  id: string,
  reason: RefusalReason,
  why: string,
  details: Readonly<Record<string, unknown>> = {},
): CoterieError {
  return new CoterieError("INSTANCE_REFUSED", `instance "${id}" cannot be part of a lock group: ${why}`, {
    details: { instance: id, reason, ...details },
  });
}

export function sameServer(id: string, other: string): CoterieError {
  return refused(id, "same-server", `it is the same server as "${other}"`, { other });
}

/** The error for an instance that is connected and was not looked at on this connection. */
export function unsettled(id: string, lastError: CoterieError | undefined): CoterieError {
  const failed = lastError === undefined ? "" : ` (${lastError.message})`;
  return new CoterieError("UNREACHABLE", `instance "${id}" has not been looked at yet${failed}`, {
    details: { instance: id, state: "handshake", lastError: lastError?.message },
  });
}

/** The first releases, by series, in which scripts cannot break out of the sandbox (CVE-2025-49844). */
const LUA_FIXED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  redis: { "6.2": 20, "7.2": 11, "7.4": 6, "8.0": 4, "8.2": 2 },
  valkey: { "7.2": 11, "8.0": 6, "8.1": 4 },
};
/** Series without a fixed release of their own. */
const LUA_UNFIXED: ReadonlySet<string> = new Set(["redis 7.0"]);

/** What an operator wants to know, and what is no reason to refuse. */
export function warningsOf(facts: Facts, isDeclaredDurable = false, isDurable = false): string[] {
  const warnings: string[] = [];
  const [name = "", version = ""] = facts.product.split(" ");
  const [major, minor, patch] = version.split(".");
  const series = `${major}.${minor}`;
  const fixed = LUA_FIXED[name]?.[series];
  if (LUA_UNFIXED.has(`${name} ${series}`) || (fixed !== undefined && Number(patch) < fixed)) {
    warnings.push(
      `${facts.product} is older than the releases that close CVE-2025-49844 (scripts can break out), ` +
        "unless its distributor has mended it",
    );
  }
  if (facts.replicas > 0) {
    warnings.push(
      "it has replicas: one that is promoted in its place counts as wiped and abstains at first",
    );
  }
  if (isDeclaredDurable && !isDurable) {
    warnings.push(
      "it was declared durable and is not: that takes appendonly yes, appendfsync always, " +
        "no-appendfsync-on-rewrite no, no replica, and the right to read these settings",
    );
  }
  return warnings;
}
