/**
 * One command over keys of several shards: split by owner, sent to all at once, put together in the
 * order of the keys. Each shard runs its part atomically; the whole is not atomic, and when some parts
 * failed the error says for each key whether it certainly was not done, may have been, or was.
 */
import { CoterieError, wroteNothing } from "../errors.ts";
import { commandSpec } from "../redis/index.ts";
import type { Key } from "./key-commands.ts";

/** The keys of one owner, and where each stood in the caller's list. */
export interface Part {
  readonly owner: number;
  readonly keys: Key[];
  readonly positions: number[];
}

/** Groups the keys by owner; parts are in order of their first key. */
export function split(keys: readonly Key[], ownerOf: (key: Key) => number): Part[] {
  const parts = new Map<number, Part>();
  for (const [position, key] of keys.entries()) {
    const owner = ownerOf(key);
    let part = parts.get(owner);
    if (part === undefined) {
      part = { owner, keys: [], positions: [] };
      parts.set(owner, part);
    }
    part.keys.push(key);
    part.positions.push(position);
  }
  return [...parts.values()];
}

/** Sends every part, and waits for all of them: a failed shard never hides what the others did. */
export async function gather<T>(
  command: string,
  parts: readonly Part[],
  send: (part: Part) => Promise<T>,
): Promise<T[]> {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return [await send(only)];
  const settled = await Promise.allSettled(parts.map((part) => send(part)));
  const values: T[] = [];
  for (const outcome of settled) {
    if (outcome.status === "fulfilled") values.push(outcome.value);
  }
  if (values.length === parts.length) return values;
  throw partialFailure(command, parts, settled);
}

/** Puts each part's list of results back to the positions of its keys. */
export function merge<T>(parts: readonly Part[], results: readonly (readonly T[])[], count: number): T[] {
  const merged = Array.from<T>({ length: count });
  for (const [at, part] of parts.entries()) {
    for (const [nth, position] of part.positions.entries()) merged[position] = results[at]?.[nth] as T;
  }
  return merged;
}

function partialFailure(
  command: string,
  parts: readonly Part[],
  settled: readonly PromiseSettledResult<unknown>[],
): CoterieError {
  const done: Key[] = [];
  const notDone: Key[] = [];
  const unknown: Key[] = [];
  const errors: unknown[] = [];
  for (const [at, outcome] of settled.entries()) {
    const keys = parts[at]?.keys ?? [];
    if (outcome.status === "fulfilled") {
      done.push(...keys);
      continue;
    }
    errors.push(outcome.reason);
    (wroteNothing(outcome.reason) ? notDone : unknown).push(...keys);
  }
  // Nothing was sent anywhere: the caller's mistake, said once.
  const mistake = errors.find((error) => CoterieError.is(error) && !error.retryable);
  if (done.length + unknown.length === 0 && CoterieError.is(mistake)) return mistake;
  const harmless = done.length === 0 || commandSpec(command).readOnly;
  const message =
    `${command} over ${parts.length} shards: ${errors.length} failed ` +
    `(${done.length} keys done, ${notDone.length} certainly not, ${unknown.length} unknown)`;
  return new CoterieError("PARTIAL", message, {
    retryable: harmless && errors.every((error) => CoterieError.is(error) && error.retryable),
    details: { command, done, notDone, unknown },
    cause: new AggregateError(errors, errors.map(String).join("; ")),
  });
}
