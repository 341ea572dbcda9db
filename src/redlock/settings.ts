/**
 * redlock's settings, its defaults, and what they mean here. Retries are no polling any more: together they
 * say how long a caller is ready to wait, and the locker wakes it when its turn comes.
 * Where redlock ignored a value that it could not use, this says so.
 */
import { CoterieError, quote } from "../errors.ts";
import type { LockerOptions } from "../locks/index.ts";
import { numberField, readOptions, valueField } from "../options.ts";

/** What redlock 5 takes, for all calls or for one. */
export interface Settings {
  /** Part of the duration that clocks may differ by. 1 % and 2 ms are always taken off; more can be. */
  readonly driftFactor: number;
  /** With `retryDelay`, how long to wait for a lock; -1 waits without bound, 0 tries once. */
  readonly retryCount: number;
  /** Milliseconds. */
  readonly retryDelay: number;
  /** Milliseconds. */
  readonly retryJitter: number;
  /** In `using`: a renewal starts no later than when this much of the lease is left, in milliseconds. */
  readonly automaticExtensionThreshold: number;
}

/** What `openLocker` takes and redlock has no word for. */
export type LockerSettings = Omit<LockerOptions, "instances" | "keys">;

export interface RedlockSettings extends Settings {
  /** For the locker underneath, from the constructor alone: `leaseMsMax`, `name`, `assumeNew`, ... */
  readonly locker: LockerSettings;
}

export const DEFAULT_SETTINGS: Settings = Object.freeze({
  driftFactor: 0.01,
  retryCount: 10,
  retryDelay: 200,
  retryJitter: 100,
  automaticExtensionThreshold: 500,
});

const SHAPE = {
  driftFactor: numberField(DEFAULT_SETTINGS.driftFactor, { min: 0, max: 0.5, integer: false }),
  retryCount: valueField<number>(
    DEFAULT_SETTINGS.retryCount,
    "an integer of at least 0, or -1 for no bound",
    (value) => value === Infinity || (Number.isInteger(value) && (value as number) >= -1),
  ),
  retryDelay: numberField(DEFAULT_SETTINGS.retryDelay, { min: 0, integer: false }),
  retryJitter: numberField(DEFAULT_SETTINGS.retryJitter, { min: 0, integer: false }),
  automaticExtensionThreshold: numberField(DEFAULT_SETTINGS.automaticExtensionThreshold, {
    min: 0,
    integer: false,
  }),
};

const CONSTRUCTOR_SHAPE = {
  ...SHAPE,
  locker: valueField<LockerSettings>(
    {},
    "an object with options of openLocker, without instances and keys",
    isLockerSettings,
  ),
};

const SCRIPTS = new Set(["acquireScript", "extendScript", "releaseScript"]);

/** The constructor's settings, with defaults filled in. */
export function readSettings(received: unknown): RedlockSettings {
  return readOptions("Redlock", received, CONSTRUCTOR_SHAPE);
}

/** One call's settings over those of the constructor. */
export function mergeSettings(where: string, base: Settings, received: unknown): Settings {
  if (received === undefined) return base;
  const { driftFactor, retryCount, retryDelay, retryJitter, automaticExtensionThreshold } = base;
  const own = { driftFactor, retryCount, retryDelay, retryJitter, automaticExtensionThreshold };
  const shape = Object.fromEntries(
    Object.entries(SHAPE).map(([name, field]) => [name, { ...field, fallback: own[name as keyof Settings] }]),
  );
  return readOptions(where, received, shape as unknown as typeof SHAPE);
}

/**
 * Scripts of the caller's own cannot run: the locker's do more than redlock's three, and leaving them out
 * without a word would be the worst answer.
 */
export function refuseScripts(scripts: unknown): void {
  if (scripts === undefined) return;
  if (typeof scripts !== "object" || scripts === null) {
    throw invalid("scripts", `must be an object, got ${quote(scripts)}`);
  }
  for (const [name, script] of Object.entries(scripts)) {
    if (!SCRIPTS.has(name)) throw invalid("scripts", `has an unknown script ${quote(name)}`);
    if (script === undefined) continue;
    throw invalid(
      `scripts.${name}`,
      `cannot be used, and redlock would have ignored it unless it is a function; got ${typeof script}: ` +
        "coterie runs scripts of its own",
    );
  }
}

/** How long all tries together may take, in milliseconds; Infinity without bound. */
export function waitBudgetMs({ retryCount, retryDelay, retryJitter }: Settings): number {
  if (retryCount === -1 || retryCount === Infinity) return Infinity;
  return retryCount * Math.max(1, retryDelay + retryJitter / 2);
}

/** The pause before the next try when too few instances answered; `fraction` is from 0 to 1. */
export function retryPauseMs({ retryDelay, retryJitter }: Settings, fraction: number): number {
  return Math.max(1, retryDelay + (fraction * 2 - 1) * retryJitter);
}

function invalid(option: string, problem: string): CoterieError {
  return new CoterieError("INVALID_OPTION", `Redlock: option ${option} ${problem}`, { details: { option } });
}

function isLockerSettings(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !("instances" in value) && !("keys" in value);
}
