/**
 * The messages of channels, over a connection of its own: in subscriber mode a connection takes no other
 * commands. Its one idea: `live` is the whole truth about it. While it is true every message published on
 * a channel comes; when it was false for a moment some may have been lost, and who cares must ask anew.
 * Channels are kept over reconnects. Silence is noticed by our own PING, as a message that never comes
 * says nothing. It must never deliver a message twice.
 */
import type { Redis } from "ioredis";

import type { Env, Timer } from "../env/index.ts";
import { plainMessage } from "./failures.ts";
import type { InstanceSettings } from "./status.ts";

type OnMessage = (message: string) => void;

export class Subscriber {
  /** The id of the instance whose channels these are. */
  readonly instance: string;
  readonly #env: Env;
  readonly #settings: InstanceSettings;
  readonly #client: Redis;
  readonly #check: Timer;
  readonly #channels = new Map<string, OnMessage[]>();
  readonly #confirmed = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #live = false;
  #closed = false;
  #lastError: string | undefined;
  /** Grows with each connection: an answer of an earlier one confirms nothing. */
  #connection = 0;
  /** Since when something was asked and not answered; undefined when nothing is. */
  #askedAt: number | undefined;

  /** Connects at once, and goes on trying until it is destroyed. */
  constructor(instance: string, client: Redis, settings: InstanceSettings, env: Env) {
    this.instance = instance;
    this.#settings = settings;
    this.#env = env;
    this.#client = client.duplicate();
    this.#client.on("error", (error: unknown) => {
      this.#lastError = plainMessage(error);
    });
    this.#client.on("connect", () => {
      this.#askedAt = this.#env.clock.now();
    });
    this.#client.on("ready", () => this.#becomeReady());
    this.#client.on("close", () => this.#becomeLost());
    this.#client.on("message", (channel: string, message: string) => this.#deliver(channel, message));
    this.#check = env.timers.every(settings.healthMs, () => this.#checkHealth());
    this.#connect();
  }

  /** True while it is connected and every channel is confirmed: no message is missed. */
  get live(): boolean {
    return this.#live;
  }

  /** Why it is not live, as far as that is known. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Calls back with each message on the channel, until the instance is closed. */
  subscribe(channel: string, onMessage: OnMessage): void {
    const callbacks = this.#channels.get(channel);
    if (callbacks !== undefined) {
      callbacks.push(onMessage);
      return;
    }
    this.#channels.set(channel, [onMessage]);
    if (this.#client.status === "ready") this.#ask([channel]);
    this.#settle();
  }

  /** Calls back whenever `live` changed; returns how to stop that. */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#check.cancel();
    this.#client.disconnect();
    this.#settle();
  }

  #connect(): void {
    this.#client.connect().catch((error: unknown) => {
      this.#lastError = plainMessage(error);
    });
  }

  #becomeReady(): void {
    if (this.#closed) return;
    this.#connection += 1;
    this.#askedAt = undefined;
    this.#lastError = undefined;
    this.#confirmed.clear();
    this.#ask([...this.#channels.keys()]);
    this.#settle();
  }

  #becomeLost(): void {
    this.#askedAt = undefined;
    this.#confirmed.clear();
    this.#settle();
  }

  /** Subscribes; a refusal (a user without the right, say) is asked again with the next health check. */
  #ask(channels: readonly string[]): void {
    if (channels.length === 0) return;
    const connection = this.#connection;
    this.#askedAt ??= this.#env.clock.now();
    this.#client.subscribe(...channels).then(
      () => this.#onConfirmed(connection, channels),
      (error: unknown) => this.#onRefused(connection, error),
    );
  }

  #onConfirmed(connection: number, channels: readonly string[]): void {
    if (connection !== this.#connection) return;
    this.#askedAt = undefined;
    for (const channel of channels) this.#confirmed.add(channel);
    this.#settle();
  }

  #onRefused(connection: number, error: unknown): void {
    this.#lastError = plainMessage(error);
    if (connection === this.#connection) this.#askedAt = undefined;
  }

  #settle(): void {
    const isReady = !this.#closed && this.#client.status === "ready";
    const live = isReady && this.#confirmed.size === this.#channels.size;
    if (live === this.#live) return;
    this.#live = live;
    for (const listener of this.#listeners) listener();
  }

  #deliver(channel: string, message: string): void {
    if (this.#closed) return;
    this.#askedAt = undefined;
    for (const onMessage of this.#channels.get(channel) ?? []) onMessage(message);
  }

  #checkHealth(): void {
    if (this.#client.status === "end") {
      this.#connect();
      return;
    }
    if (this.#askedAt !== undefined) {
      if (this.#env.clock.now() - this.#askedAt < this.#settings.connectDeadlineMs) return;
      this.#lastError = "no answer";
      this.#client.disconnect(true);
      return;
    }
    if (this.#client.status !== "ready") return;
    const missing = [...this.#channels.keys()].filter((channel) => !this.#confirmed.has(channel));
    if (missing.length > 0) this.#ask(missing);
    else this.#ping();
  }

  #ping(): void {
    const connection = this.#connection;
    this.#askedAt = this.#env.clock.now();
    this.#client.ping().then(
      () => this.#onConfirmed(connection, []),
      (error: unknown) => this.#onRefused(connection, error),
    );
  }
}
