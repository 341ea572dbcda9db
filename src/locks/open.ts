/** Opens the lock group and gives out the locker over it. */
import { type Env, systemEnv, WAIT_MS_MAX } from "../env/index.ts";
import { CoterieError, quote, throwIfAborted } from "../errors.ts";
import {
  invalidOption,
  numberField,
  oneOfField,
  readOptions,
  secretField,
  signalField,
  valueField,
} from "../options.ts";
import {
  createInstance,
  DEFAULT_INSTANCE_SETTINGS,
  type Instance,
  type InstanceInput,
  type InstanceSettings,
} from "../redis/index.ts";
import type { LockerSettings } from "./engine/engine.ts";
import { type GroupSettings, LockGroup, type MemberInstance } from "./group/index.ts";
import { Locker } from "./locker.ts";
import { LEASE_MS_MAX_DEFAULT, LEASE_MS_MIN, type LockerOptions } from "./options.ts";

const NAME_NEEDED = "1 to 64 letters, digits, dots, underscores or hyphens";

/** With fewer acquires at once the fastest quorum is worth more than what asking all of them costs. */
const SPARE_FROM = 8;

/** How far a token may be ahead of a server's clock: part of the protocol, and SKEW_US in `batch-n.lua`. */
const TOKEN_SKEW_MS_MAX = 600_000;

const SHAPE = {
  name: valueField("coterie", NAME_NEEDED, isName),
  instances: secretField<readonly InstanceInput[]>([], "a list", Array.isArray),
  leaseMsMax: numberField(LEASE_MS_MAX_DEFAULT, { min: LEASE_MS_MIN, max: 86_400_000 }),
  assumeNew: valueField<boolean | undefined>(undefined, "true or false", isBoolean),
  durable: valueField<readonly string[]>([], "a list of instance ids", isListOfText),
  deadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.deadlineMs, { min: 1, max: WAIT_MS_MAX }),
  connectDeadlineMs: numberField(DEFAULT_INSTANCE_SETTINGS.connectDeadlineMs, { min: 1, max: WAIT_MS_MAX }),
  healthMs: numberField(DEFAULT_INSTANCE_SETTINGS.healthMs, { min: 20, max: WAIT_MS_MAX }),
  reserveMs: numberField(10, { min: 1, max: 500 }),
  ticketMs: numberField(10_000, { min: 500, max: 600_000 }),
  splitMs: numberField(10, { min: 1, max: 1000 }),
  spareMs: numberField(2, { min: 0, max: 1000 }),
  bargeMaxMs: numberField(1000, { min: 0, max: 600_000 }),
  waitersMax: numberField(10_000, { min: 1, max: 1_000_000 }),
  keys: oneOfField(["encoded", "plain"], "encoded"),
  signal: signalField(),
  env: valueField<Env>(systemEnv, "an Env", (value) => typeof value === "object" && value !== null),
};

/**
 * Opens a locker over the group. Resolves when each instance is a member, or has said why it is not yet, so
 * one that is down does not stop the others. Rejects with CONFIG_MISMATCH or INSTANCE_REFUSED when a quorum
 * says so, and with UNREACHABLE when not a single one could be reached.
 */
export async function openLocker(options: LockerOptions): Promise<Locker> {
  const { signal, env, instances, ...settings } = readOptions("openLocker", options, SHAPE);
  throwIfAborted(signal, "openLocker");
  const { deadlineMs, connectDeadlineMs, healthMs, assumeNew, ...rest } = settings;
  const opened = createInstances(instances, { deadlineMs, connectDeadlineMs, healthMs }, env);
  const isProduction = process.env["NODE_ENV"] === "production";
  const own = { deadlineMs, spareFrom: SPARE_FROM, assumeNew: assumeNew ?? !isProduction };
  return openLockerOn(opened, { ...rest, ...own }, env, signal);
}

type InstanceTimes = Pick<InstanceSettings, "deadlineMs" | "connectDeadlineMs" | "healthMs">;

/** What a locker is told, checked and without what belongs to the process. */
export type OpenSettings = Omit<LockerSettings, "tokenSkewMaxMs"> & Omit<GroupSettings, "tokenSkewMaxMs">;

/** The same over instances that are there already; the locker closes them. */
export async function openLockerOn(
  instances: readonly MemberInstance[],
  settings: OpenSettings,
  env: Env,
  signal?: AbortSignal,
): Promise<Locker> {
  const complete = { ...settings, tokenSkewMaxMs: TOKEN_SKEW_MS_MAX };
  const group = new LockGroup(instances, complete, env);
  const locker = new Locker(group, complete, env);
  try {
    await group.open(signal);
    return locker;
  } catch (error) {
    locker.destroy();
    throw error;
  }
}

/** Checks what is given and opens no connection; on an error none is left. */
function createInstances(
  inputs: readonly InstanceInput[],
  settings: InstanceTimes,
  env: Env,
): readonly Instance[] {
  if (inputs.length === 0) {
    throw invalidOption("openLocker", "instances", "a list of at least one element", []);
  }
  const instances: Instance[] = [];
  try {
    for (const [at, input] of inputs.entries()) {
      const all = { ...DEFAULT_INSTANCE_SETTINGS, ...settings };
      const instance = createInstance(`openLocker: instances[${at}]`, input, all, env);
      instances.push(instance);
      if (instances.some((other) => other !== instance && other.id === instance.id)) {
        throw new CoterieError(
          "INVALID_OPTION",
          `openLocker: instances[${at}]: id ${quote(instance.id)} is given twice`,
          { details: { id: instance.id } },
        );
      }
    }
    return instances;
  } catch (error) {
    for (const instance of instances) instance.destroy();
    throw error;
  }
}

function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.-]{1,64}$/.test(value);
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isListOfText(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "");
}
