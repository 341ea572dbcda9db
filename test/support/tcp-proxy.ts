/**
 * A TCP proxy before one server, on loopback, whose wire can be broken in each direction by itself: bytes
 * held and delivered later, swallowed, slowed; connections cut or refused.
 * Its one idea: a connection is two one-way wires, each a queue of what has not been delivered, the end of
 * the stream included. So what a client sent before it gave up still reaches the server when the wire is
 * back, as on a real network. A wire that lost bytes stays silent: when it is back, its connection is reset.
 * It never keeps a process alive, and its jitter comes from a seed.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import { systemEnv, type Timer } from "../../src/env/index.ts";
import { holdFreePort, releasePort } from "../../src/testing/redis/ports.ts";
import { seededRandom } from "../../src/testing/index.ts";

export type Direction = "toServer" | "toClient";

export const DIRECTIONS: readonly Direction[] = ["toServer", "toClient"];

export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

export interface WireCounts {
  readonly deliveredBytes: number;
  readonly droppedBytes: number;
  /** Not delivered yet: held, or on their way through a slow wire. */
  readonly waitingBytes: number;
}

const PORT_TRIES_MAX = 50;
const PORT_BACK_MS_MAX = 5_000;
const PORT_AGAIN_MS = 20;

/** What all wires of one direction have in common. */
class Way {
  mode: "pass" | "hold" | "drop" = "pass";
  delayMs = 0;
  jitterMs = 0;
  deliveredBytes = 0;
  droppedBytes = 0;
  readonly wires = new Set<Wire>();
}

/** What stands in the queue of a wire: bytes, or how the sender left. */
interface Parcel {
  readonly content: Buffer | "end" | "reset";
  readonly dueAt: number;
}

