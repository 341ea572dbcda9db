/**
 * From what the user names to the keys and counters of an op. A resource is any well-formed text; distinct
 * resources have distinct keys, and no resource can name a key of another kind.
 */
import { CoterieError, quote } from "../errors.ts";
import { arcOf } from "../ring/index.ts";

/** Fence counters on an instance; part of the wire protocol. */
export const COUNTER_COUNT = 1024;

const RESOURCES_MAX = 1000;
const RESOURCE_CHARS_MAX = 16_384;

/** What a key is for: each family has keys of its own. */
export type Family = "lock" | "rw" | "permit";

/** One or several resources, checked; a copy. */
export function readResources(where: string, received: unknown): readonly string[] {
  if (typeof received === "string") return [readResource(where, received)];
  if (!Array.isArray(received)) {
    throw invalid(where, `a resource is a text or a list of texts, got ${quote(received)}`);
  }
  if (received.length === 0) throw invalid(where, "at least one resource is needed, got none");
  if (received.length > RESOURCES_MAX) {
    throw invalid(where, `at most ${RESOURCES_MAX} resources, got ${received.length}`);
  }
  const resources = received.map((resource) => readResource(where, resource));
  const seen = new Set<string>();
  for (const resource of resources) {
    if (seen.has(resource)) throw invalid(where, `resource ${quote(resource)} is given twice`);
    seen.add(resource);
  }
  return resources;
}

export function readResource(where: string, received: unknown): string {
  if (typeof received !== "string") throw invalid(where, `a resource is a text, got ${quote(received)}`);
  if (received === "") throw invalid(where, "a resource must not be empty");
  if (received.length > RESOURCE_CHARS_MAX) {
    throw invalid(where, `a resource has at most ${RESOURCE_CHARS_MAX} characters, got ${received.length}`);
  }
  if (/\p{Surrogate}/u.test(received)) {
    throw invalid(where, `resource ${quote(received)} has half a surrogate pair, which no key can hold`);
  }
  return received;
}

/** What errors call it. */
export function describe(resources: readonly string[]): string {
  const [first = ""] = resources;
  return resources.length === 1 ? `lock ${quote(first)}` : `lock on ${resources.length} resources`;
}

/** The counter of a resource: CRC16 as Redis Cluster takes it (its hash tag, if it has one), mod 1,024. */
export function counterOf(resource: string): number {
  return arcOf(resource) % COUNTER_COUNT;
}

/** The counters of all resources, each once. */
export function countersOf(resources: readonly string[]): readonly number[] {
  if (resources.length === 1) return [counterOf(resources[0] as string)];
  return [...new Set(resources.map(counterOf))];
}

export function keyOf(name: string, family: Family, resource: string): string {
  return `${name}:${family}:${resource}`;
}

function invalid(where: string, why: string): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `${where}: ${why}`);
}
