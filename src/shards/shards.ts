/**
 * Keys over several independent Redis instances. A key's owner is looked up in the ring, and its
 * commands go there: in `purpose: "store"` nowhere else, ever; in `purpose: "cache"` to the next owner
 * for as long as the first is away. Commands of one event-loop turn leave in one write per shard.
 */
import { CoterieError, quote, throwIfAborted } from "../errors.ts";
import { numberField, readOptions, signalField, valueField } from "../options.ts";
import {
  type Argument,
  type CallOptions,
  type CloseOptions,
  commandSpec,
  type CommandSpec,
  type Instance,
  type InstanceStatus,
  type Reply,
  type Script,
} from "../redis/index.ts";
import type { HashRing } from "../ring/index.ts";
import {
  type Key,
  KEY_COMMAND_NAMES,
  type KeyCommandName,
  type KeyCommands,
  type KeyOptions,
  prepare,
  type Prepared,
  type SetOptions,
} from "./key-commands.ts";
import { keysOf } from "./keys-of.ts";
import { createPipeline, type Pipeline } from "./pipeline.ts";
import { gather, merge, type Part, split } from "./scatter.ts";

export type ShardsPurpose = "store" | "cache";

export interface ScanOptions extends KeyOptions {
  /** Redis' glob pattern. Default: all keys. */
  readonly match?: string | undefined;
  /** How many keys a server looks at in one step. Default 250. */
  readonly count?: number | undefined;
  /** Only keys of this type, as TYPE names it. */
  readonly type?: string | undefined;
}

export interface ShardsStatus {
  readonly purpose: ShardsPurpose;
  readonly instances: readonly InstanceStatus[];
  /** Exact part of the key space that each instance owns; they sum to 1. */
  readonly shares: Readonly<Record<string, number>>;
  /** Calls that went to the next owner because the first was away (`purpose: "cache"`). */
  readonly rerouted: number;
}

const GET = commandSpec("get");
const SET = commandSpec("set");
const SCAN_SHAPE = {
  match: valueField<string | undefined>(undefined, "a pattern", isText),
  count: numberField(250, { min: 1 }),
  type: valueField<string | undefined>(undefined, "a type's name", isText),
  deadlineMs: valueField<number | undefined>(undefined, "a number", (value) => typeof value === "number"),
  signal: signalField(),
};

