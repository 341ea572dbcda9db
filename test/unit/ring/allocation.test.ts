/**
 * A lookup allocates nothing. A million of them that allocated one small object each would make the heap
 * grow by 12 MB or more, or make the collector run; both are looked at, on warm code.
 */
import { Buffer } from "node:buffer";
import { constants, PerformanceObserver } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";

import { expect, test } from "vitest";

import { HashRing } from "../../../src/ring/index.ts";

const LOOKUPS = 1_000_000;
const GROWTH_BYTES_MAX = 400_000;

/** Flat strings: a rope is flattened by whoever reads it first, which allocates. */
const texts = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`user:${i}:profile:xy`).toString("latin1"));
const tagged = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`{user:${i}}:cart`).toString("latin1"));
const wide = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`ключ:${i}:日本😀`).toString());
const bytes = texts.map((text) => Uint8Array.from(Buffer.from(text)));

interface Cost {
  readonly grownBytes: number;
  readonly collections: number;
}

/** What a million lookups cost the heap. Nothing else runs on this thread meanwhile. */
async function costOf<K>(keys: readonly K[], lookup: (key: K) => unknown): Promise<Cost> {
  run(keys, lookup, 100_000);
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = Reflect.get(entry, "detail") as { readonly kind: number };
      if (entry.startTime >= begin && kind === constants.NODE_PERFORMANCE_GC_MINOR) collections++;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  await turn();
  const begin = performance.now();
  const before = process.memoryUsage().heapUsed;
  run(keys, lookup, LOOKUPS);
  const grownBytes = process.memoryUsage().heapUsed - before;
  await turn();
  await turn();
  observer.disconnect();
  return { grownBytes, collections };
}

function run<K>(keys: readonly K[], lookup: (key: K) => unknown, count: number): void {
  for (let i = 0; i < count; i++) lookup(keys[i % keys.length] as K);
}

const layouts = ["arcs", "points", "ketama", "maglev", "jump"] as const;

test.each(layouts)("in layout %s no kind of key costs the heap anything", async (layout) => {
  const ring = new HashRing(["a", "b", "c", "d", "e"], { layout });
  const owner = (key: string | Uint8Array) => ring.owner(key);
  const index = (key: string | Uint8Array) => ring.ownerIndex(key);
  for (const keys of [texts, tagged, wide, bytes]) {
    for (const lookup of [owner, index]) {
      const { grownBytes, collections } = await costOf<string | Uint8Array>(keys, lookup);

      expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
      expect(collections).toBe(0);
    }
  }
});

test("the measure sees one small object per lookup", async () => {
  const ring = new HashRing(["a", "b", "c"]);
  const kept: unknown[] = [0];
  const { grownBytes, collections } = await costOf(texts, (key) => {
    kept[0] = { index: ring.ownerIndex(key) };
  });

  expect(grownBytes > GROWTH_BYTES_MAX || collections > 0).toBe(true);
});
