/** The tree of keys holds what a sorted list holds, however it grew and shrank. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { type Keyed, SortedSlots } from "../../../src/meta/state/sorted-slots.ts";

/** Enough for three levels, and for every kind of division and joining on the way up and down. */
const KEYS = Array.from({ length: 12_000 }, (_, at) => at.toString(36).padStart(3, "0"));

/** Phases of growing and shrinking, each with a share of all keys, in some order of keys. */
const phase: fc.Arbitrary<Phase> = fc.record({
  grows: fc.boolean(),
  // Of whole numbers all are as likely; of doubles most are next to nothing.
  percent: fc.integer({ min: 0, max: 100 }),
  order: fc.constantFrom("up" as const, "down" as const, "mixed" as const),
  seed: fc.nat(1_000_000),
});
const bound = fc.constantFrom(...KEYS);

interface Phase {
  readonly grows: boolean;
  readonly percent: number;
  readonly order: "up" | "down" | "mixed";
  readonly seed: number;
}

function inOrder(keys: readonly string[], order: "up" | "down" | "mixed", seed: number): string[] {
  if (order === "up") return [...keys];
  if (order === "down") return keys.toReversed();
  const rank = (key: string) => (Math.imul(Number.parseInt(key, 36) + 1, 2_654_435_761 + 2 * seed) >>> 0);
  return keys.toSorted((a, b) => rank(a) - rank(b));
}

/** When every page is filled to a quarter. */
function depthMax(count: number): number {
  return count <= 16 ? 1 : 1 + Math.ceil(Math.log(count / 16) / Math.log(16) + 1e-9);
}

/** Grows or shrinks both by some of the keys. */
function change(tree: SortedSlots<Keyed>, held: Set<string>, { grows, percent, order, seed }: Phase): void {
  const candidates = KEYS.filter((key) => held.has(key) !== grows);
  const count = Math.floor((percent * KEYS.length) / 100);
  for (const key of inOrder(candidates, order, seed).slice(0, count)) {
    if (grows) {
      tree.insert({ key });
      held.add(key);
    } else {
      tree.remove(key);
      held.delete(key);
    }
  }
}

const phases = fc.limitShrink(fc.array(phase, { minLength: 1, maxLength: 6 }), 20);

test("the tree holds what a sorted list holds, and is no deeper than it must be", () => {
  fc.assert(
    fc.property(phases, bound, bound, fc.nat(200), (all, from, to, limit) => {
      const tree = new SortedSlots<Keyed>();
      const held = new Set<string>();
      for (const each of all) {
        change(tree, held, each);

        const sorted = KEYS.filter((key) => held.has(key));
        const within = sorted.filter((key) => key >= from && key < to);
        const found = tree.slotsIn({ from, to }, limit);
        expect(Array.from(tree, ({ key }) => key).join()).toBe(sorted.join());
        expect(found.map(({ key }) => key)).toEqual(within.slice(0, limit));
        expect(tree.countIn({ from, to })).toBe(within.length);
        expect(tree.countIn({ from: to, to: undefined })).toBe(sorted.filter((key) => key >= to).length);
        expect(tree.depth).toBeLessThanOrEqual(depthMax(sorted.length));
      }
    }),
    { numRuns: 25 },
  );
});

test("a key that is removed must be there", () => {
  const tree = new SortedSlots<Keyed>();
  tree.insert({ key: "a" });

  expect(() => tree.remove("b")).toThrow("what is removed is there");
});
