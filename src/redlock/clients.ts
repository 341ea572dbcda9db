/**
 * The caller's ioredis clients: what is taken from them (their options), what they may not be, and the names
 * under which the lock group knows them. The clients are never used, and only `quit()` closes them.
 */
import { CoterieError } from "../errors.ts";
import type { LockerOptions } from "../locks/index.ts";

type InstanceInput = LockerOptions["instances"][number];

/** An ioredis client of one server, in any version that coterie supports. */
export type Client = Extract<InstanceInput, { duplicate: unknown }>;

export interface GivenClients {
  /** By the id that the locker knows its instance by. */
  readonly byId: ReadonlyMap<string, Client>;
  readonly instances: readonly InstanceInput[];
  /** What the clients put before each key (ioredis' `keyPrefix`), so that keys stay the same. */
  readonly keyPrefix: string;
}

/** Checks what the constructor was given. Throws INVALID_OPTION. */
export function readClients(clients: Iterable<Client>): GivenClients {
  const given = [...new Set(listOf(clients))];
  if (given.length === 0) throw invalid("Redlock must be instantiated with at least one redis client.");
  given.forEach((client, at) => requireClient(client, at + 1));
  const prefixes = new Set(given.map(({ options }) => options.keyPrefix ?? ""));
  if (prefixes.size > 1) throw invalid("Redlock: the clients must all have the same keyPrefix");
  const [keyPrefix = ""] = prefixes;
  const ids = given.map(idOf);
  const byId = new Map<string, Client>();
  for (const [at, client] of given.entries()) {
    const ownId = ids[at] as string;
    const isShared = ids.indexOf(ownId) !== ids.lastIndexOf(ownId);
    const id = isShared ? `${ownId}${sentinelOf(client)}` : ownId;
    if (byId.has(id)) throw invalid(`Redlock: two of the clients are for the same server, ${id}`);
    byId.set(id, client);
  }
  const instances = [...byId].map(([id, client]) =>
    keyPrefix === "" ? { id, client } : { id, options: { ...client.options, keyPrefix: "" } },
  );
  return { byId, instances, keyPrefix };
}

/** True when none of the clients will ever be connected again by itself: its owner has closed it. */
export function haveEnded(clients: Iterable<Client>): boolean {
  return [...clients].every(({ status }) => status === "end");
}

function listOf(clients: Iterable<Client>): Iterable<Client> {
  const iterator: unknown = (clients as Iterable<Client> | null | undefined)?.[Symbol.iterator];
  if (typeof iterator === "function" && typeof clients !== "string") return clients;
  throw invalid("Redlock must be instantiated with a list of ioredis clients.");
}

function requireClient(client: Client, place: number): void {
  const { isCluster, duplicate, status } = (client ?? {}) as {
    isCluster?: unknown;
    duplicate?: unknown;
    status?: unknown;
  };
  if (isCluster === true) {
    throw invalid(
      `Redlock: client ${place} is a Redis Cluster client. A cluster loses locks when it fails over; ` +
        "give independent servers, one client each",
    );
  }
  if (typeof duplicate === "function" && typeof status === "string") return;
  throw invalid(`Redlock: client ${place} is not an ioredis client`);
}

/** As the locker itself would call it, so that every process uses the same name. */
function idOf({ options }: Client): string {
  const { path, host, port, db, sentinels, name } = options;
  const suffix = db === undefined || db === 0 ? "" : `/${db}`;
  if (typeof path === "string") return `${path}${suffix}`;
  if (Array.isArray(sentinels)) return `sentinel:${name ?? "master"}${suffix}`;
  return `${host ?? "localhost"}:${port ?? 6379}${suffix}`;
}

/** Independent groups of Sentinels often call their primaries by one name: their own addresses differ. */
function sentinelOf({ options: { sentinels } }: Client): string {
  if (!Array.isArray(sentinels)) return "";
  const addresses = sentinels.map(({ host, port }) => `${host ?? "localhost"}:${port ?? 26379}`);
  return `@${addresses.toSorted()[0] ?? ""}`;
}

function invalid(message: string): CoterieError {
  return new CoterieError("INVALID_OPTION", message, { details: { option: "clients" } });
}
