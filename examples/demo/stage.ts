/**
 * Sets the stage: Redis, three processes of the app, and a client. Whatever was started is stopped by
 * `strike`, also when the rest could not be started.
 */
import { systemEnv } from "coterie";
import { HashRing } from "coterie/ring";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "coterie/testing";

import type { AppMessage, AppSettings } from "./app-process.ts";
import { Children } from "./children.ts";
import { compareOwners, type Survey } from "./claims.ts";
import { Client } from "./client.ts";
import { scrub } from "./scrub.ts";
import type { QueuePlace } from "./worker.ts";

/** The item of the story. Its Redis is the one that dies. */
export const ITEM = "apple";

const APPS = 3;
/** So many of the processes also work on the queue. */
const WORKERS = 2;
const REDIS = 3;
/** The best size of a lock group that has enough members. */
const LOCK_GROUP_MAX = 5;
const ITEMS = 800;
const CONNECTIONS_MAX = 32;

export interface App {
  readonly label: string;
  /** `http://127.0.0.1:port` */
  readonly url: string;
}

export interface Stage {
  /** By the ids that the ring knows: redis-1, redis-2 and so on. */
  readonly redis: ReadonlyMap<string, RedisInstanceHandle>;
  /** False for Redis that somebody else runs. */
  readonly canKill: boolean;
  /** Those that are killed now. */
  readonly dead: Set<string>;
  readonly apps: readonly App[];
  readonly client: Client;
  readonly children: Children;
  /** What every process is told. */
  readonly shared: Omit<AppSettings, "label" | "queue">;
  /** On a Redis that lives on. */
  readonly queue: QueuePlace;
  /** An item on a Redis that lives on, if there is one. */
  readonly counter: string;
  keyOf(item: string): string;
  readonly survey: Survey;
  /** Each item's owner, as the first process names it. */
  readonly owners: ReadonlyMap<string, string>;
  readonly shares: Readonly<Record<string, number>>;
}

export class Stagehand {
  readonly #children: Children;
  readonly #client = new Client(CONNECTIONS_MAX);
  #redis: RedisGroup | undefined;
  /** What is to be taken away at the end: the prefix of all that was written to somebody else's Redis. */
  #foreignName: string | undefined;

  /** `onEnd` is told of a process that ended without being asked to. */
  constructor(onEnd: (what: string) => void) {
    this.#children = new Children(onEnd);
  }

  async build(signal: AbortSignal): Promise<Stage> {
    this.#redis = await startRedis({ ...redisOptions(), signal });
    const { instances: handles } = this.#redis;
    const redis = new Map(handles.map((handle, at) => [`redis-${at + 1}`, handle]));
    const canKill = handles.every(({ capabilities }) => capabilities.has("kill"));
    // In a Redis of somebody else's, two demos at once must not meet.
    const name = canKill ? "demo" : `demo-${systemEnv.random.hex(4)}`;
    if (!canKill) this.#foreignName = name;
    const instances = [...redis].map(([id, { url }]) => ({ id, url }));
    const lockGroup = instances.slice(0, LOCK_GROUP_MAX).map(({ id }) => id);
    const shared = { name, instances, lockGroup };
    const keyOf = (item: string): string => `${name}:item:${item}`;
    const { survivor, counter } = cast(instances, keyOf);
    const queue = { url: survivor.url, prefix: `${name}:bull` };
    const apps = await this.#startApps(shared, queue, signal);
    const { survey, owners } = await this.#ask(apps);
    const shares = await this.#shares(apps);
    return {
      redis,
      canKill,
      dead: new Set(),
      apps,
      client: this.#client,
      children: this.#children,
      shared,
      queue,
      counter,
      keyOf,
      survey,
      owners,
      shares,
    };
  }

  /** Stops everything, and says what did not end by itself. */
  async strike(): Promise<string[]> {
    const killed = await this.#children.stop();
    this.#client.close();
    if (this.#foreignName !== undefined) await scrub(this.#redis?.urls ?? [], this.#foreignName);
    await this.#redis?.stop();
    return killed;
  }

  #startApps(shared: Stage["shared"], queue: QueuePlace, signal: AbortSignal): Promise<App[]> {
    const labels = Array.from({ length: APPS }, (_, at) => `app ${at + 1}`);
    return Promise.all(
      labels.map(async (label, at) => {
        const settings: AppSettings = { label, ...shared, ...(at < WORKERS ? { queue } : {}) };
        const program = "app-process.js";
        const { message } = await this.#children.start<AppMessage>(label, program, settings, signal);
        return { label, url: `http://127.0.0.1:${message.port}` };
      }),
    );
  }

  async #ask(apps: readonly App[]): Promise<{ survey: Survey; owners: ReadonlyMap<string, string> }> {
    const items = Array.from({ length: ITEMS }, (_, n) => `n${n}`);
    const answers = await Promise.all(
      apps.map(async ({ url }) => {
        const { body } = await this.#client.ask("POST", `${url}/where`, items.join("\n"));
        return new Map(Object.entries(JSON.parse(body) as Record<string, string>));
      }),
    );
    return { survey: compareOwners(answers, items), owners: answers[0] ?? new Map<string, string>() };
  }

  async #shares([first]: readonly App[]): Promise<Readonly<Record<string, number>>> {
    const { shards } = await this.#client.json(`${first?.url}/status`);
    return (shards as { readonly shares: Readonly<Record<string, number>> }).shares;
  }
}

/**
 * Who plays what: the Redis of the story's item will die, so the queue and the counter stand on another.
 * Anybody can compute that alone, as every process of the app does.
 */
function cast(
  instances: AppSettings["instances"],
  keyOf: (item: string) => string,
): { readonly survivor: AppSettings["instances"][number]; readonly counter: string } {
  const [first = { id: "", url: "" }] = instances;
  const ring = new HashRing(instances.map(({ id }) => id));
  const doomed = ring.owner(keyOf(ITEM));
  const survivor = instances.find(({ id }) => id !== doomed) ?? first;
  const candidates = Array.from({ length: 100 }, (_, n) => `visits-${n + 1}`);
  const counter = candidates.find((item) => ring.owner(keyOf(item)) !== doomed) ?? "visits-1";
  return { survivor, counter };
}

/** Every write is on the disk before it is acknowledged: a killed Redis comes back with all of them. */
function redisOptions(): Parameters<typeof startRedis>[0] {
  const given = (process.env["COTERIE_REDIS_URLS"] ?? "").split(/[\s,]+/).filter((url) => url !== "").length;
  const forced = process.env["COTERIE_TEST_REDIS"] ?? "";
  const isExternal = forced === "external" || (forced === "" && given > 0);
  if (isExternal) return { count: Math.max(1, given) };
  return { count: REDIS, config: { appendonly: true, appendfsync: "always" } };
}
