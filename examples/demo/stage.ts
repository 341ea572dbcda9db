/**
 * Sets the stage: Redis, three processes of the app, and a client. Whatever was started is stopped by
 * `strike`, also when the rest could not be started.
 */
import { systemEnv } from "coterie";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "coterie/testing";

import { type App, Apps } from "./apps.ts";
import { compareOwners, type Survey } from "./claims.ts";
import { Client } from "./client.ts";

const APPS = 3;
const REDIS = 3;
const ITEMS = 800;
const CONNECTIONS_MAX = 24;

export interface Stage {
  /** By the ids that the ring knows: redis-1, redis-2 and so on. */
  readonly redis: ReadonlyMap<string, RedisInstanceHandle>;
  /** False for Redis that somebody else runs. */
  readonly canKill: boolean;
  /** Those that are killed now. */
  readonly dead: Set<string>;
  readonly apps: readonly App[];
  readonly client: Client;
  readonly survey: Survey;
  /** Each item's owner, as the first process names it. */
  readonly owners: ReadonlyMap<string, string>;
  readonly shares: Readonly<Record<string, number>>;
}

export class Stagehand {
  readonly #apps: Apps;
  readonly #client = new Client(CONNECTIONS_MAX);
  #redis: RedisGroup | undefined;

  /** `onEnd` is told of a process of the app that ended without being asked to. */
  constructor(onEnd: (what: string) => void) {
    this.#apps = new Apps(onEnd);
  }

  async build(signal: AbortSignal): Promise<Stage> {
    this.#redis = await startRedis({ ...redisOptions(), signal });
    const { instances: handles } = this.#redis;
    const redis = new Map(handles.map((handle, at) => [`redis-${at + 1}`, handle]));
    const canKill = handles.every(({ capabilities }) => capabilities.has("kill"));
    // In a Redis of somebody else's, two demos at once must not meet.
    const name = canKill ? "demo" : `demo-${systemEnv.random.hex(4)}`;
    const instances = [...redis].map(([id, { url }]) => ({ id, url }));
    const settings = Array.from({ length: APPS }, (_, at) => ({ label: `app ${at + 1}`, name, instances }));
    const apps = await this.#apps.start(settings, signal);
    const { survey, owners } = await this.#ask(apps);
    const shares = await this.#shares(apps);
    return { redis, canKill, dead: new Set(), apps, client: this.#client, survey, owners, shares };
  }

  /** Stops everything, and says what did not end by itself. */
  async strike(): Promise<string[]> {
    const killed = await this.#apps.stop();
    this.#client.close();
    await this.#redis?.stop();
    return killed;
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

/** Every write is on the disk before it is acknowledged: a killed Redis comes back with all of them. */
function redisOptions(): Parameters<typeof startRedis>[0] {
  const given = (process.env["COTERIE_REDIS_URLS"] ?? "").split(/[\s,]+/).filter((url) => url !== "").length;
  const forced = process.env["COTERIE_TEST_REDIS"] ?? "";
  const isExternal = forced === "external" || (forced === "" && given > 0);
  if (isExternal) return { count: Math.max(1, given) };
  return { count: REDIS, config: { appendonly: true, appendfsync: "always" } };
}
