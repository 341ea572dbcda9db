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
  /** True when the value may hold a secret: then an error tells its type and never its text. */
  readonly isSecret?: boolean;
}

type Shape = Readonly<Record<string, Field<unknown>>>;
type Values<S extends Shape> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never };

/** The options of `where` with defaults filled in; throws INVALID_OPTION for anything else. */
export function readOptions<S extends Shape>(where: string, received: unknown, shape: S): Values<S> {
  if (
    received !== undefined &&
    (typeof received !== "object" || received === null || Array.isArray(received))
  ) {
    throw new CoterieError("INVALID_OPTION", `${where}: options must be an object, got ${kindOf(received)}`);
  }
  // Starting from all defaults at once gives every result the same shape, which is what makes it cheap.
  const values: Record<string, unknown> = { ...fallbacksOf(shape) };
  if (received === undefined) return values as Values<S>;
  const given = received as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(shape, name)) {
      throw new CoterieError(
        "INVALID_OPTION",
        `${where}: unknown option ${quote(name)} (known: ${Object.keys(shape).join(", ")})`,
        { details: { option: name, known: Object.keys(shape) } },
      );
    }
  }
  for (const name in values) {
    const value = given[name];
    if (value === undefined) continue;
    const field = shape[name] as Field<unknown>;
    const needed = field.needed(value);
    if (needed !== undefined) {
      const got = field.isSecret === true ? kindOf(value) : quote(value);
      throw optionError(where, name, needed, got);
    }
    values[name] = value;
  }
  return values as Values<S>;
}

const fallbacks = new WeakMap<Shape, Readonly<Record<string, unknown>>>();

function fallbacksOf(shape: Shape): Readonly<Record<string, unknown>> {
  const known = fallbacks.get(shape);
  if (known !== undefined) return known;
  const made = Object.fromEntries(Object.entries(shape).map(([name, { fallback }]) => [name, fallback]));
  fallbacks.set(shape, made);
  return made;
}

/** A signal that may be left out. */
export function signalField(): Field<AbortSignal | undefined> {
  return valueField(undefined, "an AbortSignal", (value) => value instanceof AbortSignal);
}

/** A value that may hold a secret, a password in a URL for one. */
export function secretField<T>(fallback: T, needed: string, holds: (value: unknown) => boolean): Field<T> {
  return { ...valueField(fallback, needed, holds), isSecret: true };
}

/** The error for one option; `value` is quoted, so never call this with a secret. */
export function invalidOption(where: string, name: string, needed: string, value: unknown): CoterieError {
  return optionError(where, name, needed, quote(value));
}

function optionError(where: string, name: string, needed: string, got: string): CoterieError {
  return new CoterieError("INVALID_OPTION", `${where}: option ${name} must be ${needed}, got ${got}`, {
    details: { option: name, needed },
  });
}

/** What it is, for an error that must not show it. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
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
