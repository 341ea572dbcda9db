/** An HTTP client that can leave before it is answered, as a browser does whose user goes away. */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

export interface Asking {
  /** Rejects when there is none, because the client left or the server hung up. */
  readonly answer: Promise<RawAnswer>;
  /** Closes the connection now. */
  leave(): void;
}

/** Asks the server, which listens already. */
export function ask(server: Server, method = "GET", path = "/"): Asking {
  const { port } = server.address() as AddressInfo;
  const asking = request({ host: "127.0.0.1", port, method, path, agent: false });
  const answer = answerTo(asking);
  // Who leaves does not look at the answer.
  answer.catch(() => undefined);
  asking.end();
  return { answer, leave: () => void asking.destroy() };
}

async function answerTo(asking: ClientRequest): Promise<RawAnswer> {
  const [incoming] = (await once(asking, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    text: Buffer.concat(chunks).toString(),
  };
}
