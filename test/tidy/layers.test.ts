/** Who may import whom, and where time and chance may come from: the table in `layers.ts` holds. */
import { describe, expect, test } from "vitest";

import { checkCycles } from "./checks/cycles.ts";
import { checkConsumers, checkImports } from "./checks/imports.ts";
import { checkPurity, checkTime } from "./checks/purity.ts";
import { ROOMS } from "./layers.ts";
import { madeUp, readTree } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("imports as the layer table allows", () => {
    expect(checkImports(tree)).toEqual([]);
  });

  test("has no import cycle", () => {
    expect(checkCycles(tree)).toEqual([]);
  });

  test("keeps the pure rooms free of clocks, chance, timers and await", () => {
    expect(checkPurity(tree)).toEqual([]);
  });

  test("touches time and chance in src/env alone", () => {
    expect(checkTime(tree)).toEqual([]);
  });

  test("uses the package by its name in benches, examples and scripts", () => {
    expect(checkConsumers(tree)).toEqual([]);
  });

  test("is what these checks look at", () => {
    const rooms = ROOMS.filter(({ path }) =>
      tree.some((one) => one.path === path || one.path.startsWith(`${path}/`)),
    );

    expect(rooms.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["src/errors.ts", "src/redis", "src/testing"]),
    );
  });
});

/** What it is, the room that does it, the import, and words of the finding. */
const FORBIDDEN: readonly (readonly [string, string, string, string])[] = [
  ["of a higher room", "src/redis", `import { x } from "../shards/index.ts";`, "lower rank"],
  ["of a room of the same rank", "src/shards", `import { x } from "../locks/index.ts";`, "lower rank"],
  ["of one pure room by another", "src/raft", `import type { X } from "../ring/index.ts";`, "lower rank"],
  ["of the ring by src/redis", "src/redis", `export { x } from "../ring/index.ts";`, "never"],
  ["of shards by the peer", "src/peer", `export * from "../shards/index.ts";`, "never"],
  [
    "of a room by middleware",
    "middleware/express",
    `import "../../src/redis/index.ts";`,
    "only src/index.ts",
  ],
  ["of a room by testing", "src/testing", `import { x } from "../errors.ts";`, "only src/index.ts"],
  ["of shards by redlock", "src/redlock", `import { x } from "../shards/index.ts";`, "allows only"],
  ["of more than types", "src/ring", `import { systemEnv } from "../env/index.ts";`, "types alone"],
  [
    "past a room's door",
    "src/shards",
    `import { x } from "../redis/wire.ts";`,
    "entered by its src/redis/index.ts",
  ],
  ["of ioredis", "src/shards", `import { Redis } from "ioredis";`, "package ioredis"],
  ["of ioredis' types", "src/shards", `import type { Redis } from "ioredis";`, "package ioredis"],
  ["of a package's inside", "src/redis", `import { x } from "@scope/name/inside";`, "package @scope/name"],
  ["of node:* by a pure room", "src/ring", `import { createHash } from "node:crypto";`, "pure"],
  ["of a builtin without its prefix", "src/redis", `import { connect } from "net";`, "write node:net"],
  ["by import()", "src/shards", `const x = await import("ioredis");`, "package ioredis"],
  ["by an import type", "src/shards", `type X = import("ioredis").Redis;`, "package ioredis"],
  ["by its own require()", "src/redis", `import { createRequire } from "node:module";`, "createRequire"],
  ["that is computed", "src/shards", "const x = await import(name);", "computed"],
  ["of what is no room", "src/shards", `import { x } from "../../test/support/x.ts";`, "no room"],
];

describe("a forbidden import is found", () => {
  test.each(FORBIDDEN)("%s", (_, room, text, problem) => {
    const findings = checkImports(madeUp(`${room}/a.ts`, "", text));

    expect(findings).toEqual([expect.stringMatching(new RegExp(`^${room}/a.ts:2: .*${problem}`))]);
  });

  test("a folder that is not in the table", () => {
    const asksForRow = [expect.stringContaining("give its room a row")];

    expect(checkImports(madeUp("src/utils/a.ts", ""))).toEqual(asksForRow);
    expect(checkImports(madeUp("src/helpers.ts", ""))).toEqual(asksForRow);
  });

  test("of the sources by an example", () => {
    const text = `import { openCoterie } from "../../src/index.ts";`;

    expect(checkConsumers(madeUp("examples/demo/a.ts", text))).toEqual([
      expect.stringContaining("by its name"),
    ]);
    expect(checkConsumers(madeUp("examples/demo/a.ts", `import "./b.ts"; import "coterie";`))).toEqual([]);
  });
});

