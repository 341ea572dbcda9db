/**
 * The form of a snapshot: frames of a length and so many bytes, of which the first names what is in it.
 * Frames are small, whatever the state's size, so both sides hold one of them and one chunk at a time;
 * chunks are pieces of that stream of any size.
 */
import { CoterieError } from "../../errors.ts";
import { Reader } from "../codec/reader.ts";
import { Writer } from "../codec/writer.ts";

/** What is in a frame, in the order in which they come. On disks: numbers are never used again. */
export const SECTION = {
  header: 1, leases: 2, records: 3, sessions: 4, answers: 5, events: 6, end: 7,
} as const;

/** What an event begins with. The value of `putAsHeld` is that of the key's record. */
export const EVENT = { put: 1, delete: 2, putAsHeld: 3 } as const;

export const SNAPSHOT_VERSION = 1;

/** A frame ends after the item with which it reaches this. */
const FRAME_BYTES = 32_768;
const LENGTH_BYTES = 4;

/** Frames on one side, chunks on the other. */
export class FrameWriter {
  readonly out: Writer = new Writer(2 * FRAME_BYTES);
  readonly #chunkBytes: number;
  #section = 0;
  #startedAt = -1;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** What is written to `out` next is an item of the section. */
  item(section: number): void {
    const isOpen = this.#startedAt >= 0;
    const isFull = isOpen && this.out.length - this.#startedAt >= FRAME_BYTES;
    if (isOpen && !isFull && section === this.#section) return;
    this.#close();
    this.#section = section;
    this.#startedAt = this.out.length;
    this.out.word(0);
    this.out.byte(section);
  }

  /** The full chunks that are ready: of frames that are, so that their size changes no byte. */
  *chunks(): Generator<Uint8Array> {
    const ready = this.#startedAt < 0 ? this.out.length : this.#startedAt;
    if (ready >= this.#chunkBytes) yield* this.#take(ready - (ready % this.#chunkBytes));
  }

  /** The rest. */
  *end(): Generator<Uint8Array> {
    this.#close();
    yield* this.#take(this.out.length);
  }

  *#take(end: number): Generator<Uint8Array> {
    for (let at = 0; at < end; at += this.#chunkBytes) {
      yield this.out.copyOf(at, Math.min(at + this.#chunkBytes, end));
    }
    this.out.dropBefore(end);
    if (this.#startedAt >= 0) this.#startedAt -= end;
  }

  #close(): void {
    if (this.#startedAt < 0) return;
    this.out.setWord(this.#startedAt, this.out.length - this.#startedAt - LENGTH_BYTES);
    this.#startedAt = -1;
  }
}

/** Chunks on one side, frames on the other; throws SNAPSHOT_DAMAGED. */
export class FrameReader {
  readonly #chunks: Iterator<unknown>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes of the stream before the chunk. */
  #before = 0;

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  get position(): number {
    return this.#before + this.#at;
  }

  /** The next frame, or undefined where the stream ends between two. */
  next(): Reader | undefined {
    if (!this.#hasMore()) return undefined;
    const length = new Reader(this.#take(LENGTH_BYTES)).word() >>> 0;
    if (length === 0) throw damaged("a frame is empty", this.position);
    return new Reader(this.#take(length));
  }

  #hasMore(): boolean {
    while (this.#at === this.#chunk.length) {
      const { done, value } = this.#chunks.next();
      if (done === true) return false;
      if (!(value instanceof Uint8Array)) throw damaged("a chunk is no Uint8Array", this.position);
      this.#before += this.#chunk.length;
      this.#chunk = value;
      this.#at = 0;
    }
    return true;
  }

  /** A view where the bytes are in one chunk, otherwise a copy. Never reserves what is only claimed. */
  #take(length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      if (!this.#hasMore()) throw damaged(`it ends ${missing} bytes early`, this.position);
      const part = this.#chunk.subarray(this.#at, this.#at + missing);
      this.#at += part.length;
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : joined(parts, length);
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function damaged(what: string, position: number): CoterieError {
  return new CoterieError("SNAPSHOT_DAMAGED", `the snapshot is damaged: ${what}, near byte ${position}`, {
    details: { position },
  });
}
