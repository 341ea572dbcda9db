/** Waits with a bound, on the system's clock: the helper starts real servers, so its time is real. */
import { type CoterieError, systemEnv } from "../../index.ts";

/** The promise's outcome, or a rejection with `late()` once `ms` have passed. */
export async function within<T>(promise: Promise<T>, ms: number, late: () => CoterieError): Promise<T> {
  const settled = new AbortController();
  const tooLate = systemEnv.clock.sleep(ms, settled.signal).then(() => {
    throw late();
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    settled.abort();
  }
}

export interface UntilOptions {
  readonly limitMs: number;
  readonly everyMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks again and again; true as soon as the answer is true, false when `limitMs` have passed without. */
export async function until(
  holds: () => Promise<boolean>,
  { limitMs, everyMs, signal }: UntilOptions,
): Promise<boolean> {
  const deadline = systemEnv.clock.now() + limitMs;
  while (!(await holds())) {
    if (systemEnv.clock.now() >= deadline) return false;
    await systemEnv.clock.sleep(everyMs, signal);
  }
  return true;
}
