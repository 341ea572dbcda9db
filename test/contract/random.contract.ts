/** What every Random promises, whether its numbers come from the system or from a seed. */
import { describe, expect, test } from "vitest";

import type { Random } from "../../src/env/index.ts";

export function randomContract(name: string, make: () => Random): void {
  describe(`Random: ${name}`, () => {
    test("below(n) is a whole number from 0 to n - 1", () => {
      const random = make();

      for (const n of [1, 2, 3, 7, 1000, 2 ** 31, 2 ** 31 + 1, 2 ** 32]) {
        for (let round = 0; round < 200; round += 1) {
          const drawn = random.below(n);
          expect(Number.isInteger(drawn) && drawn >= 0 && drawn < n, `below(${n}) gave ${drawn}`).toBe(true);
        }
      }
    });

    test("below(n) reaches every number, none far more often than another", () => {
      const random = make();

      const counts = countDraws(20_000, () => random.below(10));

      // 2,000 expected for each with a deviation of 42: 300 away is seven deviations.
      expect(counts.size).toBe(10);
      for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(300);
    });

    test("below(n) favours no residue when n does not divide 2^32", () => {
      const random = make();
      const n = 3 * 2 ** 30;

      const thirds = countDraws(9000, () => Math.floor(random.below(n) / 2 ** 30));

      // A plain remainder would give the first third half of all draws.
      for (const count of thirds.values()) expect(Math.abs(count - 3000)).toBeLessThan(320);
    });

    test("fraction() lies from 0 up to, not including, 1 and fills the range", () => {
      const random = make();
      const tenths = new Set<number>();

      for (let draw = 0; draw < 2000; draw += 1) {
        const drawn = random.fraction();
        expect(drawn >= 0 && drawn < 1).toBe(true);
        tenths.add(Math.floor(drawn * 10));
      }

      expect(tenths.size).toBe(10);
    });

    test("hex(bytes) is two lower-case digits a byte, and two draws differ", () => {
      const random = make();

      for (const bytes of [1, 3, 4, 16, 33])
        expect(random.hex(bytes)).toMatch(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
      expect(random.hex(16)).not.toBe(random.hex(16));
    });

    test("hex(bytes) starts with each digit equally often, 0 included", () => {
      const random = make();
      const digits = countDraws(4000, () => Number.parseInt(random.hex(4).charAt(0), 16));

      // 250 expected for each with a deviation of 15.
      expect(digits.size).toBe(16);
      for (const count of digits.values()) expect(Math.abs(count - 250)).toBeLessThan(110);
    });
  });
}

function countDraws(draws: number, draw: () => number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (let done = 0; done < draws; done += 1) {
    const drawn = draw();
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  return counts;
}
