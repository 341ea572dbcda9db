/** What `guard` takes: the options, their defaults, and how they are checked. */
import { WAIT_MS_MAX } from "../../src/index.ts";
import { isOptionalInteger, readRecord, requireOption } from "../options.ts";

/** What is locked: one name, or several of which all are held or none. */
type Resource = string | readonly string[];

export interface GuardOptions<J> {
  /** What no two jobs may be at work on: a name, several names, or a function from the job to them. */
  readonly resource: Resource | ((job: J) => Resource);
  /**
   * Milliseconds after which others get the lock when this process dies; renewed while the processor runs.
   * Default the locker's own, 10,000.
   */
  readonly leaseMs?: number | undefined;
  /**
   * What to do while another holds the resource. `"wait"`, the default, waits up to `waitMs` for the
   * hand-over, and then delays; the job takes up one of its worker's places meanwhile. `"delay"` moves the
   * job to the delayed ones at once, `"fail"` fails it: one attempt is used up, and BullMQ's backoff counts.
   */
  readonly busy?: "wait" | "delay" | "fail" | undefined;
  /** Milliseconds for which `"wait"` waits. Default 10,000. */
  readonly waitMs?: number | undefined;
  /**
   * Milliseconds of the first delay; each further one is twice as long. By chance a delay is shortened by up
   * to half. Default 1,000.
   */
  readonly delayMs?: number | undefined;
  /** Milliseconds of the longest delay. Default 30,000. */
  readonly delayMsMax?: number | undefined;
  /** After this many delays of one attempt the job fails instead. Default 1,000. */
  readonly delaysMax?: number | undefined;
  /** Milliseconds for one command to a Redis of the locks. Default: the locker's own. */
  readonly deadlineMs?: number | undefined;
}

/** What the locker has defaults for stays undefined. */
type Passed = "leaseMs" | "deadlineMs";

export type GuardSettings<J> = Pick<GuardOptions<J>, Passed> & {
  readonly [K in Exclude<keyof GuardOptions<J>, Passed>]-?: NonNullable<GuardOptions<J>[K]>;
};

const DEFAULTS = {
  busy: "wait",
  waitMs: 10_000,
  delayMs: 1000,
  delayMsMax: 30_000,
  delaysMax: 1000,
} as const;
const OPTIONS: readonly (keyof GuardOptions<never>)[] = [
  "resource",
  "leaseMs",
  "busy",
  "waitMs",
  "delayMs",
  "delayMsMax",
  "delaysMax",
  "deadlineMs",
];
const LEASE_MS_MIN = 10;

export function readGuardOptions<J>(received: unknown): GuardSettings<J> {
  const given = readRecord("guard", received, OPTIONS);
  const require = (name: keyof GuardOptions<J>, needed: string, holds: boolean) =>
    requireOption("guard", name, needed, given[name], holds);
  const { resource, busy } = given;
  const isNames = Array.isArray(resource) ? resource.length > 0 && resource.every(isName) : isName(resource);
  require(
    "resource",
    "a name, a list of names, or a function from the job to them",
    typeof resource === "function" || isNames,
  );
  const words: readonly unknown[] = [undefined, "wait", "delay", "fail"];
  require("busy", '"wait", "delay" or "fail"', words.includes(busy));
  require(
    "leaseMs",
    `an integer of at least ${LEASE_MS_MIN}`,
    isOptionalInteger(given["leaseMs"], LEASE_MS_MIN),
  );
  require("delaysMax", "an integer of at least 0", isOptionalInteger(given["delaysMax"], 0));
  for (const name of ["waitMs", "delayMs", "delayMsMax", "deadlineMs"] as const) {
    const min = name === "waitMs" ? 0 : 1;
    const isWait = isOptionalInteger(given[name], min) && ((given[name] ?? min) as number) <= WAIT_MS_MAX;
    require(name, `an integer from ${min} to ${WAIT_MS_MAX}`, isWait);
  }
  const settings: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) settings[name] = value;
  return settings as unknown as GuardSettings<J>;
}

function isName(name: unknown): boolean {
  return typeof name === "string" && name !== "";
}
