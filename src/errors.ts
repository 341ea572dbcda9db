/**
 * The one error class of the package. Its `code` is API; its text is for people and may change.
 * A code is listed here, in `docs/errors.md`, and nowhere else; a tidy test compares the two.
 * Two copies of the package agree on what is a CoterieError through a brand in the global symbol
 * registry, so ask `CoterieError.is(error)` and never `instanceof`.
 */

/** Every code that a CoterieError can carry. */
export const ERROR_CODES = [
  "INVALID_OPTION",
  "INVALID_ARGUMENT",
  "INVARIANT",
  "ABORTED",
  "CLOSED",
  "UNREACHABLE",
  "CIRCUIT_OPEN",
  "OVERLOADED",
  "MAYBE_APPLIED",
  "NO_ANSWER",
  "LOADING",
  "READONLY",
  "OUT_OF_MEMORY",
  "REPLY_ERROR",
  "CROSS_SHARD",
  "PARTIAL",
  "LOCKED",
  "NO_QUORUM",
  "LOCK_LOST",
  "ABSTAINING",
  "CONFIG_MISMATCH",
  "INSTANCE_REFUSED",
  "COMPACTED",
  "SNAPSHOT_DAMAGED",
  "NO_REDIS",
  "START_FAILED",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What these say passes: the same call, made again later, may well succeed. Nothing was written. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "UNREACHABLE",
  "CIRCUIT_OPEN",
  "OVERLOADED",
  "NO_ANSWER",
  "LOADING",
  "READONLY",
  "OUT_OF_MEMORY",
  "LOCKED",
  "NO_QUORUM",
  "ABSTAINING",
]);

/** What these say stays: the same call fails again. It was refused before anything was sent. */
const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "INVALID_OPTION",
  "INVALID_ARGUMENT",
  "CROSS_SHARD",
  "CLOSED",
  "COMPACTED",
]);

export interface CoterieErrorOptions {
  /** Given where the code alone does not decide it: ABORTED, PARTIAL. */
  readonly retryable?: boolean;
  /** All the numbers and names that the message was made from. Never a password. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** What was caught and led to this error. */
  readonly cause?: unknown;
}

const BRAND: unique symbol = Symbol.for("coterie.error") as never;

export class CoterieError extends Error {
  readonly code: ErrorCode;
  /** True only when nothing was written and the same call may succeed later: making it again is safe. */
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: CoterieErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CoterieError";
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True for a CoterieError of this or any other copy of the package, with this code if one is given. */
  static is<C extends ErrorCode = ErrorCode>(
    error: unknown,
    code?: C,
  ): error is CoterieError & { readonly code: C } {
    if (typeof error !== "object" || error === null) return false;
    if ((error as { [BRAND]?: unknown })[BRAND] !== true) return false;
    return code === undefined || (error as CoterieError).code === code;
  }

  toJSON(): Record<string, unknown> {
    const { code, message, retryable, details } = this;
    return { code, message, retryable, details };
  }
}

/** True when the operation that failed with this certainly wrote nothing. */
export function wroteNothing(error: unknown): boolean {
  return CoterieError.is(error) && (error.retryable || REFUSED.has(error.code));
}

/** The value as it should stand in an error text: short, on one line, quoted when it is a string. */
export function quote(value: unknown): string {
  if (typeof value === "function") return value.name === "" ? "a function" : `function ${value.name}`;
  if (typeof value === "number" || typeof value === "bigint" || value === undefined) return String(value);
  if (typeof value === "symbol") return value.toString();
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  let text: string;
  try {
    text = JSON.stringify(value) ?? typeof value;
  } catch (error) {
    text = `${typeof value} (${(error as Error).message.split("\n", 1)[0] ?? "not JSON"})`;
  }
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** Throws ABORTED, with the signal's reason as its cause, if the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw abortError(signal, what);
}

export function abortError(signal: AbortSignal, what: string): CoterieError {
  return new CoterieError("ABORTED", `${what} was aborted`, {
    retryable: true,
    cause: signal.reason,
  });
}
