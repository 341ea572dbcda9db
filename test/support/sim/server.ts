/**
 * One simulated Redis server: a SimRedis with a life. It is paused and runs later what came meanwhile, it
 * crashes and comes back with its data, without, or with an old copy of it; its wall clock drifts and leaps.
 */
import type { SimClock } from "../../../src/testing/index.ts";
import type { Connection, SentRequest, ServerSide } from "./network.ts";
import { SimRedis } from "./redis/sim-redis.ts";
import type { Entry } from "./redis/keyspace.ts";

const WALL_US = 1_767_225_600_000_000;

export class SimServer implements ServerSide {
  readonly id: string;
  redis: SimRedis;
  isUp = true;
  isPaused = false;
  hasLeapt = false;
  /** Sees everything that it answers. */
  onServed: ((connection: Connection, request: SentRequest, reply: unknown) => void) | undefined;
  /** Clients see nothing of its end: as when the machine is gone, not the process. */
  #isSilent = false;
  readonly #clock: SimClock;
  readonly #connections = new Set<Connection>();
  #queue: (() => void)[] = [];
  #runs = 0;
  #wallUs: number;
  #rate: number;
  #anchorMs: number;
  #scriptsBefore = 0;
  readonly #settings = new Map<string, string>();
  #copy: ReadonlyMap<string, Entry> = new Map();

  constructor(id: string, clock: SimClock, aheadMs: number, rate: number) {
    this.id = id;
    this.#clock = clock;
    this.#anchorMs = clock.now();
    this.#wallUs = WALL_US + aheadMs * 1000;
    this.#rate = rate;
    this.redis = this.#newRun();
  }

  /** Requests that a paused server has not looked at. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** In all its runs. */
  get scriptsRun(): number {
    return this.#scriptsBefore + this.redis.scriptsRun;
  }

  /** Settings that it keeps over restarts. */
  configure(settings: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(settings)) {
      this.#settings.set(name, value);
      this.redis.config.set(name, value);
    }
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Its wall clock in microseconds. */
  wallUs(): number {
    return this.#wallUs + (this.#clock.now() - this.#anchorMs) * 1000 * this.#rate;
  }

  /** Its wall clock is set; keys whose time has come by then are taken away by Redis sooner or later. */
  leap(ms: number, expires: boolean): void {
    this.hasLeapt = true;
    if (expires) this.redis.db.expireAll();
    this.#wallUs = this.wallUs() + ms * 1000;
    this.#anchorMs = this.#clock.now();
    if (expires) this.redis.db.expireAll();
  }

  pause(): void {
    this.isPaused = true;
  }

  goOn(): void {
    this.isPaused = false;
    for (const run of this.#queue.splice(0)) run();
  }

  crash(isSilent: boolean): void {
    this.isUp = false;
    this.#isSilent = isSilent;
    this.#queue = [];
    for (const connection of this.#connections) connection.closeByServer(isSilent);
    this.#connections.clear();
  }

  restart(data: "kept" | "empty" | "old"): void {
    const kept = this.redis.db.copy();
    this.#scriptsBefore += this.redis.scriptsRun;
    this.redis = this.#newRun();
    if (data !== "empty") this.redis.db.restore(data === "kept" ? kept : this.#copy);
    this.isUp = true;
    this.isPaused = false;
    this.#isSilent = false;
  }

  /** What `restart("old")` brings back. */
  keepCopy(): void {
    this.#copy = this.redis.db.copy();
  }

  flush(): void {
    this.redis.execute(["FLUSHALL"]);
  }

  // ServerSide

  onConnect(connection: Connection): void {
    if (!this.isUp) {
      if (!this.#isSilent) connection.closeByServer(false);
      return;
    }
    connection.accept();
    this.#connections.add(connection);
  }

  onRequest(connection: Connection, request: SentRequest): void {
    if (this.isPaused) this.#queue.push(() => this.#serve(connection, request));
    else this.#serve(connection, request);
  }

  onClientGone(connection: Connection): void {
    const forget = (): void => {
      this.#connections.delete(connection);
      connection.channels.clear();
    };
    if (this.isPaused) this.#queue.push(forget);
    else forget();
  }

  #serve(connection: Connection, request: SentRequest): void {
    const reply = request.run();
    this.onServed?.(connection, request, reply);
    connection.reply(request, reply);
  }

  #publish(channel: string, message: string): number {
    const reached = this.#subscribers(channel);
    for (const connection of reached) connection.publish(channel, message);
    return reached.length;
  }

  #subscribers(channel: string): Connection[] {
    return [...this.#connections].filter(({ channels }) => channels.has(channel));
  }

  #newRun(): SimRedis {
    this.#runs += 1;
    const redis = new SimRedis({
      runId: `${this.id}${String(this.#runs).padStart(39, "0")}`,
      wallUs: () => this.wallUs(),
      publish: (channel, message) => this.#publish(channel, message),
      subscribers: (channel) => this.#subscribers(channel).length,
    });
    for (const [name, value] of this.#settings) redis.config.set(name, value);
    return redis;
  }
}
