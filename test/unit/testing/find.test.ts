import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { findRedisServer, redisInstallCommand } from "../../../src/testing/index.ts";
import { environmentUrls } from "../../../src/testing/redis/find.ts";

let folder: string;
let other: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coterie-test-"));
  other = join(folder, "other");
  mkdirSync(other);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function addProgram(path: string): string {
  writeFileSync(path, "#!/bin/sh\n", { mode: 0o755 });
  return path;
}

describe("findRedisServer", () => {
  test("takes the first redis-server of the PATH", () => {
    const first = addProgram(join(folder, "redis-server"));
    addProgram(join(other, "redis-server"));

    expect(findRedisServer({ PATH: `/nowhere::${folder}:${other}` })).toBe(first);
  });

  test("prefers redis-server anywhere to valkey-server before it", () => {
    addProgram(join(folder, "valkey-server"));
    const server = addProgram(join(other, "redis-server"));

    expect(findRedisServer({ PATH: `${folder}:${other}` })).toBe(server);
  });

  test("takes valkey-server where there is no other", () => {
    const server = addProgram(join(other, "valkey-server"));

    expect(findRedisServer({ PATH: `${folder}:${other}` })).toBe(server);
  });

  test("passes over folders and files of that name that cannot be run", () => {
    mkdirSync(join(folder, "redis-server"));
    chmodSync(addProgram(join(other, "redis-server")), 0o644);

    expect(findRedisServer({ PATH: `${folder}:${other}` })).toBeUndefined();
  });

  test("finds nothing without a PATH", () => {
    expect(findRedisServer({})).toBeUndefined();
  });
});

describe("redisInstallCommand", () => {
  test.each([
    ["apt-get", /^(sudo )?apt-get update && (sudo )?apt-get install -y redis-server$/],
    ["brew", /^brew install redis$/],
    ["dnf", /^(sudo )?dnf install -y redis$/],
  ])("is that of the machine's own tool: %s", (tool, command) => {
    addProgram(join(folder, tool));

    expect(redisInstallCommand({ PATH: folder })).toMatch(command);
  });

  test("is the use of running instances where no tool is known", () => {
    expect(redisInstallCommand({ PATH: folder })).toBe("COTERIE_REDIS_URLS=redis://127.0.0.1:6379 npm test");
  });
});

test.each([
  ["", []],
  [" ", []],
  ["redis://a", ["redis://a"]],
  ["redis://a,redis://b", ["redis://a", "redis://b"]],
  [" redis://a, redis://b\nredis://c ", ["redis://a", "redis://b", "redis://c"]],
])("COTERIE_REDIS_URLS %j names %j", (text, urls) => {
  expect(environmentUrls({ COTERIE_REDIS_URLS: text })).toEqual(urls);
});
