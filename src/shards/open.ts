/** Opens the instances, builds the ring over them, and gives out the shards. */
import { type Env, systemEnv, WAIT_MS_MAX } from "../env/index.ts";
import { CoterieError, quote } from "../errors.ts";
import { numberField, oneOfField, readOptions, secretField, signalField, valueField } from "../options.ts";
import {
  createInstance,
  DEFAULT_INSTANCE_SETTINGS,
  type Instance,
  type InstanceInput,
  type InstanceSettings,
} from "../redis/index.ts";
import { HashRing, SHARE_RATIO_MAX } from "../ring/index.ts";
import { createShards, type Shards, type ShardsPurpose } from "./shards.ts";

export interface ShardsOptions {
  /** The Redis servers: URLs, long forms, or ioredis clients whose options are taken. At least one. */
  readonly instances: readonly InstanceInput[];
  /**
   * `"store"` (default): a key lives on its owner and nowhere else; while that is down its calls fail.
   * `"cache"`: while an owner is down its keys are read and written on the next owner; when it comes
   * back it may still hold older values, so give cached keys an expiry.
   */
  readonly purpose?: ShardsPurpose | undefined;
  /** Milliseconds within which every command is answered, with an error if need be. Default 1,000. */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds that one attempt to connect may take, handshake included. Default 2,000. */
  readonly connectDeadlineMs?: number | undefined;
  /** Commands in flight per instance; more are refused with OVERLOADED. Default 100,000. */
  readonly inFlightMax?: number | undefined;
  /** Milliseconds between two health checks of an instance. Default 1,000. */
  readonly healthMs?: number | undefined;
  /** Largest share that one member may get, relative to its fair one. Default 1.05. */
  readonly shareRatioMax?: number | undefined;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
  /** Clock, timers and chance; the system's by default. For tests. */
  readonly env?: Env | undefined;
}

const SHAPE = {
  instances: secretField<readonly InstanceInput[]>([], "a list", Array.isArray),
  purpose: oneOfField(["store", "cache"], "store"),
  deadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.deadlineMs, { min: 1, max: WAIT_MS_MAX }),
  connectDeadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.connectDeadlineMs, { min: 1, max: WAIT_MS_MAX }),
  inFlightMax: numberField(DEFAULT_INSTANCE_SETTINGS.inFlightMax, { min: 1 }),
  healthMs: numberField(DEFAULT_INSTANCE_SETTINGS.healthMs, { min: 20, max: WAIT_MS_MAX }),
  shareRatioMax: numberField(SHARE_RATIO_MAX, { min: 1, integer: false }),
  signal: signalField(),
  env: valueField<Env>(systemEnv, "an Env", (value) => typeof value === "object" && value !== null),
};

/**
 * Opens shards over the instances. Resolves when each is connected or has failed its first attempt, so
 * one that is down does not stop the others; it is tried again for as long as the shards are open.
 * Rejects with UNREACHABLE when not a single one could be reached.
 */
export async function openShards(options: ShardsOptions): Promise<Shards> {
  const { signal, ...read } = readOptions("openShards", options, SHAPE);
  const instances = createInstances(read.instances, read, read.env);
  try {
    const { shareRatioMax } = read;
    const ring = new HashRing(instances.map(toMember), { shareRatioMax });
    await Promise.all(instances.map((instance) => instance.open(signal)));
    requireOne(instances);
    return createShards(ring, instances, read.purpose);
  } catch (error) {
    for (const instance of instances) instance.destroy();
    throw error;
  }
}

function createInstances(inputs: readonly InstanceInput[], settings: InstanceSettings, env: Env): Instance[] {
  if (inputs.length === 0) {
    throw new CoterieError(
      "INVALID_OPTION",
      "openShards: option instances must have at least one element, got none",
    );
  }
  const instances: Instance[] = [];
  const seen = new Set<string>();
  try {
    for (const [at, input] of inputs.entries()) {
      const instance = createInstance(`openShards: instances[${at}]`, input, settings, env);
      instances.push(instance);
      if (seen.has(instance.id)) {
        throw new CoterieError(
          "INVALID_OPTION",
          `openShards: instances[${at}]: id ${quote(instance.id)} is given twice`,
          { details: { id: instance.id } },
        );
      }
      seen.add(instance.id);
    }
    return instances;
  } catch (error) {
    for (const instance of instances) instance.destroy();
    throw error;
  }
}

function toMember({ id, weight, zone }: Instance): { id: string; weight: number; zone?: string } {
  return zone === undefined ? { id, weight } : { id, weight, zone };
}

function requireOne(instances: readonly Instance[]): void {
  if (instances.some((instance) => instance.state === "ready")) return;
  const reasons = instances.map((instance) => {
    const { id, lastError } = instance.status();
    return `${quote(id)}: ${lastError ?? "no answer"}`;
  });
  throw new CoterieError("UNREACHABLE", `openShards: no instance can be reached (${reasons.join("; ")})`, {
    details: { instances: instances.map((instance) => instance.status()) },
  });
}
