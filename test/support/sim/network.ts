/**
 * Connections between processes and servers. A connection is two pipes, each ordered; its packets take
 * their time, can be held back and come later, even when the client has long given the connection up.
 * What the network does to one process and one server is set per direction, so that a cut can be one-way.
 */
import type { Random } from "../../../src/env/index.ts";
import type { SimClock } from "../../../src/testing/index.ts";
import type { SimProcess } from "./process.ts";

/** From one process to one server, or back. */
export class Direction {
  delayMsMin: number;
  delayMsMax: number;
  readonly #clock: SimClock;
  readonly #random: Random;
  readonly #pipes = new Set<Pipe>();
  #isHeld = false;
  /** More time for each packet. */
  extraMs = 0;
  /** Packets so far. */
  pushed = 0;

  constructor(clock: SimClock, random: Random, delayMsMin: number, delayMsMax: number) {
    this.#clock = clock;
    this.#random = random;
    this.delayMsMin = delayMsMin;
    this.delayMsMax = delayMsMax;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  get clock(): SimClock {
    return this.#clock;
  }

  get delayMs(): number {
    return this.delayMsMin + this.extraMs + this.#random.fraction() * (this.delayMsMax - this.delayMsMin);
  }

  /** Packets that are held back now. */
  get waiting(): number {
    let waiting = 0;
    for (const pipe of this.#pipes) waiting += pipe.waiting;
    return waiting;
  }

  /** Packets pile up until `letGo`. */
  hold(): void {
    this.#isHeld = true;
  }

  letGo(): void {
    this.#isHeld = false;
    for (const pipe of this.#pipes) pipe.flush();
  }

  add(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe);
  }
}

/** One direction of one connection: what is pushed arrives later, in order, or never. */
export class Pipe {
  readonly #direction: Direction;
  #lastAt = 0;
  #isStuck = false;
  #isCut = false;
  #waiting: (() => void)[] = [];
  /** Packets that had to wait: what a fault must have met to count. */
  held = 0;

  constructor(direction: Direction) {
    this.#direction = direction;
    direction.add(this);
  }

  push(arrival: () => void): void {
    if (this.#isCut) return;
    this.#direction.pushed += 1;
    const { clock, delayMs } = this.#direction;
    const now = clock.now();
    this.#lastAt = Math.max(this.#lastAt, now + delayMs);
    clock.after(this.#lastAt - now, () => {
      if (this.#isCut) return;
      if (this.#isBlocked || this.#waiting.length > 0) {
        this.held += 1;
        this.#waiting.push(arrival);
      } else {
        arrival();
      }
    });
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** This connection alone: others between the two go on. */
  stick(): void {
    this.#isStuck = true;
  }

  loosen(): void {
    this.#isStuck = false;
    this.flush();
  }

  flush(): void {
    if (this.#isBlocked || this.#isCut) return;
    const next = this.#waiting[0];
    if (next === undefined) return;
    this.#direction.clock.after(0, () => {
      if (this.#isBlocked || this.#isCut || this.#waiting[0] !== next) return;
      this.#waiting.shift();
      next();
      this.flush();
    });
  }

  /** Nothing arrives any more. */
  cut(): void {
    this.#isCut = true;
    this.#waiting = [];
    this.#direction.remove(this);
  }

  get #isBlocked(): boolean {
    return this.#isStuck || this.#direction.isHeld;
  }
}

/** What a server makes of what arrives. */
export interface ServerSide {
  readonly isUp: boolean;
  onConnect(connection: Connection): void;
  onRequest(connection: Connection, request: SentRequest): void;
  onClientGone(connection: Connection): void;
}

/** `run` gives the reply; it is called when the server gets to it. */
export interface Request {
  readonly name: string;
  /** For a trace. */
  readonly words: readonly string[];
  readonly run: () => unknown;
  readonly onReply: (reply: unknown) => void;
}

export interface SentRequest extends Request {
  /** On the clock of the world. */
  readonly sentAt: number;
}

export interface Wire {
  readonly toServer: Direction;
  readonly toClient: Direction;
}

export class Connection {
  /** Of its process's. */
  readonly number: number;
  readonly process: SimProcess;
  readonly toServer: Pipe;
  readonly toClient: Pipe;
  /** What it subscribed to, as the server knows it, and where messages go. */
  readonly channels = new Set<string>();
  onMessage: ((channel: string, message: string) => void) | undefined;
  readonly #server: ServerSide;
  readonly #onLost: () => void;
  readonly #clock: SimClock;
  /** False once the client does not listen any more. */
  #hasClient = true;
  #hasServer = false;

  /** `onLost` is called in the process when the connection broke without its doing. */
  constructor(process: SimProcess, server: ServerSide, wire: Wire, onLost: () => void) {
    this.process = process;
    process.connections += 1;
    this.number = process.connections;
    this.#server = server;
    this.#onLost = onLost;
    this.#clock = wire.toServer.clock;
    this.toServer = new Pipe(wire.toServer);
    this.toClient = new Pipe(wire.toClient);
    this.toServer.push(() => server.onConnect(this));
  }

  get hasServer(): boolean {
    return this.#hasServer;
  }

  /** The server took it. */
  accept(): void {
    this.#hasServer = true;
  }

  send(request: Request): void {
    const sent = { ...request, sentAt: this.#clock.now() };
    this.toServer.push(() => {
      if (this.#hasServer) this.#server.onRequest(this, sent);
      // Whoever is there now knows nothing of this connection and says so.
      else if (this.#server.isUp) this.closeByServer(false);
    });
  }

  reply(request: Request, reply: unknown): void {
    this.#toProcess(() => request.onReply(reply));
  }

  publish(channel: string, message: string): void {
    this.#toProcess(() => this.onMessage?.(channel, message));
  }

  /** The client gives it up. What it sent before may still arrive; answers to that are for nobody. */
  close(isSilent = false): void {
    if (!this.#hasClient) return;
    this.#hasClient = false;
    if (isSilent) return;
    this.toServer.push(() => {
      if (this.#hasServer) this.#server.onClientGone(this);
      this.cut();
    });
  }

  /** The server ends it: at once there, later here; silently, never here. */
  closeByServer(isSilent: boolean): void {
    this.#hasServer = false;
    this.channels.clear();
    if (!isSilent) this.#toProcess(() => this.#lose());
  }

  /** Broken in the middle: what was on its way is lost, and both ends learn of it. */
  break(): void {
    if (this.#hasServer) this.#server.onClientGone(this);
    this.#hasServer = false;
    this.cut();
    this.process.run(() => this.#lose());
  }

  cut(): void {
    this.toServer.cut();
    this.toClient.cut();
  }

  #toProcess(action: () => void): void {
    this.toClient.push(() => {
      this.process.run(() => {
        if (this.#hasClient) action();
      });
    });
  }

  #lose(): void {
    if (!this.#hasClient) return;
    this.#hasClient = false;
    this.#onLost();
  }
}
