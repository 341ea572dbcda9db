/**
 * Lua scripts by their SHA-1. The source goes over the wire only when the server does not know it: the
 * first time, after a restart, after SCRIPT FLUSH. A server that answers NOSCRIPT ran nothing, so sending
 * the source then is safe. Scripts are constants; all data goes in KEYS and ARGV.
 */
import { createHash } from "node:crypto";

import { CoterieError, quote } from "../errors.ts";
import { commandSpec, type CommandSpec } from "./commands.ts";

export interface Script {
  /** For errors and counters. */
  readonly name: string;
  /** How many KEYS it takes; `undefined` means any number. */
  readonly keyCount: number | undefined;
  readonly source: string;
  /** SHA-1 of the source in hex: what EVALSHA takes. */
  readonly sha: string;
  /** True for a script that only reads (it is sent as EVALSHA_RO, from Redis 7 on). */
  readonly readOnly: boolean;
}

export interface ScriptDefinition {
  readonly name: string;
  readonly keyCount?: number | undefined;
  readonly source: string;
  readonly readOnly?: boolean | undefined;
}

export function defineScript({ name, keyCount, source, readOnly = false }: ScriptDefinition): Script {
  if (typeof source !== "string" || source === "") {
    throw new CoterieError("INVALID_ARGUMENT", `script ${quote(name)}: source must be a non-empty string`);
  }
  if (keyCount !== undefined && !(Number.isInteger(keyCount) && keyCount >= 0)) {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `script ${quote(name)}: keyCount must be a whole number of at least 0, got ${quote(keyCount)}`,
    );
  }
  return { name, keyCount, source, readOnly, sha: createHash("sha1").update(source).digest("hex") };
}

const EVALS = [commandSpec("evalsha"), commandSpec("eval")] as const;
const EVALS_READ_ONLY = [commandSpec("evalsha_ro"), commandSpec("eval_ro")] as const;

/** The commands that run it, by its SHA and by its source. */
export function evalsOf(script: Script): readonly [CommandSpec, CommandSpec] {
  return script.readOnly ? EVALS_READ_ONLY : EVALS;
}

/** Throws INVALID_ARGUMENT when the script takes another number of keys. */
export function checkKeyCount(script: Script, count: number): void {
  if (script.keyCount === undefined || script.keyCount === count) return;
  throw new CoterieError(
    "INVALID_ARGUMENT",
    `script ${quote(script.name)}: takes ${script.keyCount} keys, got ${count}`,
  );
}
