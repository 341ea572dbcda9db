/**
 * The floor: a RESP client with nothing but an encoder, a decoder and a queue of callbacks. No deadline,
 * no reconnect, no error handling worth the name. Not for use; it shows what the wire itself costs.
 */
import { connect, type Socket } from "node:net";

/** Gets any reply as text; an error reply comes as its text too. */
export type Settle = (value: string | null) => void;

export class RawClient {
  readonly #socket: Socket;
  readonly #waiting: Settle[] = [];
  #head = 0;
  #text = "";
  #rest: Buffer | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => this.#read(chunk));
  }

  get(key: string): Promise<string | null> {
    return this.#send(`*2\r\n$3\r\nGET\r\n$${Buffer.byteLength(key)}\r\n${key}\r\n`);
  }

  set(key: string, value: string): Promise<string | null> {
    const keyPart = `$${Buffer.byteLength(key)}\r\n${key}`;
    return this.#send(`*3\r\n$3\r\nSET\r\n${keyPart}\r\n$${Buffer.byteLength(value)}\r\n${value}\r\n`);
  }

  /** The bytes of one command; they leave with all others of this turn. */
  send(wire: string, settle: Settle): void {
    if (this.#text === "") setImmediate(() => this.#flush());
    this.#text += wire;
    this.#waiting.push(settle);
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(wire: string): Promise<string | null> {
    return new Promise((resolve) => this.send(wire, resolve));
  }

  #flush(): void {
    const text = this.#text;
    this.#text = "";
    this.#socket.write(text);
  }

  #read(data: Buffer): void {
    const chunk = this.#rest === undefined ? data : Buffer.concat([this.#rest, data]);
    let at = 0;
    while (at < chunk.length) {
      const lineEnd = chunk.indexOf(13, at);
      if (lineEnd === -1 || lineEnd + 1 >= chunk.length) break;
      if (chunk[at] !== 36) {
        this.#settle(chunk.toString("latin1", at + 1, lineEnd));
        at = lineEnd + 2;
        continue;
      }
      const length = Number(chunk.toString("latin1", at + 1, lineEnd));
      const end = lineEnd + 2 + length;
      if (length < 0) {
        this.#settle(null);
        at = lineEnd + 2;
        continue;
      }
      if (end + 2 > chunk.length) break;
      this.#settle(chunk.toString("utf8", lineEnd + 2, end));
      at = end + 2;
    }
    this.#rest = at < chunk.length ? chunk.subarray(at) : undefined;
  }

  #settle(value: string | null): void {
    this.#waiting[this.#head]!(value);
    this.#head += 1;
    if (this.#head < 4096) return;
    this.#waiting.splice(0, this.#head);
    this.#head = 0;
  }
}