test("an allowed import is no finding", () => {
  const text = [
    `import type { Env } from "../env/index.ts";`,
    `import { CoterieError } from "../errors.ts";`,
    `import { arcOf } from "./hash/arc.ts";`,
  ].join("\n");

  expect(checkImports(madeUp("src/ring/a.ts", text))).toEqual([]);
  expect(checkImports(madeUp("middleware/express/a.ts", `import type { Request } from "express";`))).toEqual(
    [],
  );
});

describe("an import cycle is found", () => {
  test("between two files", () => {
    const files = [
      ...madeUp("src/ring/a.ts", `import "./b.ts";`),
      ...madeUp("src/ring/b.ts", `import "./a.ts";`),
    ];

    expect(checkCycles(files)).toEqual([
      expect.stringContaining("src/ring/a.ts -> src/ring/b.ts -> src/ring/a.ts"),
    ]);
  });

  test("of types, through a third file", () => {
    const files = [
      ...madeUp("src/ring/a.ts", `import type { B } from "./b.ts";`),
      ...madeUp("src/ring/b.ts", `export type { C } from "./c.ts";`),
      ...madeUp("src/ring/c.ts", `type A = import("./a.ts").A;`),
    ];

    expect(checkCycles(files)).toHaveLength(1);
  });

  test("and two ways to one file are none", () => {
    const files = [
      ...madeUp("src/ring/a.ts", `import "./b.ts"; import "./c.ts";`),
      ...madeUp("src/ring/b.ts", `import "./c.ts";`),
      ...madeUp("src/ring/c.ts", ""),
    ];

    expect(checkCycles(files)).toEqual([]);
  });
});

describe("impurity is found", () => {
  test.each([
    ["a clock", "const at = Date.now();"],
    ["a date of now", "const at = new Date();"],
    ["chance", "const x = Math.random();"],
    ["hidden chance", "const { random } = Math;"],
    ["a timer", "setTimeout(f, 1);"],
    ["the turn's end", "setImmediate(f);"],
    ["the environment", "const x = process.env;"],
    ["await", "await f();"],
    ["an async function", "async function f() {}"],
    ["an async method", "class A { async f() {} }"],
    ["for await", "for await (const x of y) f(x);"],
  ])("%s in a pure room", (_, text) => {
    expect(checkPurity(madeUp("src/meta/a.ts", text)).length).toBeGreaterThan(0);
  });

  test.each([
    ["a wall clock", "const at = Date.now();"],
    ["a date of now", "const at = new Date().toISOString();"],
    ["the monotonic clock", "const at = performance.now();"],
    ["a clock by another name", "const clock = Date;"],
    ["chance", "const x = Math.random();"],
    ["chance by its quoted name", `const x = Math["random"]();`],
    ["a timer", "const t = setTimeout(f, 1);"],
    ["an interval", "setInterval(f, 1);"],
    ["a timer of globalThis", "globalThis.setTimeout(f, 1);"],
    ["a signal's own timer", "const s = AbortSignal.timeout(5);"],
    ["the process' clock", "const t = process.hrtime.bigint();"],
    ["a promised timer", `import { setTimeout as sleep } from "node:timers/promises";`],
    ["an imported clock", `import { performance as p } from "node:perf_hooks";`],
  ])("%s outside src/env", (_, text) => {
    expect(checkTime(madeUp("src/shards/a.ts", text))).toHaveLength(1);
    expect(checkTime(madeUp("middleware/express/a.ts", text))).toHaveLength(1);
    expect(checkTime(madeUp("src/env/a.ts", text))).toEqual([]);
  });

  test("but properties and methods may be called like a global", () => {
    const text =
      "const x = { performance: 1, setTimeout() {} }; x.setTimeout(); new Date(x.performance); Math.max(1);";

    expect(checkTime(madeUp("src/shards/a.ts", text))).toEqual([]);
    expect(checkPurity(madeUp("src/ring/a.ts", "const x = { Date: 1 }; f(x.Date, x.process);"))).toEqual([]);
  });
});
