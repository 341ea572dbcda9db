/**
 * Assertions for programmer errors, on in production. A failed one stops what runs rather than let
 * a wrong state spread. Bad input from outside is never an invariant: it gets its own error code.
 */
import { CoterieError } from "./errors.ts";

/**
 * Throws INVARIANT unless `condition` holds. `sentence` states what is true when all is well;
 * `details` carries the numbers, and is only looked at on failure.
 */
export function invariant(
  condition: boolean,
  sentence: string,
  details?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (condition) return;
  throw new CoterieError(
    "INVARIANT",
    `broken invariant: ${sentence}`,
    details === undefined ? {} : { details },
  );
}
