/** What users and operators read is explained: exports, options, scripts. */
import { describe, expect, test } from "vitest";

import { checkScripts } from "./checks/lua.ts";
import { checkOptionDocs, checkSurface } from "./checks/surface.ts";
import { madeUp, readTree, type TreeFile } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("says in prose what each public export is for", () => {
    expect(checkSurface(tree)).toEqual([]);
  });

  test("documents every option", () => {
    expect(checkOptionDocs(tree)).toEqual([]);
  });

  test("names and explains its Lua scripts", () => {
    expect(checkScripts(tree)).toEqual([]);
  });
});

describe("an unexplained export is found", () => {
  test.each([
    ["without a comment", [`export { a } from "./a.ts";`]],
    ["with a comment further up", ["// What a is for.", "", `export { a } from "./a.ts";`]],
    ["with an empty comment", ["//", `export { a } from "./a.ts";`]],
    ["second of two", ["// What it is for.", `export { a } from "./a.ts";`, `export * from "./b.ts";`]],
  ])("%s", (_, lines) => {
    expect(checkSurface(madeUp("src/index.ts", "/** The surface. */", "", ...lines))).toHaveLength(1);
  });

  test("and an explained one is not", () => {
    const lines = ["// What a is for.", "export {", "  a,", `} from "./a.ts";`];

    expect(checkSurface(madeUp("src/index.ts", ...lines))).toEqual([]);
  });
});

describe("an undocumented option is found", () => {
  const [door] = madeUp("src/index.ts", "// What a takes.", `export type { AOptions } from "./a.ts";`) as [
    TreeFile,
  ];

  test.each([
    ["in an interface", ["export interface AOptions {", "  readonly b: number;", "}"]],
    [
      "after a comment that is no doc",
      ["interface AOptions {", "  // A number of things.", "  b?: number;", "}"],
    ],
    ["in a type", ["type AOptions = {", "  b: number;", "};"]],
    [
      "inside another",
      ["interface AOptions {", "  /** What b does. */", "  b: {", "    c: number;", "  };", "}"],
    ],
    ["that is a method", ["interface AOptions {", "  b(): void;", "}"]],
  ])("%s", (_, lines) => {
    expect(checkOptionDocs([door, ...madeUp("src/a.ts", ...lines)])).toHaveLength(1);
  });

  test("and a documented one is not", () => {
    const lines = [
      "interface AOptions {",
      "  /** Milliseconds until b. Default 5. */",
      "  readonly b?: number;",
      "}",
    ];
    const others = [
      "interface Other {",
      "  c: number;",
      "}",
      "interface InnerOptions {",
      "  d: number;",
      "}",
    ];

    expect(checkOptionDocs([door, ...madeUp("src/a.ts", ...lines, ...others)])).toEqual([]);
  });
});

describe("an unexplained script is found", () => {
  const header = [
    "-- KEYS[1] string: the holder.",
    "-- ARGV[1] milliseconds.",
    "-- Returns 1.",
    "-- Atomic because.",
  ];
  const good = madeUp("src/locks/scripts/take-1.lua", ...header, `return redis.call("GET", KEYS[1])`);

  test("and none when it has its header", () => {
    expect(checkScripts(good)).toEqual([]);
    expect(checkScripts(madeUp("src/locks/scripts/take-many-n.lua", ...header, "return KEYS[7]"))).toEqual(
      [],
    );
  });

  test.each([
    ["without a key count in its name", "src/locks/scripts/take.lua", header, "is not named"],
    ["without a header", "src/locks/scripts/take-1.lua", ["", ...header], `does not say "KEYS"`],
    ["without its reason", "src/locks/scripts/take-1.lua", header.slice(0, 3), `does not say "Atomic"`],
    [
      "with more keys than it says",
      "src/locks/scripts/take-1.lua",
      [...header, "return KEYS[2]"],
      "uses KEYS[2]",
    ],
  ])("%s", (_, path, lines, problem) => {
    expect(checkScripts(madeUp(path, ...lines))[0]).toContain(problem);
  });
});
