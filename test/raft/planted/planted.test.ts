/** The list of planted bugs fits the code: each text is there, once, and each test file exists. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { MUTATIONS } from "../mutations.ts";

const ROOT = join(import.meta.dirname, "../../..");

describe("a planted bug", () => {
  test.each(MUTATIONS)("can be planted: $name", ({ file, from, to, foundBy }) => {
    const text = readFileSync(join(ROOT, file), "utf8");

    expect(text.split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
    expect(existsSync(join(ROOT, foundBy))).toBe(true);
  });

  test("has a name of its own, and there are many", () => {
    const names = new Set(MUTATIONS.map(({ name }) => name));

    expect(names.size).toBe(MUTATIONS.length);
    expect(names.size).toBeGreaterThanOrEqual(25);
  });
});
