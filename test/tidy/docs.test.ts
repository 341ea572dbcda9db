/** The documents say what the code does: error codes, promises and links. */
import { describe, expect, test } from "vitest";

import { checkLinks, checkPromises } from "./checks/docs.ts";
import { checkErrorDocs, checkErrorUse, errorCodes } from "./checks/errors.ts";
import { madeUp, readTree, type TreeFile } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("has one section in docs/errors.md for each error code", () => {
    expect(checkErrorDocs(tree)).toEqual([]);
  });

  test("raises each error code somewhere", () => {
    expect(checkErrorUse(tree)).toEqual([]);
  });

  test("names an existing test for each promise", () => {
    expect(checkPromises(tree)).toEqual([]);
  });

  test("has no link to a file that is not there", () => {
    expect(checkLinks(tree)).toEqual([]);
  });
});

const list = madeUp("src/errors.ts", `export const ERROR_CODES = ["CLOSED", "ABORTED"] as const;`);

function section(code: string): string {
  return `### ${code}\n\nWhat it means.\n\n**Retryable:** yes.\n\n**What to do:** nothing.\n`;
}

describe("a difference between codes and docs is found", () => {
  test("and none when there is none", () => {
    expect(errorCodes(list)).toEqual(["CLOSED", "ABORTED"]);
    expect(
      checkErrorDocs([...list, ...madeUp("docs/errors.md", section("CLOSED") + section("`ABORTED`"))]),
    ).toEqual([]);
  });

  test.each([
    ["a code without a section", section("CLOSED"), `no section "### ABORTED"`],
    ["a section without a code", section("CLOSED") + section("ABORTED") + section("GONE"), "GONE is not in"],
    ["a code that is there twice", section("CLOSED") + section("ABORTED") + section("CLOSED"), "twice"],
    ["a section that gives no advice", `${section("CLOSED")}### ABORTED\n**Retryable:** no.\n`, "What to do"],
  ])("%s", (_, docs, problem) => {
    expect(checkErrorDocs([...list, ...madeUp("docs/errors.md", docs)])).toEqual([
      expect.stringContaining(problem),
    ]);
  });

  test("a missing document", () => {
    expect(checkErrorDocs(list)).toHaveLength(1);
  });
});

describe("a code that nothing raises is found", () => {
  const raisesOne = madeUp("src/a.ts", `throw new CoterieError("CLOSED", "it is");`);

  test.each([
    ["when it is named nowhere", ""],
    ["when it is only asked for", `CoterieError.is(error, "ABORTED");`],
    ["when it is only compared with", `if (error.code === "ABORTED") f();`],
    ["when it is only in a set", `const busy = new Set(["ABORTED"]);`],
    ["when it is only a type", `type A = "ABORTED";`],
  ])("%s", (_, text) => {
    expect(checkErrorUse([...list, ...raisesOne, ...madeUp("src/b.ts", text)])).toEqual([
      expect.stringContaining("ABORTED"),
    ]);
  });

  test("and one from a table is raised", () => {
    const table = madeUp("src/b.ts", `const refusals = new Map([["GONE", "ABORTED"]]);`);

    expect(checkErrorUse([...list, ...raisesOne, ...table])).toEqual([]);
  });
});

describe("an empty promise is found", () => {
  const attack = madeUp("test/a.test.ts", `test("it holds", () => {});`);
  const promises = (text: string): TreeFile[] => [
    ...attack,
    ...madeUp("docs/guarantees.md", `# P\n\n## Holds now\n\n${text}`),
  ];

  test("and none when its test is there", () => {
    expect(
      checkPromises(promises('### S1\n\nText.\n\n- `test/a.test.ts`: "it holds"\n\n## Planned\n\n### S2\n')),
    ).toEqual([]);
  });

  test.each([
    ["without a test", "### S1\n\nText.\n", "no test attacks"],
    ["with a test of another name", '### S1\n\n- `test/a.test.ts`: "it broke"\n', `has no test "it broke"`],
    [
      "with a file that is not there",
      '### S1\n\n- `test/b.test.ts`: "it holds"\n',
      "there is no test/b.test.ts",
    ],
    ["when there is none at all", "Text.\n", "promises nothing"],
  ])("%s", (_, text, problem) => {
    expect(checkPromises(promises(text))).toEqual([expect.stringContaining(problem)]);
  });
});

test("a link to nowhere is found", () => {
  const files = [
    ...madeUp(
      "docs/a.md",
      "[b](b.md#part) [c](../src/) [web](https://example.org/x) [here](#part) [gone](../gone.md)",
    ),
    ...madeUp("docs/b.md", ""),
    ...madeUp("src/index.ts", ""),
  ];

  expect(checkLinks(files)).toEqual(["docs/a.md:1: links to gone.md, which is not there"]);
});
