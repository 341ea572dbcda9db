/**
 * The suite of the README's test command: everything that can run on this machine without a container
 * engine. In CI everything must be able to run.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

import { defineConfig } from "vitest/config";

/** Suites that need a program which nobody installs for a first look. */
const NEEDS: Readonly<Record<string, string>> = {
  "test/integration/ring-nutcracker.test.ts": "nutcracker",
};

const isCi = (process.env["CI"] ?? "") !== "";
const folders = (process.env["PATH"] ?? "").split(delimiter);
const left = Object.entries(NEEDS).filter(
  ([, program]) => !isCi && !folders.some((folder) => existsSync(join(folder, program))),
);
for (const [file, program] of left) {
  process.stderr.write(`${file} is left out: ${program} is not installed (apt-get install ${program})\n`);
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/containers/**", ...left.map(([file]) => file)],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
