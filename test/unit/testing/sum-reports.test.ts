import { describe, expect, test } from "vitest";

import { tally } from "../../../scripts/sum-reports.ts";

function report(...files: { status: string; tests: string[] }[]): string {
  const testResults = files.map(({ status, tests }, at) => ({
    name: `file-${at}`,
    status,
    assertionResults: tests.map((one) => ({ status: one })),
  }));
  return JSON.stringify({ testResults });
}

describe("tally", () => {
  test("counts what passed and what failed, over all files", () => {
    const text = report(
      { status: "passed", tests: ["passed", "passed"] },
      { status: "failed", tests: ["passed", "failed"] },
    );

    expect(tally(text)).toEqual({ passed: 3, failed: 1 });
  });

  test("counts a test that did not run as failed: a skipped suite proves nothing", () => {
    expect(tally(report({ status: "passed", tests: ["passed", "skipped", "pending", "todo"] }))).toEqual({
      passed: 1,
      failed: 3,
    });
  });

  test("counts a file that could not be loaded as one failure", () => {
    expect(tally(report({ status: "failed", tests: [] }, { status: "passed", tests: ["passed"] }))).toEqual({
      passed: 1,
      failed: 1,
    });
  });

  test("counts a file as failed whose tests all passed when it failed around them", () => {
    expect(tally(report({ status: "failed", tests: ["passed"] }))).toEqual({ passed: 1, failed: 1 });
  });

  test.each([
    ["no test at all", report()],
    ["no file", undefined],
    ["half a file", '{"testResults": ['],
    ["another file", "[]"],
  ])("counts %s as one failure", (_, text) => {
    expect(tally(text)).toEqual({ passed: 0, failed: 1 });
  });
});
