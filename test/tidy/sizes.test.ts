/** Nothing grows beyond what fits in a head: the limits in `checks/sizes.ts` hold. */
import { describe, expect, test } from "vitest";

import {
  checkFiles,
  checkFolders,
  checkFunctions,
  checkHeaders,
  FILE_LINES_MAX,
  FOLDER_FILES_MAX,
  FUNCTION_LINES_MAX,
  LINE_CHARS_MAX,
} from "./checks/sizes.ts";
import { madeUp, readTree } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("keeps files and lines short", () => {
    expect(checkFiles(tree)).toEqual([]);
  });

  test("keeps functions short", () => {
    expect(checkFunctions(tree)).toEqual([]);
  });

  test("opens every file with what it is", () => {
    expect(checkHeaders(tree)).toEqual([]);
  });

  test("keeps folders small and flat", () => {
    expect(checkFolders(tree)).toEqual([]);
  });
});

function lines(count: number, line = "x();"): string {
  return `${Array.from({ length: count }, () => line).join("\n")}\n`;
}

describe("what is too large is found", () => {
  test("a file", () => {
    expect(checkFiles(madeUp("src/a.ts", lines(FILE_LINES_MAX)))).toEqual([]);
    expect(checkFiles(madeUp("src/a.ts", lines(FILE_LINES_MAX + 1)))).toEqual([
      expect.stringContaining("501 lines"),
    ]);
  });

  test("a line, in characters and not in bytes", () => {
    const longest = `${"é".repeat(LINE_CHARS_MAX)}\n`;

    expect(checkFiles(madeUp("src/locks/scripts/a-1.lua", longest))).toEqual([]);
    expect(checkFiles(madeUp("src/locks/scripts/a-1.lua", `\n-${longest}`))).toEqual([
      expect.stringMatching(/^src\/locks\/scripts\/a-1\.lua:2: has 111 characters/),
    ]);
  });

  test("a line, but for a test's title", () => {
    const title = "x".repeat(LINE_CHARS_MAX);

    expect(checkFiles(madeUp("test/a.test.ts", `  test("${title}", async () => {`))).toEqual([]);
    expect(checkFiles(madeUp("test/a.test.ts", `  call("${title}", async () => {`))).toHaveLength(1);
  });

  test("a function, with those inside it in the package", () => {
    const outer = `function f() {\n${lines(FUNCTION_LINES_MAX - 1)}}\n`;
    const nested = `function f() {\n g(() => {\n${lines(FUNCTION_LINES_MAX - 3)}});\n}\n`;

    expect(checkFunctions(madeUp("src/a.ts", outer))).toEqual([expect.stringContaining("71 lines")]);
    expect(checkFunctions(madeUp("src/a.ts", nested))).toEqual([expect.stringContaining("71 lines")]);
    expect(checkFunctions(madeUp("test/a.test.ts", nested))).toEqual([]);
  });

  test("a function, without those inside it in tests", () => {
    const inner = `test("x", () => {\n${lines(40)}});\n`;

    expect(checkFunctions(madeUp("test/a.test.ts", `describe("y", () => {\n${inner}${inner}});\n`))).toEqual(
      [],
    );
    expect(checkFunctions(madeUp("test/a.test.ts", `test("x", () => {\n${lines(70)}});\n`))).toHaveLength(1);
  });

  test("a folder with many files, and a deep one", () => {
    const many = Array.from({ length: FOLDER_FILES_MAX + 1 }, (_, at) => ({
      path: `src/a/${at}.ts`,
      text: "",
    }));

    expect(checkFolders(many.slice(1))).toEqual([]);
    expect(checkFolders(many)).toEqual([expect.stringContaining("has 13 files")]);
    expect(checkFolders(madeUp("src/a/b/c/x.ts", ""))).toEqual([]);
    expect(checkFolders(madeUp("src/a/b/c/d/x.ts", ""))).toEqual([expect.stringContaining("4 deep")]);
  });
});

describe("a file without a header is found", () => {
  test.each([
    ["when there is no comment", "export const x = 1;"],
    ["when the comment comes later", "import './x.ts';\n/** What it is. */\n"],
    ["when it is no doc comment", "// What it is.\nexport const x = 1;"],
    ["when it is very long", `/**\n${lines(17, " * word")} */\n`],
    ["when the file is empty", ""],
  ])("%s", (_, text) => {
    expect(checkHeaders(madeUp("src/a.ts", text))).toHaveLength(1);
  });

  test("and one after the line for the shell is enough", () => {
    expect(checkHeaders(madeUp("src/cli/a.ts", "#!/usr/bin/env node\n/** What it is. */\nx();"))).toEqual([]);
  });
});
