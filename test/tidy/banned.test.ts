/** What nobody writes here is not written, and would be found: the bans in `checks/banned.ts` hold. */
import { describe, expect, test } from "vitest";

import { checkConstructs, checkNotes, checkTests } from "./checks/banned.ts";
import { madeUp, readTree } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("has no banned construct", () => {
    expect(checkConstructs(tree)).toEqual([]);
  });

  test("has no test that is skipped or runs alone", () => {
    expect(checkTests(tree)).toEqual([]);
  });

  test("has no note of work to be done", () => {
    expect(checkNotes(tree)).toEqual([]);
  });
});

describe("a banned construct is found", () => {
  test.each([
    ["a default export", "export default 1;", "default export"],
    ["a default export by another way", "const a = 1; export { a as default };", "default export"],
    ["an enum", "enum A { B }", "enum"],
    ["a const enum", "declare const enum A { B }", "enum"],
    ["a namespace", "namespace A { export const b = 1; }", "namespace"],
    ["a global declaration", "declare global { interface A { b: 1 } }", "namespace"],
    ["any", "const a = 1 as any;", "any"],
    ["any deep in a type", "type A = Readonly<Record<string, readonly any[]>>;", "any"],
    ["a parameter property", "class A { constructor(readonly b: number) {} }", "parameter property"],
    ["private", "class A { private b = 1; }", "private"],
    ["a private method", "class A { private b() {} }", "private"],
    ["an empty catch", "try { a(); } catch { /* never mind */ }", "empty catch"],
    ["an error without a code", `throw new TypeError("no");`, "CoterieError"],
    ["the bare word node", "function f(node: string) {}", "bare word"],
  ])("%s", (_, text, problem) => {
    const findings = checkConstructs(madeUp("src/a.ts", text));

    expect(findings.length).toBeGreaterThan(0);
    expect(findings[0]).toContain(problem);
  });

  test("but Express' request is extended in its one way", () => {
    const merged = "declare global { namespace Express { interface Request { a?: 1 } } }";
    const other = "declare global { namespace Other { interface Request { a?: 1 } } }";

    expect(checkConstructs(madeUp("middleware/express/a.ts", merged))).toEqual([]);
    expect(checkConstructs(madeUp("middleware/express/a.ts", other))).toHaveLength(1);
    expect(checkConstructs(madeUp("src/a.ts", merged))).toHaveLength(2);
  });

  test("but a package without types gets some", () => {
    const text = `declare module "untyped" { export function f(): void; }`;

    expect(checkConstructs(madeUp("test/support/untyped.d.ts", text))).toEqual([]);
    expect(checkConstructs(madeUp("test/support/untyped.ts", text))).toHaveLength(1);
  });

  test("but the redlock room keeps redlock's default export", () => {
    expect(checkConstructs(madeUp("src/redlock/index.ts", "export default 1;"))).toEqual([]);
  });

  test("and throws redlock's error, which nobody else does", () => {
    const text = `throw new ExecutionError("no quorum", []);`;

    expect(checkConstructs(madeUp("src/redlock/a.ts", text))).toEqual([]);
    expect(checkConstructs(madeUp("src/locks/a.ts", text))).toHaveLength(1);
    expect(checkConstructs(madeUp("src/redlock/a.ts", `throw new TypeError("no");`))).toHaveLength(1);
  });
});

describe("a test that does not count is found", () => {
  test.each([
    ["skipped", `test.skip("a", () => {});`],
    ["alone", `it.only("a", () => {});`],
    ["empty", `test.todo("a");`],
    ["a skipped suite", `describe.skip("a", () => {});`],
    ["a suite skipped on a condition", `describe.skipIf(true)("a", () => {});`],
    ["run on a condition", `test.runIf(false)("a", () => {});`],
    ["expected to fail", `test.fails("a", () => {});`],
    ["skipped and concurrent", `test.concurrent.skip("a", () => {});`],
    ["skipped by its letter", `xit("a", () => {});`],
    ["skipped by itself", `test("a", (ctx) => { ctx.skip(); });`],
    ["skipped by itself, unpacked", `test("a", ({ skip }) => { skip(); });`],
    ["named as a wish", `test("it should work", () => {});`],
  ])("%s", (_, text) => {
    expect(checkTests(madeUp("test/a.test.ts", text))).toHaveLength(1);
  });

  test("but one about a platform runs on that platform", () => {
    const text = `test.runIf(process.platform === "linux")("reads /proc", () => {});`;

    expect(checkTests(madeUp("test/a.test.ts", text))).toEqual([]);
  });

  test("and ordinary ones are not", () => {
    const text = `describe.each([1])("a %i", () => { test.concurrent("works", () => list.some()); });`;

    expect(checkTests(madeUp("test/a.test.ts", text))).toEqual([]);
  });
});

test("a note of work to be done is found", () => {
  const note = ["TO", "DO"].join("");

  expect(checkNotes(madeUp("src/a.ts", `// ${note}: later\nx();`))).toEqual([
    expect.stringMatching(/^src\/a\.ts:1: /),
  ]);
  expect(checkNotes(madeUp("docs/a.md", `\n${note} write this\n`))).toEqual([
    expect.stringMatching(/^docs\/a\.md:2: /),
  ]);
  expect(checkNotes(madeUp("src/a.ts", `const state = "${note}";`))).toEqual([]);
});
