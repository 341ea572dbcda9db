/** Awaiting a failure: the error itself, checked to be ours. */
import { CoterieError, type ErrorCode } from "../../src/errors.ts";

/** The error that the call rejects or throws with; fails when it succeeds or the code is another. */
export async function rejection(call: () => unknown, code: ErrorCode): Promise<CoterieError> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    if (!CoterieError.is(error)) throw error;
    if (error.code !== code)
      throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error });
    return error;
  }
  throw new Error(`expected ${code}, but the call gave ${JSON.stringify(value)}`);
}
