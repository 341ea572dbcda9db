/** What every clock and all timers take for a wait: the same numbers, real or simulated. */
import { CoterieError } from "../errors.ts";

/** The longest wait that a timer keeps, in milliseconds: about 25 days. For more, Node fires at once. */
export const WAIT_MS_MAX: number = 2 ** 31 - 1;

/** The wait itself, if `method` can keep it; throws INVALID_ARGUMENT. Only "every" needs one above 0. */
export function requireWait(method: string, ms: number): number {
  const isEvery = method === "every";
  if (ms >= 0 && ms <= WAIT_MS_MAX && !(isEvery && ms === 0)) return ms;
  const least = isEvery ? "above 0" : "from 0";
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `${method}: a wait is ${least} to ${WAIT_MS_MAX} ms, got ${ms}`,
    { details: { ms } },
  );
}
