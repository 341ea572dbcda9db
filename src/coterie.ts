/**
 * The facade: opens what the options ask for, hands it out, and closes it in reverse order.
 * It holds no logic of its own.
 */
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
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
}

/** One JSON snapshot of everything; what dashboards and tests look at. */
export interface CoterieStatus {
  readonly name: string;
  readonly shards: ShardsStatus;
}

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
  signal: signalField(),
};

/** What `openCoterie` gives out. */
export class Coterie {
  readonly name: string;
  readonly shards: Shards;

  constructor(name: string, shards: Shards) {
    this.name = name;
    this.shards = shards;
  }

  /** The shard map in force. */
  get ring(): HashRing {
    return this.shards.ring;
  }

  status(): CoterieStatus {
    return { name: this.name, shards: this.shards.status() };
  }

  /** Refuses new calls, waits up to `graceMs` (default 1,000) for those in flight, and disconnects. */
  close(options?: CloseOptions): Promise<void> {
    return this.shards.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Opens everything that the options ask for. Rejects as `openShards` does. */
export async function openCoterie(options: CoterieOptions): Promise<Coterie> {
  const { name, instances, shards, signal } = readOptions("openCoterie", options, SHAPE);
  if (name === undefined) throw invalidOption("openCoterie", "name", NAME_NEEDED, name);
  return new Coterie(name, await openShards({ ...shards, instances, signal }));
}

/** What `openShards` takes, without what the facade itself gives it. */
function isShards(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !["instances", "signal", "env"].some((name) => name in value);
}
