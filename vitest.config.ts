/** The suite of the README's test command: everything that runs without a container engine. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/containers/**"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
