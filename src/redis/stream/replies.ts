/**
 * Reads the replies of our own commands straight from the connection. ioredis' decoder allocates
 * a Buffer and two closures for each reply; for a status, a number or a string none of that is needed
 * (bench/shards has the gain). Everything else goes to ioredis as before, frame by frame: error
 * replies, lists, the replies of commands that were sent through the client itself.
 *
 * A frame is one whole reply in RESP2. Its end is found without decoding it and without looking at any
 * byte twice, however it is cut into chunks, so ioredis' decoder is always between two replies. It must
 * never take a command from the queue whose reply it did not deliver.
 */
import type { Socket } from "node:net";

import { invariant } from "../../invariant.ts";
import { WireCommand } from "../wire.ts";

/** ioredis' queue of commands that wait for their replies; oldest first. */
export interface CommandQueue {
  peekFront(): { readonly command: unknown } | undefined;
  shift(): unknown;
}

type DataListener = (chunk: Buffer) => void;

const CR = 13;
const MINUS = 45;
const ZERO = 48;
const STATUS = 43; // +
const INTEGER = 58; // :
const STRING = 36; // $
const LIST = 42; // *
const NOTHING = Buffer.alloc(0);

/**
 * Puts itself between the socket and ioredis' decoder. The decoder must be between two replies, as it is
 * when the client says that it is ready. False, and nothing done, when the socket is not as expected.
 * `onBroken` hears of bytes that are not RESP2; nothing is read after them.
 */
export function readReplies(
  socket: Socket,
  queue: CommandQueue,
  onBroken: (error: unknown) => void,
): boolean {
  const listeners = socket.listeners("data");
  const [decoder] = listeners;
  if (decoder === undefined || listeners.length !== 1) return false;
  const reader = new ReplyReader(queue, decoder.bind(socket) as DataListener);
  socket.removeListener("data", decoder as DataListener);
  const read = (chunk: Buffer): void => {
    try {
      reader.read(chunk);
    } catch (error) {
      socket.removeListener("data", read);
      onBroken(error);
    }
  };
  socket.on("data", read);
  return true;
}

export class ReplyReader {
  readonly #queue: CommandQueue;
  readonly #decoder: DataListener;
  /** What has come of a frame whose end has not: the first `#heldBytes` of a buffer that doubles. */
  #held: Buffer = NOTHING;
  #heldBytes = 0;

  // The frame that is being looked at: offsets into `#pieces` joined, or into the chunk.
  /** How many more elements belong to the frame. */
  #elementsLeft = 1;
  /** Where the next element starts; beyond the end while a long string is on its way. */
  #next = 0;

  constructor(queue: CommandQueue, decoder: DataListener) {
    this.#queue = queue;
    this.#decoder = decoder;
  }

  read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#heldBytes > 0) {
      this.#hold(chunk);
      // Inside a long string: nothing to look at before its end has come.
      if (this.#heldBytes < this.#next) return;
      bytes = this.#held.subarray(0, this.#heldBytes);
    }
    let start = 0;
    while (start < bytes.length) {
      const end = this.#frameEnd(bytes);
      if (end === -1) break;
      this.#deliver(bytes, start, end);
      start = end;
    }
    this.#next -= start;
    if (start === 0 && bytes !== chunk) return;
    // Whoever got a part of the old buffer keeps it; what is left begins a new one.
    this.#held = NOTHING;
    this.#heldBytes = 0;
    if (start < bytes.length) this.#hold(bytes.subarray(start));
  }

  /** Adds to what is held, with room for the string that is on its way or for twice as much. */
  #hold(chunk: Buffer): void {
    const needed = this.#heldBytes + chunk.length;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#next, 2 * needed));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  /** Where the frame ends that starts at or before `#next`; -1 when its end has not come yet. */
  #frameEnd(bytes: Buffer): number {
    while (this.#elementsLeft > 0) {
      const lineEnd = findLineEnd(bytes, this.#next);
      if (lineEnd === -1) return -1;
      const type = bytes[this.#next];
      const afterLine = lineEnd + 2;
      if (!isReplyType(type)) invariant(false, "a RESP2 reply begins with one of + - : $ *", { type });
      if (type === LIST) {
        this.#elementsLeft += Math.max(0, readInteger(bytes, this.#next + 1, lineEnd));
      }
      this.#elementsLeft -= 1;
      const length = type === STRING ? readInteger(bytes, this.#next + 1, lineEnd) : -1;
      this.#next = length < 0 ? afterLine : afterLine + length + 2;
    }
    if (this.#next > bytes.length) return -1;
    this.#elementsLeft = 1;
    return this.#next;
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    const command = this.#queue.peekFront()?.command;
    const type = bytes[start];
    if (!(command instanceof WireCommand) || (type !== STATUS && type !== INTEGER && type !== STRING)) {
      this.#decoder(bytes.subarray(start, end));
      return;
    }
    this.#queue.shift();
    if (type === INTEGER) command.resolve(readInteger(bytes, start + 1, end - 2));
    else if (type === STATUS) command.resolve(readStatus(bytes, start, end, command.bytesWanted));
    else command.resolve(readString(bytes, start, end, command.bytesWanted));
  }
}

function isReplyType(type: number | undefined): boolean {
  return type === STATUS || type === INTEGER || type === STRING || type === LIST || type === MINUS;
}

/** The offset of the next `\r\n`, both of whose bytes are there; -1 when they are not. */
function findLineEnd(bytes: Buffer, from: number): number {
  for (let at = from; at + 1 < bytes.length; at += 1) {
    if (bytes[at] === CR) return at;
  }
  return -1;
}

function readInteger(bytes: Buffer, from: number, to: number): number {
  const negative = bytes[from] === MINUS;
  let value = 0;
  for (let at = negative ? from + 1 : from; at < to; at += 1) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) invariant(false, "a RESP integer is made of digits", { digit });
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

function readStatus(bytes: Buffer, start: number, end: number, bytesWanted: boolean): string | Buffer {
  // "+OK\r\n", nearly always.
  const isOk = end - start === 5 && bytes[start + 1] === 79 && bytes[start + 2] === 75;
  if (bytesWanted) return Buffer.from(bytes.subarray(start + 1, end - 2));
  return isOk ? "OK" : bytes.toString("utf8", start + 1, end - 2);
}

function readString(bytes: Buffer, start: number, end: number, bytesWanted: boolean): string | Buffer | null {
  if (bytes[start + 1] === MINUS) return null;
  const from = findLineEnd(bytes, start) + 2;
  // A copy: a slice would keep the whole chunk alive for as long as the caller keeps the value.
  if (bytesWanted) return Buffer.from(bytes.subarray(from, end - 2));
  return bytes.toString("utf8", from, end - 2);
}
