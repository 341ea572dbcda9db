/**
 * Adds up vitest's JSON reports for the last line of CI: prints `PASSED FAILED`, and nothing else.
 * Its one idea: whatever did not pass has failed. A skipped test, a file that could not be loaded, a
 * report that is missing or has no test in it: none of them may look like success.
 *
 * usage: node .build/scripts/sum-reports.js REPORT...
 */
import { existsSync, readFileSync } from "node:fs";
import { argv, stdout } from "node:process";
import { fileURLToPath } from "node:url";

export interface Tally {
  readonly passed: number;
  readonly failed: number;
}

interface FileResult {
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string }[];
}

/** Of one report; undefined stands for one that was never written. */
export function tally(report: string | undefined): Tally {
  const files = report === undefined ? [] : readFiles(report);
  const counts = files.map(({ status, assertionResults }) => {
    const passed = assertionResults.filter((one) => one.status === "passed").length;
    const failed = assertionResults.length - passed;
    return { passed, failed: failed === 0 && status !== "passed" ? 1 : failed };
  });
  const sum = add(counts);
  return sum.passed + sum.failed === 0 ? { passed: 0, failed: 1 } : sum;
}

function readFiles(report: string): readonly FileResult[] {
  try {
    return (JSON.parse(report) as { readonly testResults?: readonly FileResult[] }).testResults ?? [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function add(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
    failed: tallies.reduce((sum, { failed }) => sum + failed, 0),
  };
}

function readReport(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

if (argv[1] !== undefined && fileURLToPath(import.meta.url) === argv[1]) {
  const { passed, failed } = add(argv.slice(2).map((path) => tally(readReport(path))));
  stdout.write(`${passed} ${failed}\n`);
}
