/**
 * The messages of channels over a simulated connection of its own: as the real Subscriber, live while it is
 * connected and every channel is confirmed, and suspicious of silence.
 */
import type { MemberSubscriber } from "../../../src/locks/group/instance.ts";
import type { Timer } from "../../../src/env/index.ts";
import { Line, type LinePorts } from "./line.ts";
import { StatusReply } from "./lua/engine.ts";

const OK = new StatusReply("OK");

export class SimSubscriber implements MemberSubscriber {
  readonly #line: Line;
  readonly #channels = new Map<string, (message: string) => void>();
  readonly #confirmed = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #check: Timer;
  #live = false;
  #askedAt: number | undefined;

  constructor(ports: LinePorts) {
    this.#line = new Line(
      ports,
      () => this.#onReady(),
      () => this.#onLost(),
    );
    this.#check = ports.process.env.timers.every(ports.settings.healthMs, () => this.#checkHealth());
    this.#line.connect();
  }

  get live(): boolean {
    return this.#live;
  }

  get line(): Line {
    return this.#line;
  }

  subscribe(channel: string, onMessage: (message: string) => void): void {
    this.#channels.set(channel, onMessage);
    if (this.#line.isReady) this.#ask([channel]);
    this.#settle();
  }

  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  destroy(): void {
    this.#check.cancel();
    this.#line.close();
    this.#settle();
  }

  #onReady(): void {
    this.#confirmed.clear();
    this.#askedAt = undefined;
    const { connection } = this.#line;
    if (connection !== undefined) {
      connection.onMessage = (channel, message) => this.#deliver(channel, message);
    }
    this.#ask([...this.#channels.keys()]);
    this.#settle();
  }

  #onLost(): void {
    this.#confirmed.clear();
    this.#askedAt = undefined;
    this.#settle();
  }

  #ask(channels: readonly string[]): void {
    const { connection } = this.#line;
    if (channels.length === 0 || connection === undefined) return;
    const { process } = this.#line.ports;
    this.#askedAt ??= process.now();
    const subscribe = (): StatusReply => {
      for (const channel of channels) if (connection.hasServer) connection.channels.add(channel);
      return OK;
    };
    this.#line.send("subscribe", channels, subscribe, () => {
      this.#askedAt = undefined;
      for (const channel of channels) this.#confirmed.add(channel);
      this.#settle();
    });
  }

  #deliver(channel: string, message: string): void {
    this.#askedAt = undefined;
    this.#channels.get(channel)?.(message);
  }

  #settle(): void {
    const live = this.#line.isReady && this.#confirmed.size === this.#channels.size;
    if (live === this.#live) return;
    this.#live = live;
    for (const listener of this.#listeners) listener();
  }

  #checkHealth(): void {
    const { process, server, settings } = this.#line.ports;
    if (!this.#line.isReady) return;
    if (this.#askedAt === undefined) {
      this.#askedAt = process.now();
      this.#line.send("ping", [], () => server.redis.execute(["PING"]), () => {
        this.#askedAt = undefined;
      });
    } else if (process.now() - this.#askedAt >= settings.connectDeadlineMs) {
      this.#line.giveUp();
    }
  }
}