export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly #target: ProxyTarget;
  readonly #ways: Readonly<Record<Direction, Way>> = { toServer: new Way(), toClient: new Way() };
  readonly #pairs = new Set<Pair>();
  readonly #fraction: () => number;
  #listener: Server | undefined;
  #accepted = 0;
  #stopped = false;

  private constructor(port: number, listener: Server, target: ProxyTarget, seed: number) {
    const random = seededRandom(seed);
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#target = target;
    this.#fraction = () => random.fraction();
    this.#adopt(listener);
  }

  static async open(target: ProxyTarget, seed = 1): Promise<TcpProxy> {
    for (let tried = 1; ; tried += 1) {
      const port = await holdFreePort();
      const listener = await tryListen(port);
      if (listener !== undefined) return new TcpProxy(port, listener, target, seed);
      releasePort(port);
      if (tried === PORT_TRIES_MAX) throw new Error(`no free port for a proxy in ${tried} tries`);
    }
  }

  /** Connections that are open now, on either side. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections taken since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  counts(direction: Direction): WireCounts {
    const { deliveredBytes, droppedBytes, wires } = this.#ways[direction];
    const waitingBytes = [...wires].reduce((sum, wire) => sum + wire.waitingBytes, 0);
    return { deliveredBytes, droppedBytes, waitingBytes };
  }

  /** Lets everything through, what was held first; a connection that lost bytes is reset. */
  pass(...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? DIRECTIONS : directions) {
      this.#change(direction, "pass", 0, 0);
    }
  }

  /** Keeps what is sent in this direction until `pass`; new connections are taken, and as mute. */
  hold(direction: Direction): void {
    this.#change(direction, "hold", 0, 0);
  }

  /** Swallows what is sent in this direction, and what was held. */
  drop(direction: Direction): void {
    this.#change(direction, "drop", 0, 0);
  }

  /** Delivers in order, each piece so much later; the jitter, from 0 to `jitterMs`, is added to that. */
  delay(direction: Direction, delayMs: number, jitterMs = 0): void {
    this.#change(direction, "pass", delayMs, jitterMs);
  }

  /** Resets every connection now, and returns how many there were. */
  cut(): number {
    const pairs = [...this.#pairs];
    for (const pair of pairs) pair.reset();
    return pairs.length;
  }

  /** Nobody listens any more: connecting fails at once. Connections that are there stay. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    await closeListener(listener);
  }

  /** Listens again, on the same port. */
  async accept(): Promise<void> {
    if (this.#stopped || this.#listener !== undefined) return;
    const giveUpAt = systemEnv.clock.now() + PORT_BACK_MS_MAX;
    for (;;) {
      const listener = await tryListen(this.port);
      if (listener !== undefined) {
        this.#adopt(listener);
        return;
      }
      if (systemEnv.clock.now() > giveUpAt) throw new Error(`port ${this.port} is taken`);
      await systemEnv.clock.sleep(PORT_AGAIN_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const refused = this.refuse();
    this.cut();
    await refused;
    releasePort(this.port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #adopt(listener: Server): void {
    this.#listener = listener;
    listener.unref();
    listener.on("connection", (client) => this.#join(client));
  }

  #join(client: Socket): void {
    this.#accepted += 1;
    const server = connect({ ...this.#target, allowHalfOpen: true });
    const pair = new Pair(client, server, this.#ways, this.#fraction, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
  }

  #change(direction: Direction, mode: Way["mode"], delayMs: number, jitterMs: number): void {
    const way = this.#ways[direction];
    Object.assign(way, { mode, delayMs, jitterMs });
    for (const wire of way.wires) wire.follow();
  }
}

/** The two sockets of one connection; over when both are closed. */
class Pair {
  readonly #client: Socket;
  readonly #server: Socket;
  #open = 2;

  constructor(
    client: Socket,
    server: Socket,
    ways: Readonly<Record<Direction, Way>>,
    fraction: () => number,
    onOver: () => void,
  ) {
    this.#client = client;
    this.#server = server;
    const wires = [
      new Wire(client, server, ways.toServer, fraction, () => this.reset()),
      new Wire(server, client, ways.toClient, fraction, () => this.reset()),
    ];
    for (const socket of [client, server]) {
      socket.setNoDelay(true).unref();
      socket.once("close", () => {
        this.#open -= 1;
        if (this.#open > 0) return;
        for (const wire of wires) wire.over();
        onOver();
      });
    }
  }

  reset(): void {
    for (const socket of [this.#client, this.#server]) {
      // Without a connection there is nothing to reset.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

class Wire {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #way: Way;
  readonly #fraction: () => number;
  readonly #onHole: () => void;
  readonly #queue: Parcel[] = [];
  #timer: Timer | undefined;
  #lastDueAt = 0;
  #hasHole = false;
  #sourceLeft = false;

  constructor(source: Socket, sink: Socket, way: Way, fraction: () => number, onHole: () => void) {
    this.#source = source;
    this.#sink = sink;
    this.#way = way;
    this.#fraction = fraction;
    this.#onHole = onHole;
    way.wires.add(this);
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("end", () => this.#leave("end"));
    // Every error is followed by "close", which says that there was one.
    source.on("error", () => this.#leave("reset"));
    source.on("close", () => this.#leave("end"));
    sink.on("drain", () => source.resume());
  }

  get waitingBytes(): number {
    const bytes = this.#queue.map(({ content }) => (typeof content === "string" ? 0 : content.length));
    return bytes.reduce((sum, length) => sum + length, 0);
  }

  /** The way has changed. */
  follow(): void {
    if (this.#hasHole && this.#way.mode !== "drop") this.#onHole();
    else this.#flush();
  }

  over(): void {
    this.#timer?.cancel();
    this.#queue.length = 0;
    this.#way.wires.delete(this);
  }

  #leave(how: "end" | "reset"): void {
    if (this.#sourceLeft) return;
    this.#sourceLeft = true;
    this.#take(how);
  }

  #take(content: Parcel["content"]): void {
    const { delayMs, jitterMs } = this.#way;
    // Drawn only where it counts, so that the other direction does not change what a seed gives.
    const jitter = jitterMs === 0 ? 0 : jitterMs * this.#fraction();
    this.#lastDueAt = Math.max(this.#lastDueAt, systemEnv.clock.now() + delayMs + jitter);
    this.#queue.push({ content, dueAt: this.#lastDueAt });
    this.#flush();
  }

  #flush(): void {
    this.#timer?.cancel();
    const { mode } = this.#way;
    if (mode === "hold") return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const waitMs = next.dueAt - systemEnv.clock.now();
      if (mode === "pass" && waitMs > 0) {
        this.#timer = systemEnv.timers.after(waitMs, () => this.#flush());
        return;
      }
      this.#queue.shift();
      if (mode === "drop" || this.#hasHole) this.#lose(next.content);
      else this.#deliver(next.content);
    }
  }

  #lose(content: Parcel["content"]): void {
    this.#hasHole = true;
    if (typeof content !== "string") this.#way.droppedBytes += content.length;
  }

  #deliver(content: Parcel["content"]): void {
    if (this.#sink.destroyed) return;
    if (content === "end") this.#sink.end();
    else if (content === "reset") this.#sink.resetAndDestroy();
    else {
      this.#way.deliveredBytes += content.length;
      if (!this.#sink.write(content)) this.#source.pause();
    }
  }
}

async function tryListen(port: number): Promise<Server | undefined> {
  const server = createServer({ allowHalfOpen: true });
  const failed = once(server, "error").then(([error]) => error as NodeJS.ErrnoException);
  const listening = once(server, "listening").then(() => undefined);
  server.listen({ host: "127.0.0.1", port, exclusive: true });
  const error = await Promise.race([failed, listening.catch((cause: NodeJS.ErrnoException) => cause)]);
  if (error === undefined) return server;
  if (error.code === "EADDRINUSE") return undefined;
  throw error;
}

/** Resolves when the port is free; "close" would wait for the connections. */
async function closeListener(listener: Server): Promise<void> {
  const { port } = listener.address() as { port: number };
  listener.close();
  const giveUpAt = systemEnv.clock.now() + PORT_BACK_MS_MAX;
  for (;;) {
    const probe = connect({ host: "127.0.0.1", port });
    const refused = await once(probe, "connect").then(() => false, () => true);
    probe.destroy();
    if (refused) return;
    if (systemEnv.clock.now() > giveUpAt) throw new Error(`port ${port} is still listened on`);
    await systemEnv.clock.sleep(1);
  }
}
