/**
 * The locker behind the caller's clients: opened by the first call, shared by every Redlock on the same
 * clients with the same settings (redlock costs nothing to construct, so people construct it per request),
 * and closed with the clients. Its connections are its own and must never outlive the caller's: a process
 * that closed its clients to end must end.
 */
import { CoterieError } from "../errors.ts";
import { type Locker, openLocker } from "../locks/index.ts";
import { type Client, type GivenClients, haveEnded } from "./clients.ts";
import type { LockerSettings } from "./settings.ts";

/** Not `coterie`: a group of `openLocker` with other settings on the same servers is another group. */
const NAME = "coterie-redlock";

export class Connection {
  readonly given: GivenClients;
  readonly settings: LockerSettings;
  /** What the locker's own keys begin with, before a colon. */
  readonly name: string;
  #opening: Promise<Locker> | undefined;

  constructor(given: GivenClients, settings: LockerSettings) {
    this.given = given;
    this.settings = settings;
    this.name = settings.name ?? NAME;
    for (const client of given.byId.values()) client.on("end", () => this.#closeWithClients());
  }

  /** Rejects as `openLocker` does, and with CLOSED while every client is closed. The next call tries anew. */
  locker(): Promise<Locker> {
    if (haveEnded(this.given.byId.values())) return Promise.reject(closedError());
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Cuts our connections. Locks that are held stay in Redis until their leases end, as with redlock. */
  async destroy(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await opening?.then(
      (locker) => locker.destroy(),
      // It was never open, and whoever asked for it was told why.
      () => undefined,
    );
  }

  async #open(): Promise<Locker> {
    try {
      return await openLocker({
        ...this.settings,
        name: this.name,
        instances: this.given.instances,
        keys: "plain",
        // Redlock asks all, and tells how each has voted.
        spareMs: 0,
      });
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  #closeWithClients(): void {
    if (haveEnded(this.given.byId.values())) void this.destroy();
  }
}

/** By the first of its clients. */
const connections = new WeakMap<Client, Connection[]>();

/** The one connection for these clients and settings. */
export function connectionFor(given: GivenClients, settings: LockerSettings): Connection {
  const clients = [...given.byId.values()];
  const [first] = clients as [Client];
  const shared = connections.get(first) ?? [];
  connections.set(first, shared);
  const found = shared.find((one) => isSame(one, clients, settings));
  if (found !== undefined) return found;
  const made = new Connection(given, settings);
  shared.push(made);
  return made;
}

function isSame(one: Connection, clients: readonly Client[], settings: LockerSettings): boolean {
  const own = [...one.given.byId.values()];
  if (own.length !== clients.length || own.some((client, at) => client !== clients[at])) return false;
  const names = Object.keys({ ...settings, ...one.settings }) as (keyof LockerSettings)[];
  return names.every((name) => isAlike(settings[name], one.settings[name]));
}

/** Lists of ids by their content, everything else by identity. */
function isAlike(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.length === right.length && left.every((value, at) => value === right[at]);
}

function closedError(): CoterieError {
  return new CoterieError("CLOSED", "Redlock: all the clients that it was given are closed");
}
