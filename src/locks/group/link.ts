/**
 * One connection to one instance, and the commands by which membership is looked at and changed. What was
 * learnt on a connection says nothing about the next one: another run of the server may answer there. So a
 * link is bound to the connection that it was made on and refuses to send on any other.
 */
import type { Clock } from "../../env/index.ts";
import { CoterieError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import type { Argument, Reply, Script } from "../../redis/index.ts";
import { BOOT, NOTE, READMIT, REGROUP, SOURCE, SWEEP } from "../scripts/index.ts";
import { type Facts, readFacts, refused } from "./facts.ts";
import type { MemberInstance } from "./instance.ts";

/** Who asks so rarely can wait a little, however impatient the locks' own commands are. */
const DEADLINE_MS_MIN = 200;
const SCAN_COUNT = 500;
/** What stands behind the prefix in the keys of locks. */
const LOCK_FAMILIES: ReadonlySet<string> = new Set(["lock", "rw", "permit", "readers", "readnums"]);

/** A look at the boot record, which is also an exchange of clocks. */
export interface Look {
  readonly record: string | null;
  readonly serverUs: number;
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** What came of a compare-and-set: `record` is what stands there now, either way. */
export interface Swap extends Look {
  readonly done: boolean;
}

export interface Source {
  readonly counters: ReadonlyMap<string, number>;
  readonly known: ReadonlyMap<string, string>;
}

export interface Readmission {
  /** The record to be written; undefined leaves it and only raises. */
  readonly next?: string;
  readonly counters: ReadonlyMap<string, number>;
  readonly known: ReadonlyMap<string, string>;
  /** Every counter is raised to this many microseconds ahead of the server's clock. */
  readonly aheadUs?: number;
}

export interface Regroup {
  readonly next: string;
  readonly newcomer: string;
  readonly mark: string;
  readonly leaving: string;
  readonly group: string;
}

/** The keys of membership on each instance. */
export interface GroupKeys {
  readonly boot: string;
  readonly counters: string;
  readonly known: string;
  readonly group: string;
  /** A pattern of all keys of the group. */
  readonly all: string;
  /** True for a key at which a lock may stand. */
  isLock(key: string): boolean;
}

export function groupKeys(name: string): GroupKeys {
  return {
    boot: `${name}:boot`,
    counters: `${name}:counters`,
    known: `${name}:known`,
    group: `${name}:group`,
    all: `${name}:*`,
    isLock: (key) => LOCK_FAMILIES.has(key.slice(name.length + 1).split(":", 1)[0] as string),
  };
}

export class Link {
  readonly connection: number;
  readonly #instance: MemberInstance;
  readonly #keys: GroupKeys;
  readonly #deadlineMs: number;
  readonly #clock: Clock;

  constructor(instance: MemberInstance, keys: GroupKeys, deadlineMs: number, clock: Clock) {
    this.connection = instance.connections;
    this.#instance = instance;
    this.#keys = keys;
    this.#deadlineMs = Math.max(DEADLINE_MS_MIN, deadlineMs);
    this.#clock = clock;
  }

  /** False for ever once the instance has another connection. */
  get isCurrent(): boolean {
    return this.#instance.connections === this.connection;
  }

  async facts(): Promise<Facts> {
    const { id } = this.#instance;
    const facts = readFacts(String(await this.#call("info", [])));
    if (facts === undefined) {
      throw refused(id, "unknown-server", "its INFO has no run_id or redis_version; is that a Redis?");
    }
    return facts;
  }

  async look(): Promise<Look> {
    const sentMs = this.#clock.now();
    const [record, time] = await Promise.all([
      this.#call("get", [this.#keys.boot]),
      this.#call("time", []),
    ]);
    const receivedMs = this.#clock.now();
    return { record: textOrNull(record), serverUs: microseconds(time), sentMs, receivedMs };
  }

  /** Only the exchange of clocks. */
  async time(): Promise<Look> {
    const sentMs = this.#clock.now();
    const time = await this.#call("time", []);
    return { record: null, serverUs: microseconds(time), sentMs, receivedMs: this.#clock.now() };
  }

  swap(expected: string | null, next: string): Promise<Swap> {
    return this.#swap(BOOT, [this.#keys.boot], [expected ?? "", next]);
  }

  /** Undefined when the record is not the one given. */
  async source(record: string): Promise<Source | undefined> {
    const { boot, counters, known } = this.#keys;
    const reply = await this.#run(SOURCE, [boot, counters, known], [record]);
    if (reply === null) return undefined;
    const [counted, knowing] = reply as readonly [readonly string[], readonly string[]];
    const raised = new Map<string, number>();
    for (const [field, value] of pairs(counted)) {
      const count = Number(value);
      invariant(Number.isSafeInteger(count) && count >= 0, "a counter is a safe integer", { field, value });
      raised.set(field, count);
    }
    return { counters: raised, known: new Map(pairs(knowing)) };
  }

  readmit(expected: string, { next, counters, known, aheadUs }: Readmission): Promise<Swap> {
    const args: Argument[] = [expected, next ?? "", aheadUs === undefined ? "" : String(aheadUs), known.size];
    for (const [id, value] of known) args.push(id, value);
    for (const [field, count] of counters) args.push(field, String(count));
    const { boot, counters: countersKey, known: knownKey } = this.#keys;
    return this.#swap(READMIT, [boot, countersKey, knownKey], args);
  }

  /**
   * Takes away every lock, as long as the record is this one. When a clock was set back, keys outlive their
   * leases by as much; where it is known that all leases are over, they only stand in the way.
   */
  async sweep(record: string): Promise<void> {
    let cursor = "0";
    do {
      const reply = await this.#call("scan", [cursor, "MATCH", this.#keys.all, "COUNT", SCAN_COUNT]);
      const [next, found] = reply as readonly [string, readonly string[]];
      cursor = next;
      const locks = found.filter((key) => this.#keys.isLock(key));
      if (locks.length === 0) continue;
      if ((await this.#run(SWEEP, [this.#keys.boot, ...locks], [record])) === 0) return;
    } while (cursor !== "0");
  }

  regroup(expected: string | null, { next, newcomer, mark, leaving, group }: Regroup): Promise<Swap> {
    const keys = [this.#keys.boot, this.#keys.known, this.#keys.group];
    return this.#swap(REGROUP, keys, [expected ?? "", next, newcomer, mark, leaving, group]);
  }

  /** What is known here of another instance, after noting `value` if nothing was. */
  async noteUnlessKnown(id: string, value: string): Promise<string> {
    const { known } = this.#keys;
    const [, noted] = await Promise.all([
      this.#call("hsetnx", [known, id, value]),
      this.#call("hget", [known, id]),
    ]);
    return String(noted);
  }

  /** What is known here of another instance. */
  async known(id: string): Promise<string | null> {
    return textOrNull(await this.#call("hget", [this.#keys.known, id]));
  }

  /** False when the record is not the one given: it may have been emptied, and the others with it. */
  async note(record: string, known: ReadonlyMap<string, string>): Promise<boolean> {
    const { boot, known: knownKey } = this.#keys;
    return (await this.#run(NOTE, [boot, knownKey], [record, ...[...known].flat()])) === 1;
  }

  /** For people, and for the error that another group gets. Whoever came first has described it. */
  async describe(group: string): Promise<void> {
    await this.#call("set", [this.#keys.group, group, "NX"]);
  }

  async description(): Promise<string | null> {
    return textOrNull(await this.#call("get", [this.#keys.group]));
  }

  /** True when the server's settings lose nothing that it acknowledged. */
  async isDurable(facts: Facts): Promise<boolean> {
    if (!facts.isAppending || facts.replicas > 0) return false;
    const needed = { appendonly: "yes", appendfsync: "always", "no-appendfsync-on-rewrite": "no" };
    const settings = await Promise.all(
      Object.entries(needed).map(async ([name, value]) => {
        const reply = (await this.#call("config", ["GET", name])) as readonly string[];
        return reply[1] === value;
      }),
    );
    return settings.every(Boolean);
  }

  async #swap(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Swap> {
    const sentMs = this.#clock.now();
    const reply = await this.#run(script, keys, args);
    const [done, record, serverUs] = reply as readonly [number, string | null, string];
    return { done: done === 1, record, serverUs: Number(serverUs), sentMs, receivedMs: this.#clock.now() };
  }

  async #call(name: string, args: readonly Argument[]): Promise<Reply> {
    this.#checkConnection();
    return this.#instance.call(name, args, { deadlineMs: this.#deadlineMs });
  }

  async #run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    this.#checkConnection();
    return this.#instance.run(script, keys, args, { deadlineMs: this.#deadlineMs });
  }

  #checkConnection(): void {
    if (this.isCurrent) return;
    const { id } = this.#instance;
    throw new CoterieError("UNREACHABLE", `instance "${id}" has another connection than before`, {
      details: { instance: id },
    });
  }
}

function* pairs(flat: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at + 1 < flat.length; at += 2) yield [flat[at] as string, flat[at + 1] as string];
}

function textOrNull(reply: Reply): string | null {
  return reply === null ? null : String(reply);
}

function microseconds(time: Reply): number {
  const [seconds, micros] = time as readonly [string, string];
  return Number(seconds) * 1_000_000 + Number(micros);
}
