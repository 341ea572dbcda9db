/** A plain HTTP client with keep-alive connections; every request has a bound. */
import { Agent, type IncomingMessage, request } from "node:http";

import type { Answer } from "./tally.ts";

const SILENCE_MS_MAX = 5_000;

export class Client {
  readonly #agent: Agent;

  constructor(connectionsMax: number) {
    // In turns, so that no connection idles until the server closes it.
    this.#agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, scheduling: "fifo" });
  }

  /** Resolves with any answer, whatever its status; rejects when there is none. */
  ask(method: string, url: string, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers =
        body === undefined ? {} : { "content-type": "text/plain", "content-length": Buffer.byteLength(body) };
      const asking = request(
        url,
        { method, agent: this.#agent, timeout: SILENCE_MS_MAX, headers },
        (incoming) => {
          read(incoming).then(resolve, reject);
        },
      );
      asking.once("timeout", () => asking.destroy(new Error(`silent for ${SILENCE_MS_MAX} ms`)));
      asking.once("error", reject);
      asking.end(body);
    });
  }

  /** The JSON of an answer that has to be 2xx. */
  async json(url: string): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.ask("GET", url);
    if (status < 200 || status > 299) throw new Error(`GET ${url} was answered ${status}: ${body}`);
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function read(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    status: incoming.statusCode ?? 0,
    contentType: incoming.headers["content-type"] ?? "",
    retryAfter: incoming.headers["retry-after"] ?? "",
    body: Buffer.concat(chunks).toString(),
  };
}
