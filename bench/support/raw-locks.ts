/**
 * The floor of the locks' benches: SET NX PX and an EVALSHA that deletes, on every instance, over bare
 * sockets, with the writes of a turn joined and the answer at a majority. Each command is encoded once for
 * all instances. No deadline, no lease arithmetic, no token, no retry: what the wire and Redis cost.
 */
import { createHash, randomBytes } from "node:crypto";

import { RawClient } from "./raw-resp.ts";

export const DELETE_OWN =
  'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0';
export const DELETE_OWN_SHA = createHash("sha1").update(DELETE_OWN).digest("hex");

/** True at the majority's last `wanted` reply of `count`, false as soon as too few can come. */
export function majority(
  count: number,
  wanted: unknown,
  ask: (settle: (reply: unknown) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    let missing = (count >> 1) + 1;
    let spare = count - missing;
    ask((reply) => {
      if (reply === wanted) missing -= 1;
      else spare -= 1;
      if (missing === 0) resolve(true);
      else if (spare < 0) resolve(false);
    });
  });
}

export class RawLocks {
  readonly #clients: readonly RawClient[];
  readonly #leaseMs: string;
  readonly #clientId = randomBytes(8).toString("hex");
  #count = 0;

  private constructor(clients: readonly RawClient[], leaseMs: number) {
    this.#clients = clients;
    this.#leaseMs = String(leaseMs);
  }

  static async open(ports: readonly number[], leaseMs: number): Promise<RawLocks> {
    const clients = ports.map((port) => new RawClient(port));
    const locks = new RawLocks(clients, leaseMs);
    const load = encode(["SCRIPT", "LOAD", DELETE_OWN]);
    const loaded = clients.map((client) => new Promise((resolve) => client.send(load, resolve)));
    const shas = await Promise.all(loaded);
    if (shas.some((sha) => sha !== DELETE_OWN_SHA)) throw new Error("the script was not loaded");
    return locks;
  }

  async acquire(resource: string): Promise<{ release(): Promise<boolean> }> {
    this.#count += 1;
    const value = `${this.#clientId}${this.#count.toString(16)}`;
    const wire = encode(["SET", resource, value, "NX", "PX", this.#leaseMs]);
    if (!(await this.#everywhere(wire, "OK"))) throw new Error(`${resource} is held by another`);
    const command = ["EVALSHA", DELETE_OWN_SHA, "1", resource, value];
    return { release: () => this.#everywhere(encode(command), "1") };
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #everywhere(wire: string, wanted: string): Promise<boolean> {
    return majority(this.#clients.length, wanted, (settle) => {
      for (const client of this.#clients) client.send(wire, settle);
    });
  }
}

function encode(parts: readonly string[]): string {
  let wire = `*${parts.length}\r\n`;
  for (const part of parts) wire += `$${Buffer.byteLength(part)}\r\n${part}\r\n`;
  return wire;
}
