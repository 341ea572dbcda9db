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

import { invariant } from "../invariant.ts";
import { WireCommand } from "./wire.ts";

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

/**
 * Puts itself between the socket and ioredis' decoder. The decoder must be between two replies, as it is
 * when the client says that it is ready. False, and nothing done, when the socket is not as expected.
 */
export function readReplies(socket: Socket, queue: CommandQueue): boolean {
  const listeners = socket.listeners("data");
  const [decoder] = listeners;
  if (decoder === undefined || listeners.length !== 1) return false;
  const reader = new ReplyReader(queue, decoder.bind(socket) as DataListener);
  socket.removeListener("data", decoder as DataListener);
  socket.on("data", (chunk: Buffer) => reader.read(chunk));
  return true;
}

export class ReplyReader {
  readonly #queue: CommandQueue;
  readonly #decoder: DataListener;
  /** Chunks of a frame whose end has not come yet. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;

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
    if (this.#piecesBytes > 0) {
      this.#pieces.push(chunk);
      this.#piecesBytes += chunk.length;
      // A long string: nothing to look at before its end has come.
      if (this.#piecesBytes < this.#next) return;
      bytes = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#piecesBytes = 0;
    }
    let start = 0;
    while (start < bytes.length) {
      const end = this.#frameEnd(bytes);
      if (end === -1) {
        this.#keep(bytes, start);
        return;
      }
      this.#deliver(bytes, start, end);
      start = end;
    }
    this.#next = 0;
  }

  /** Where the frame ends that starts at or before `#next`; -1 when its end has not come yet. */
  #frameEnd(bytes: Buffer): number {
    while (this.#elementsLeft > 0) {
      const lineEnd = findLineEnd(bytes, this.#next);
      if (lineEnd === -1) return -1;
      const type = bytes[this.#next];
      const afterLine = lineEnd + 2;
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

  #keep(bytes: Buffer, start: number): void {
    const rest = start === 0 ? bytes : bytes.subarray(start);
    this.#pieces = [rest];
    this.#piecesBytes = rest.length;
    this.#next -= start;
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
    invariant(digit >= 0 && digit <= 9, "a RESP integer is made of digits", { digit });
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
