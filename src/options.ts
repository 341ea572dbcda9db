/**
 * How every options object is read: one place that knows that an explicit `undefined` means the
 * default, that an unknown name is an error, and that an error quotes the option and what it was given.
 * A shape is a record of fields; `readOptions` returns all of them filled in. Nothing is coerced.
 */
import { CoterieError, quote } from "./errors.ts";

/** One option: its default, and a check that returns what was needed (for the error) or undefined. */
export interface Field<T> {
  readonly fallback: T;
  readonly needed: (value: unknown) => string | undefined;
}

type Shape = Readonly<Record<string, Field<unknown>>>;
type Values<S extends Shape> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** The options of `where` with defaults filled in; throws INVALID_OPTION for anything else. */
export function readOptions<S extends Shape>(where: string, received: unknown, shape: S): Values<S> {
  if (
    received !== undefined &&
    (typeof received !== "object" || received === null || Array.isArray(received))
  ) {
    throw new CoterieError("INVALID_OPTION", `${where}: options must be an object, got ${quote(received)}`);
  }
  const given = (received ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(shape, name)) {
      throw new CoterieError(
        "INVALID_OPTION",
        `${where}: unknown option ${quote(name)} (known: ${Object.keys(shape).join(", ")})`,
        { details: { option: name, known: Object.keys(shape) } },
      );
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(shape)) {
    const value = given[name];
    if (value === undefined) {
      values[name] = field.fallback;
      continue;
    }
    const needed = field.needed(value);
    if (needed !== undefined) throw invalidOption(where, name, needed, value);
    values[name] = value;
  }
  return values as Values<S>;
}

/** The error for one option; `value` is quoted, so never call this with a secret. */
export function invalidOption(where: string, name: string, needed: string, value: unknown): CoterieError {
  return new CoterieError(
    "INVALID_OPTION",
    `${where}: option ${name} must be ${needed}, got ${quote(value)}`,
    { details: { option: name, needed } },
  );
}

export interface NumberBounds {
  readonly min: number;
  readonly max?: number;
  /** Default true. */
  readonly integer?: boolean;
}

export function numberField(fallback: number, bounds: NumberBounds): Field<number> {
  return { fallback, needed: (value) => numberNeeded(value, bounds) };
}

/** A number that may be left out and then stays undefined. */
export function optionalNumberField(bounds: NumberBounds): Field<number | undefined> {
  return { fallback: undefined, needed: (value) => numberNeeded(value, bounds) };
}

export function booleanField(fallback: boolean): Field<boolean> {
  return { fallback, needed: (value) => (typeof value === "boolean" ? undefined : "true or false") };
}

export function oneOfField<const T extends string>(choices: readonly T[], fallback: NoInfer<T>): Field<T> {
  return {
    fallback,
    needed: (value) =>
      choices.includes(value as T)
        ? undefined
        : `one of ${choices.map((choice) => quote(choice)).join(", ")}`,
  };
}

/** Any value that passes `holds`; `needed` says in words what that is. */
export function valueField<T>(fallback: T, needed: string, holds: (value: unknown) => boolean): Field<T> {
  return { fallback, needed: (value) => (holds(value) ? undefined : needed) };
}

function numberNeeded(value: unknown, { min, max = Number.MAX_SAFE_INTEGER, integer = true }: NumberBounds) {
  const kind = integer ? "an integer" : "a number";
  const needed =
    max === Number.MAX_SAFE_INTEGER ? `${kind} of at least ${min}` : `${kind} from ${min} to ${max}`;
  if (typeof value !== "number" || !Number.isFinite(value)) return needed;
  if (integer && !Number.isInteger(value)) return needed;
  return value < min || value > max ? needed : undefined;
}
