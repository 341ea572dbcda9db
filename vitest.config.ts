/**
 * The suite of the README's test command: everything that can run on this machine without a container
 * engine. In CI everything must be able to run.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

import { defineConfig } from "vitest/config";

interface Need {
  /** On the PATH when the suite can run. */
  readonly program: string;
  readonly packages: string;
  /** Where the suite can run at all; default: everywhere. */
  readonly platform?: NodeJS.Platform;
}

/** A server's clock is moved by a library that is compiled when the suite starts. */
const COMPILER: Need = { program: "gcc", packages: "gcc libc6-dev", platform: "linux" };

/** Suites that need a program which nobody installs for a first look. */
const NEEDS: Readonly<Record<string, Need>> = {
  "test/integration/ring-nutcracker.test.ts": { program: "nutcracker", packages: "nutcracker" },
  "test/integration/fault-tools-clock.test.ts": COMPILER,
  "test/integration/locks-faults-clock.test.ts": COMPILER,
};

const isCi = (process.env["CI"] ?? "") !== "";
const folders = (process.env["PATH"] ?? "").split(delimiter);
const left = Object.entries(NEEDS).filter(([, { program, platform = process.platform }]) => {
  const isThere = folders.some((folder) => existsSync(join(folder, program)));
  return !isCi && (!isThere || platform !== process.platform);
});
for (const [file, { program, packages, platform = process.platform }] of left) {
  const why =
    platform === process.platform
      ? `${program} is not installed (apt-get install ${packages})`
      : `it is about ${platform}`;
  process.stderr.write(`${file} is left out: ${why}\n`);
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/containers/**", ...left.map(([file]) => file)],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
