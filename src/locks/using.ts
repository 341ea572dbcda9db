/**
 * A body of work under a lock. What the body threw is what the caller gets, never a failure to release; and
 * a body that ended well under a lock that was lost did not end well.
 */
import { CoterieError, quote } from "../errors.ts";
import type { Lock } from "./lock.ts";
import type { AcquireOptions } from "./options.ts";

export type Body<T> = (lock: Lock) => Promise<T> | T;

/** Tells `(resource, body)` from `(resource, options, body)`. */
export function bodyOf<T>(
  second: AcquireOptions | Body<T>,
  third: Body<T> | undefined,
): { options: AcquireOptions | undefined; body: Body<T> } {
  const [options, body] = typeof second === "function" ? [undefined, second] : [second, third];
  if (typeof body === "function") return { options, body };
  throw new CoterieError("INVALID_ARGUMENT", `using: body must be a function, got ${quote(body)}`);
}

export async function runUnder<T>(lock: Lock, body: Body<T>): Promise<T> {
  try {
    const result = await body(lock);
    if (lock.lost) throw lock.lossError();
    return result;
  } finally {
    await lock.release();
  }
}
