/**
 * The redis.conf that an instance is started with: safe defaults, the caller's settings over them, and
 * over both what the helper itself depends on. A file, not arguments: passwords stay out of `ps`, and a
 * value such as `900 1` means what it means in any redis.conf.
 */
import { CoterieError } from "../../index.ts";

/** Directives of redis.conf; true and false become yes and no. */
export type RedisConfig = Readonly<Record<string, string | number | boolean>>;

/** Nothing on disk, nothing evicted. */
const DEFAULTS: RedisConfig = { save: "", appendonly: false, "maxmemory-policy": "noeviction" };

/** The helper could not find, stop or wait for a server that sets these otherwise. */
const OWN = new Set(["bind", "daemonize", "dir", "include", "logfile", "pidfile", "port", "supervised"]);

/** The text of the file. `own` are the helper's directives; `given` comes from `requireConfig`. */
export function renderConfig(given: RedisConfig, own: RedisConfig): string {
  const merged = { ...DEFAULTS, ...given, ...own };
  return Object.entries(merged)
    .map(([name, value]) => `${name} ${renderValue(value)}\n`)
    .join("");
}

/** Throws INVALID_OPTION unless every directive may be set and fits on its line. */
export function requireConfig(config: unknown): RedisConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw invalid("must be an object of redis.conf directives");
  }
  const given: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(config)) {
    const directive = name.toLowerCase();
    if (!/^[a-z][a-z0-9-]*$/.test(directive)) throw invalid(`has no directive ${JSON.stringify(name)}`);
    if (OWN.has(directive)) throw invalid(`cannot set ${directive}: startRedis sets it itself`);
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
      throw invalid(`needs a string, number or boolean for ${directive}`);
    }
    // Control characters could end the line and begin another directive. The value may be a password.
    if (/[\p{Cc}]/u.test(String(value))) throw invalid(`has a control character in ${directive}`);
    given[directive] = value;
  }
  return given;
}

/** A value that may hold spaces, such as a path. */
export function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

function renderValue(value: string | number | boolean): string {
  if (value === "") return '""';
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

function invalid(problem: string): CoterieError {
  return new CoterieError("INVALID_OPTION", `startRedis: option config ${problem}`, {
    details: { option: "config" },
  });
}
