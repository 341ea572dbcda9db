/**
 * Ports for servers that are killed and come back. Its one idea: they lie below the range from which
 * the kernel takes the ports of outgoing connections. In that range, a client that keeps connecting to
 * a dead server on this machine can be given the server's own port and be connected to itself, and the
 * server never gets its port back. A port is probed, never reserved: who starts a server on it must be
 * ready to take another one.
 */
import { createServer } from "node:net";

import { CoterieError, systemEnv } from "../../index.ts";

const FIRST_PORT = 20_000;
const PORTS = 10_000;
const ATTEMPTS_MAX = 200;

/** Given out by this process and not given back: a killed instance's port is not taken by its neighbour. */
const held = new Set<number>();

/** A port on which nothing listens now; it is held until `releasePort`. */
export async function holdFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = FIRST_PORT + systemEnv.random.below(PORTS);
    if (held.has(port)) continue;
    held.add(port);
    if (await isPortFree(port)) return port;
    held.delete(port);
  }
  throw new CoterieError(
    "START_FAILED",
    `no free port found from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1}`,
  );
}

export function releasePort(port: number): void {
  held.delete(port);
}

/** True when a server could listen on it now, on loopback. */
export function isPortFree(port: number): Promise<boolean> {
  return canListen("127.0.0.1", port);
}

export function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
