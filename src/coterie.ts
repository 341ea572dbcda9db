/**
 * The facade: opens what the options ask for, hands it out, and closes it in reverse order.
 * It holds no logic of its own.
 */
import { CoterieError, quote } from "./errors.ts";
import { type Locker, type LockerOptions, type LockerStatus, openLocker } from "./locks/index.ts";
import { invalidOption, readOptions, secretField, signalField, valueField } from "./options.ts";
import type { CloseOptions, InstanceInput } from "./redis/index.ts";
import type { HashRing } from "./ring/index.ts";
import { openShards, type Shards, type ShardsOptions, type ShardsStatus } from "./shards/index.ts";

export interface CoterieOptions {
  /** Prefix of every key, stream and channel that coterie itself uses: letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /** The Redis servers: URLs, long forms, or ioredis clients whose options are taken. At least one. */
  readonly instances: readonly InstanceInput[];
  /** How keys are spread; see `openShards`. */
  readonly shards?: Omit<ShardsOptions, "instances" | "signal" | "env"> | undefined;
  /**
   * Locks: `instances` are the ids of the lock group (default: all, if they are at most five; a group is
   * best of three or five), and the rest is as for `openLocker`. False: no locks, no connections for them.
   */
  readonly locks?: CoterieLocksOptions | false | undefined;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
}

export interface CoterieLocksOptions extends Omit<LockerOptions, "instances" | "name" | "signal" | "env"> {
  /** Ids of the instances that form the lock group. */
  readonly instances?: readonly string[] | undefined;
}

/** One JSON snapshot of everything; what dashboards and tests look at. */
export interface CoterieStatus {
  readonly name: string;
  readonly shards: ShardsStatus;
  /** Undefined with `locks: false`. */
  readonly locks: LockerStatus | undefined;
}

/** With more instances than these, the lock group must be named: asking all would be slow and no safer. */
const LOCK_GROUP_MAX = 5;

const NAME_NEEDED = "1 to 64 letters, digits, dots, underscores or hyphens";

const SHAPE = {
  name: valueField(
    undefined as never as string,
    NAME_NEEDED,
    (value) => typeof value === "string" && /^[\w.-]{1,64}$/.test(value),
  ),
  instances: secretField<readonly InstanceInput[]>([], "a list", Array.isArray),
  shards: valueField<CoterieOptions["shards"]>(
    undefined,
    "an object without instances, signal and env",
    isShards,
  ),
  locks: valueField<CoterieOptions["locks"]>(
    undefined,
    "false, or an object without name, signal and env",
    (value) => value === false || isWithout(value, ["name", "signal", "env"]),
  ),
  signal: signalField(),
};

/** What `openCoterie` gives out. */
export class Coterie {
  readonly name: string;
  readonly shards: Shards;

  readonly #locks: Locker | undefined;

  constructor(name: string, shards: Shards, locks: Locker | undefined) {
    this.name = name;
    this.shards = shards;
    this.#locks = locks;
  }

  /** Throws INVALID_ARGUMENT with `locks: false`. */
  get locks(): Locker {
    if (this.#locks !== undefined) return this.#locks;
    throw new CoterieError("INVALID_ARGUMENT", `coterie "${this.name}" was opened with locks: false`);
  }

  /** The shard map in force. */
  get ring(): HashRing {
    return this.shards.ring;
  }

  status(): CoterieStatus {
    return { name: this.name, shards: this.shards.status(), locks: this.#locks?.status() };
  }

  /**
   * Refuses new calls, releases the locks that are held, waits up to `graceMs` (default 1,000) for each of
   * locks and shards, and disconnects.
   */
  async close(options?: CloseOptions): Promise<void> {
    await this.#locks?.close(options);
    await this.shards.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Opens everything that the options ask for. Rejects as `openShards` and `openLocker` do. */
export async function openCoterie(options: CoterieOptions): Promise<Coterie> {
  const { name, instances, shards, locks, signal } = readOptions("openCoterie", options, SHAPE);
  if (name === undefined) throw invalidOption("openCoterie", "name", NAME_NEEDED, name);
  const opened = await openShards({ ...shards, instances, signal });
  if (locks === false) return new Coterie(name, opened, undefined);
  try {
    const ids = opened.status().instances.map(({ id }) => id);
    const group = lockGroup(instances, ids, locks?.instances);
    return new Coterie(name, opened, await openLocker({ ...locks, name, instances: group, signal }));
  } catch (error) {
    opened.destroy();
    throw error;
  }
}

/** The instances with these ids, or all where the choice is plain. */
function lockGroup(
  instances: readonly InstanceInput[],
  ids: readonly string[],
  chosen: readonly string[] | undefined,
): InstanceInput[] {
  if (chosen === undefined && ids.length > LOCK_GROUP_MAX) {
    const needed = `named when there are more than ${LOCK_GROUP_MAX} instances, or locks be false`;
    throw invalidOption("openCoterie", "locks.instances", needed, undefined);
  }
  return (chosen ?? ids).map((id) => {
    const at = ids.indexOf(id);
    if (at >= 0) return instances[at] as InstanceInput;
    const known = ids.map((one) => quote(one)).join(", ");
    throw invalidOption("openCoterie", "locks.instances", `ids of instances (${known})`, id);
  });
}

/** What `openShards` takes, without what the facade itself gives it. */
function isShards(value: unknown): boolean {
  return isWithout(value, ["instances", "signal", "env"]);
}

function isWithout(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !names.some((name) => name in value);
}
