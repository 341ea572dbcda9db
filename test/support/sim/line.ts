/**
 * What a simulated instance and a simulated subscriber share: a connection that is made, watched and made
 * again. Its one idea: `ready` is told only after the server itself has answered on the connection, and
 * each connection has a number, so that an answer of an earlier one is known for what it is.
 */
import type { Random, Timer } from "../../../src/env/index.ts";
import { Connection, type Request, type Wire } from "./network.ts";
import type { SimProcess } from "./process.ts";
import type { RawReply } from "./lua/engine.ts";
import type { SimServer } from "./server.ts";

export interface LineSettings {
  readonly deadlineMs: number;
  readonly connectDeadlineMs: number;
  readonly healthMs: number;
  /** Between two attempts to connect. */
  readonly retryMs: number;
}

export interface LinePorts {
  readonly process: SimProcess;
  readonly server: SimServer;
  readonly wire: Wire;
  readonly random: Random;
  readonly settings: LineSettings;
}

export class Line {
  /** How many connections became ready. */
  connections = 0;
  isReady = false;
  readonly ports: LinePorts;
  readonly #onReady: () => void;
  readonly #onLost: () => void;
  #connection: Connection | undefined;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(ports: LinePorts, onReady: () => void, onLost: () => void) {
    this.ports = ports;
    this.#onReady = onReady;
    this.#onLost = onLost;
    ports.process.onKilled(() => this.#connection?.close(ports.random.below(4) === 0));
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  connect(): void {
    if (this.#isClosed) return;
    const { process, server, wire, settings } = this.ports;
    const connection = new Connection(process, server, wire, () => this.#lose(connection));
    this.#connection = connection;
    this.#timer = process.env.timers.after(settings.connectDeadlineMs, () => this.giveUp());
    const hello: Request = {
      name: "hello",
      words: [],
      run: () => server.redis.runId,
      onReply: () => this.#becomeReady(connection),
    };
    connection.send(hello);
  }

  /** Sends on the connection as it is; `onReply` hears nothing once the connection is another. */
  send(
    name: string,
    words: readonly string[],
    run: () => RawReply,
    onReply: (reply: RawReply) => void,
  ): void {
    const connection = this.#connection;
    connection?.send({
      name,
      words,
      run,
      onReply: (reply) => {
        if (connection === this.#connection) onReply(reply as RawReply);
      },
    });
  }

  /** The connection is of no use: take another. What was sent on it may still arrive there. */
  giveUp(): void {
    const connection = this.#connection;
    connection?.close();
    this.#lose(connection);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
    this.isReady = false;
  }

  #becomeReady(connection: Connection): void {
    if (connection !== this.#connection) return;
    this.#timer?.cancel();
    this.connections += 1;
    this.isReady = true;
    this.#onReady();
  }

  #lose(connection: Connection | undefined): void {
    if (this.#isClosed || connection !== this.#connection) return;
    this.#connection = undefined;
    this.#timer?.cancel();
    const { process, settings, random } = this.ports;
    const retryMs = settings.retryMs * (0.5 + random.fraction());
    this.#timer = process.env.timers.after(retryMs, () => this.connect());
    if (!this.isReady) return;
    this.isReady = false;
    this.#onLost();
  }
}