/** Several keys at once, and what concerns all shards. */
export interface ShardsCore {
  /** The shard map in force. */
  readonly ring: HashRing;
  readonly purpose: ShardsPurpose;
  /** The instance that owns the key. */
  for(key: Key): Instance;
  /** Any command whose first argument is its key. */
  call(name: string, key: Key, args?: readonly Argument[], options?: CallOptions): Promise<Reply>;
  mget(keys: readonly Key[], options?: KeyOptions): Promise<(string | null)[]>;
  /** Atomic per shard, not over shards. */
  mset(
    entries: Readonly<Record<string, Argument>> | Iterable<readonly [Key, Argument]>,
    options?: KeyOptions,
  ): Promise<"OK">;
  /** How many of the keys existed. */
  del(keys: Key | readonly Key[], options?: KeyOptions): Promise<number>;
  unlink(keys: Key | readonly Key[], options?: KeyOptions): Promise<number>;
  exists(keys: Key | readonly Key[], options?: KeyOptions): Promise<number>;
  /** Runs a script; all of its keys must have one owner (use a hash tag), else CROSS_SHARD. */
  eval(
    script: Script,
    keys: readonly Key[],
    args?: readonly Argument[],
    options?: CallOptions,
  ): Promise<Reply>;
  pipeline(): Pipeline;
  /** Every key of every shard, as SCAN gives them: one that is there throughout comes at least once. */
  scan(options?: ScanOptions): AsyncIterableIterator<string>;
  status(): ShardsStatus;
  /** Refuses new calls, waits up to `graceMs` (default 1,000) for those in flight, and disconnects. */
  close(options?: CloseOptions): Promise<void>;
  /** Disconnects now. */
  destroy(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Keys over several independent Redis instances; made by `openShards`. */
export type Shards = ShardsCore & KeyCommands;

class RoutedShards implements ShardsCore {
  readonly ring: HashRing;
  readonly purpose: ShardsPurpose;
  /** In the order of `ring.members`, so that a lookup compares no strings. */
  readonly #instances: readonly Instance[];
  #rerouted = 0;

  constructor(ring: HashRing, instances: readonly Instance[], purpose: ShardsPurpose) {
    this.ring = ring;
    this.purpose = purpose;
    const byId = new Map(instances.map((instance) => [instance.id, instance]));
    this.#instances = ring.members.map(({ id }) => byId.get(id) as Instance);
  }

  for(key: Key): Instance {
    return this.#instances[this.ring.ownerIndex(key)] as Instance;
  }

  /** `get` and `set` without options are the hottest, and written out; `command` does the same. */
  get(key: Key, options?: KeyOptions): Promise<string | null> {
    if (options !== undefined) return this.command("get", [key, options]) as Promise<string | null>;
    return this.#send(GET, key, [key], options) as Promise<string | null>;
  }

  set(key: Key, value: Argument, options?: SetOptions): Promise<"OK" | null> {
    if (options !== undefined) return this.command("set", [key, value, options]) as Promise<"OK" | null>;
    return this.#send(SET, key, [key, value], options) as Promise<"OK">;
  }

  /** Any command of one key, with its method's parameters. */
  command(name: KeyCommandName, received: readonly unknown[]): Promise<unknown> {
    try {
      return this.sendPrepared(prepare(name, received));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  call(name: string, key: Key, args: readonly Argument[] = [], options?: CallOptions): Promise<Reply> {
    try {
      const all = [key, ...args];
      const keys = keysOf(name, all);
      // A single key is the usual case, and needs no comparison.
      const target = keys.length === 1 ? this.#pick(key) : this.#pickOne(name.toUpperCase(), keys);
      return target.call(name, all, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  sendPrepared({ name, key, args, options, finish }: Prepared): Promise<unknown> {
    const reply = this.#send(commandSpec(name), key, args, options);
    return finish === undefined ? reply : reply.then(finish);
  }

  async mget(keys: readonly Key[], options?: KeyOptions): Promise<(string | null)[]> {
    const parts = this.#split("mget", keys);
    const results = await gather("MGET", parts, (part) => this.#sendPart("mget", part, part.keys, options));
    return merge(parts, results as (string | null)[][], keys.length);
  }

  async mset(
    entries: Readonly<Record<string, Argument>> | Iterable<readonly [Key, Argument]>,
    options?: KeyOptions,
  ): Promise<"OK"> {
    const pairs = toPairs(entries);
    const parts = this.#split(
      "mset",
      pairs.map(([key]) => key),
    );
    await gather("MSET", parts, (part) => {
      const args = part.positions.flatMap((position) => pairs[position] as readonly Argument[]);
      return this.#sendPart("mset", part, args, options);
    });
    return "OK";
  }

  del(keys: Key | readonly Key[], options?: KeyOptions): Promise<number> {
    return this.#count("del", keys, options);
  }

  unlink(keys: Key | readonly Key[], options?: KeyOptions): Promise<number> {
    return this.#count("unlink", keys, options);
  }

  exists(keys: Key | readonly Key[], options?: KeyOptions): Promise<number> {
    return this.#count("exists", keys, options);
  }

  async eval(
    script: Script,
    keys: readonly Key[],
    args: readonly Argument[] = [],
    options?: CallOptions,
  ): Promise<Reply> {
    if (!Array.isArray(keys)) throw noKeys("eval", keys);
    const target = this.#pickOne(`script ${quote(script.name)}`, keys as readonly Key[]);
    return target.run(script, keys, args, options);
  }

  pipeline(): Pipeline {
    return createPipeline(this);
  }

  async *scan(options: ScanOptions = {}): AsyncIterableIterator<string> {
    const { match, count, type, deadlineMs, signal } = readOptions("scan", options, SCAN_SHAPE);
    const filters: Argument[] = ["COUNT", count];
    if (match !== undefined) filters.push("MATCH", match);
    if (type !== undefined) filters.push("TYPE", type);
    for (const instance of this.#instances) {
      let cursor = "0";
      let { connections } = instance;
      do {
        throwIfAborted(signal, "scan");
        // A cursor means nothing to a server that has restarted: begin again rather than miss keys.
        if (instance.connections !== connections) cursor = "0";
        ({ connections } = instance);
        const reply = await instance.call("scan", [cursor, ...filters], { deadlineMs, signal });
        const [next, keys] = reply as [string, string[]];
        yield* keys;
        cursor = next;
      } while (cursor !== "0");
    }
  }

  status(): ShardsStatus {
    return {
      purpose: this.purpose,
      instances: this.#instances.map((instance) => instance.status()),
      shares: Object.fromEntries(this.ring.shares()),
      rerouted: this.#rerouted,
    };
  }

  async close(options?: CloseOptions): Promise<void> {
    const closed = this.#instances.map((instance) => instance.close(options));
    await Promise.all(closed);
  }

  destroy(): void {
    for (const instance of this.#instances) instance.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #send(
    spec: CommandSpec,
    key: Key,
    args: readonly Argument[],
    options: CallOptions | undefined,
  ): Promise<Reply> {
    try {
      return this.#pick(key).send(spec, args, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Where the key's commands go now. */
  #pick(key: Key): Instance {
    return this.#instances[this.#pickIndex(key)] as Instance;
  }

  /** The key's owner, unless this is a cache and the owner is away: then the next one that is not. */
  #pickIndex(key: Key): number {
    const owner = this.ring.ownerIndex(key);
    const count = this.#instances.length;
    if (this.purpose === "store" || this.#instances[owner]?.available === true) return owner;
    for (const id of this.ring.owners(key, count)) {
      const next = this.#instances.findIndex((instance) => instance.id === id);
      if (this.#instances[next]?.available !== true) continue;
      this.#rerouted += 1;
      return next;
    }
    return owner;
  }

  /** Where a command goes whose keys must all have one owner. */
  #pickOne(what: string, keys: readonly Key[]): Instance {
    const [first] = keys;
    if (first === undefined) throw noKeys(what, keys);
    const owners = [...new Set(keys.map((key) => this.ring.owner(key)))];
    if (owners.length === 1) return this.#pick(first);
    throw new CoterieError(
      "CROSS_SHARD",
      `${what}: its ${keys.length} keys have ${owners.length} owners (${owners.join(", ")}), ` +
        "one is needed; give them one {hash tag}",
      { details: { what, owners } },
    );
  }

  #split(command: string, keys: readonly Key[]): Part[] {
    if (!Array.isArray(keys) || keys.length === 0) throw noKeys(command, keys);
    return split(keys, (key) => this.#pickIndex(key));
  }

  #sendPart(
    name: string,
    part: Part,
    args: readonly Argument[],
    options: CallOptions | undefined,
  ): Promise<Reply> {
    return (this.#instances[part.owner] as Instance).send(commandSpec(name), args, options);
  }

  async #count(name: string, keys: Key | readonly Key[], options?: KeyOptions): Promise<number> {
    const list = typeof keys === "string" || keys instanceof Uint8Array ? [keys] : keys;
    const parts = this.#split(name, list);
    const counts = await gather(name.toUpperCase(), parts, (part) =>
      this.#sendPart(name, part, part.keys, options),
    );
    return (counts as number[]).reduce((sum, count) => sum + count, 0);
  }
}

for (const name of KEY_COMMAND_NAMES) {
  if (Object.hasOwn(RoutedShards.prototype, name)) continue;
  Object.defineProperty(RoutedShards.prototype, name, {
    value(this: RoutedShards, ...received: unknown[]): Promise<unknown> {
      return this.command(name, received);
    },
  });
}

export function createShards(ring: HashRing, instances: readonly Instance[], purpose: ShardsPurpose): Shards {
  return new RoutedShards(ring, instances, purpose) as unknown as Shards;
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function noKeys(command: string, keys: unknown): CoterieError {
  return new CoterieError(
    "INVALID_ARGUMENT",
    `${command}: needs a list of at least one key, got ${quote(keys)}`,
    { details: { command } },
  );
}

function toPairs(
  entries: Readonly<Record<string, Argument>> | Iterable<readonly [Key, Argument]>,
): (readonly [Key, Argument])[] {
  if (typeof entries !== "object" || entries === null) {
    throw new CoterieError("INVALID_ARGUMENT", `mset: needs a record or pairs, got ${quote(entries)}`);
  }
  return Symbol.iterator in entries ? [...entries] : Object.entries(entries);
}
