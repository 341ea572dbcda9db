/**
 * The data of one simulated Redis: keys, typed values, expiry by the server's own wall clock. Expired keys
 * are gone when they are looked at, as with Redis; `expireAll` is what its background job does.
 * All strings are bytes, one a character.
 */
import { ErrorReply } from "../lua/engine.ts";
import { SortedSet } from "./sorted-set.ts";

export type Value = string | Map<string, string> | SortedSet | string[];

export interface Entry {
  readonly value: Value;
  /** Wall time in milliseconds; undefined for ever. */
  expiresAt: number | undefined;
  /** Grows with each key made: the cursor of SCAN. */
  readonly order: number;
}

/** A command that cannot go on: it answers with this. */
export class RedisFailure extends Error {
  readonly reply: ErrorReply;

  constructor(text: string) {
    super(text);
    this.reply = new ErrorReply(text);
  }
}

export class Keyspace {
  #entries = new Map<string, Entry>();
  #made = 0;
  readonly wallMs: () => number;

  constructor(wallMs: () => number) {
    this.wallMs = wallMs;
  }

  entry(key: string): Entry | undefined {
    const found = this.#entries.get(key);
    if (found?.expiresAt === undefined || this.wallMs() <= found.expiresAt) return found;
    this.#entries.delete(key);
    return undefined;
  }

  string(key: string): string | undefined {
    const value = this.entry(key)?.value;
    if (value === undefined || typeof value === "string") return value;
    throw wrongType();
  }

  hash(key: string): Map<string, string> | undefined {
    const value = this.entry(key)?.value;
    if (value === undefined || value instanceof Map) return value;
    throw wrongType();
  }

  sortedSet(key: string): SortedSet | undefined {
    const value = this.entry(key)?.value;
    if (value === undefined || value instanceof SortedSet) return value;
    throw wrongType();
  }

  list(key: string): string[] | undefined {
    const value = this.entry(key)?.value;
    if (value === undefined || Array.isArray(value)) return value;
    throw wrongType();
  }

  set(key: string, value: Value, expiresAt?: number): void {
    const order = this.#entries.get(key)?.order ?? (this.#made += 1);
    this.#entries.set(key, { value, expiresAt, order });
  }

  delete(key: string): boolean {
    return this.entry(key) !== undefined && this.#entries.delete(key);
  }

  /** Drops the key when its collection is empty, as Redis does. */
  dropIfEmpty(key: string): void {
    const value = this.#entries.get(key)?.value;
    const size = value instanceof Map || value instanceof SortedSet ? value.size : value?.length;
    if (typeof value !== "string" && size === 0) this.#entries.delete(key);
  }

  /** Live keys in the order of their making. */
  keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.entry(key) !== undefined);
  }

  /** Takes away whatever is expired now. */
  expireAll(): void {
    this.keys();
  }

  clear(): void {
    this.#entries.clear();
  }

  /** A copy of everything, to be put back with `restore`. */
  copy(): ReadonlyMap<string, Entry> {
    return new Map([...this.#entries].map(([key, entry]) => [key, { ...entry, value: copyOf(entry.value) }]));
  }

  restore(copy: ReadonlyMap<string, Entry>): void {
    this.#entries = new Map([...copy].map(([key, entry]) => [key, { ...entry, value: copyOf(entry.value) }]));
  }
}

function copyOf(value: Value): Value {
  if (typeof value === "string") return value;
  if (value instanceof Map) return new Map(value);
  return value instanceof SortedSet ? value.copy() : [...value];
}

function wrongType(): RedisFailure {
  return new RedisFailure("WRONGTYPE Operation against a key holding the wrong kind of value");
}
