/**
 * How the options of all middleware are read, in the package's manner: an unknown or wrong one throws
 * INVALID_OPTION and quotes the option and the value; an explicit `undefined` means the default.
 */
import { inspect } from "node:util";

import { CoterieError } from "../src/index.ts";

/** The options as a plain record; throws for anything that is no object or has an unknown name. */
export function readRecord(
  where: string,
  received: unknown,
  known: readonly string[],
): Record<string, unknown> {
  if (typeof received !== "object" || received === null || Array.isArray(received)) {
    throw new CoterieError(
      "INVALID_OPTION",
      `${where}: options must be an object, got ${describe(received)}`,
    );
  }
  const unknown = Object.keys(received).find((name) => !known.includes(name));
  if (unknown === undefined) return received as Record<string, unknown>;
  throw new CoterieError(
    "INVALID_OPTION",
    `${where}: unknown option ${describe(unknown)} (known: ${known.join(", ")})`,
    { details: { option: unknown, known } },
  );
}

/** Throws INVALID_OPTION unless `holds`. */
export function requireOption(
  where: string,
  name: string,
  needed: string,
  value: unknown,
  holds: boolean,
): void {
  if (holds) return;
  throw new CoterieError(
    "INVALID_OPTION",
    `${where}: option ${name} must be ${needed}, got ${describe(value)}`,
    { details: { option: name, needed } },
  );
}

/** Short, on one line, and without running any code of the value's. */
export function describe(value: unknown): string {
  const text = inspect(value, { depth: 0, customInspect: false, breakLength: Infinity, maxStringLength: 80 });
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** An integer of at least `min`, or left out. */
export function isOptionalInteger(value: unknown, min: number): boolean {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= min);
}

/** A function, or left out. */
export function isOptionalFunction(value: unknown): boolean {
  return value === undefined || typeof value === "function";
}
