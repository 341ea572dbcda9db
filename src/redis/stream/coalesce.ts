/**
 * All writes of one event-loop turn leave in one socket write: the largest single gain on the way to
 * Redis (bench/shards). Text is joined as text, which is cheaper than a list of buffers. Order is kept:
 * nothing overtakes, unlike auto-pipelining. Where a connection's stream cannot be reached the caller
 * leaves it as it is, and only speed is lost.
 */
import type { Socket } from "node:net";

type Chunk = string | Uint8Array;

/** Joined text is sent before the turn ends once it is this long, so that a huge turn does not wait. */
const JOINED_CHARS_MAX = 1 << 20;

const joined = new WeakSet<Socket>();

/** Joins the writes of each turn on this socket from now on. Once per socket; a second call does nothing. */
export function coalesceWrites(socket: Socket): void {
  if (joined.has(socket)) return;
  joined.add(socket);
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const end = socket.end.bind(socket) as (...args: unknown[]) => Socket;
  const turn = new Turn(socket, write);
  socket.write = (...args: unknown[]): boolean => {
    if (args.length === 1) return turn.add(args[0] as Chunk);
    turn.flush();
    return write(...args);
  };
  socket.end = (...args: unknown[]): Socket => {
    turn.flush();
    return end(...args);
  };
}

/** What was written in this turn and is not on the socket yet. */
class Turn {
  readonly #socket: Socket;
  readonly #write: (chunk: Chunk) => boolean;
  readonly #flush = (): void => this.flush();
  /** Complete parts, in order, before `#text`; only used when text and bytes mix. */
  #parts: Chunk[] = [];
  #text = "";
  #scheduled = false;

  constructor(socket: Socket, write: (chunk: Chunk) => boolean) {
    this.#socket = socket;
    this.#write = write;
  }

  add(chunk: Chunk): boolean {
    if (typeof chunk === "string") {
      this.#text += chunk;
    } else {
      if (this.#text !== "") this.#parts.push(this.#text);
      this.#text = "";
      this.#parts.push(chunk);
    }
    if (this.#text.length > JOINED_CHARS_MAX) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
    return !this.#socket.writableNeedDrain;
  }

  flush(): void {
    this.#scheduled = false;
    const parts = this.#parts;
    const text = this.#text;
    if (parts.length === 0 && text === "") return;
    this.#parts = [];
    this.#text = "";
    // A socket that was destroyed meanwhile drops what it is given; its commands fail when it has closed.
    if (parts.length === 0) {
      this.#write(text);
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#write(part);
    if (text !== "") this.#write(text);
    this.#socket.uncork();
  }
}
