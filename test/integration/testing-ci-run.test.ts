/**
 * The CI script's count: run for real, with small programs in place of npm, the engine and the suites.
 * Its last line must be the truth whatever goes wrong, since nobody reads the rest of a green run.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PASSED = report("passed", ["passed", "passed"]);
const SKIPPED = report("passed", ["passed", "skipped"]);
const FAILED = report("failed", ["passed", "failed"]);
const PROGRAMS = ["docker", "dockerd", "docker-compose", "iptables", "busybox", "nutcracker", "redis-server"];

/** Writes the report that the test chose to where the real vitest would, and ends with the chosen code. */
const FAKE_NPM = `#!/bin/bash
case "$*" in
  --version) exit 0;;
  ci*) exit \${NPM_CI_CODE:-0};;
  "run check"*) exit \${CHECK_CODE:-0};;
esac
suite=UNIT
case "$*" in *containers*) suite=CONTAINERS;; esac
for word in "$@"; do
  case $word in --outputFile.json=*) file=\${word#*=};; esac
done
text=\${suite}_REPORT code=\${suite}_CODE
if [ -n "\${!text:-}" ]; then printf '%s' "\${!text}" > "$file"; fi
exit \${!code:-0}
`;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "coterie-test-"));
  for (const path of ["checkout/.ci", "checkout/.build/scripts", "checkout/docker", "bin", "tmp"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  for (const path of [".ci/run", ".build/scripts/sum-reports.js"]) {
    copyFileSync(join(ROOT, path), join(folder, "checkout", path));
  }
  writeFileSync(join(folder, "checkout/package.json"), '{ "type": "module" }');
  addProgram("bin/npm", FAKE_NPM);
  for (const name of PROGRAMS) addProgram(`bin/${name}`);
  addProgram("checkout/docker/build-image.sh");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each<[string, Record<string, string>, number, string]>([
  ["all passed", {}, 0, "4 passed, 0 failed"],
  ["a test failed", { UNIT_REPORT: FAILED, UNIT_CODE: "1" }, 1, "3 passed, 1 failed"],
  ["a test was skipped", { CONTAINERS_REPORT: SKIPPED }, 1, "3 passed, 1 failed"],
  ["a suite passed, and its command failed", { CONTAINERS_CODE: "1" }, 1, "4 passed, 1 failed"],
  ["a suite wrote no report", { UNIT_REPORT: "" }, 1, "2 passed, 1 failed"],
  ["a suite found no test", { UNIT_REPORT: '{"testResults":[]}' }, 1, "2 passed, 1 failed"],
  ["a check failed", { CHECK_CODE: "2" }, 1, "4 passed, 1 failed"],
  ["npm ci failed", { NPM_CI_CODE: "1" }, 1, "0 passed, 1 failed"],
])("when %s", (_, environment, code, lastLine) => {
  const { status, lines } = run(environment);

  expect([status, lines.at(-1)]).toEqual([code, lastLine]);
  expect(readdirSync(join(folder, "tmp"))).toEqual([]);
});

test("when the image cannot be built, the container suite counts as failed", () => {
  addProgram("checkout/docker/build-image.sh", "#!/bin/bash\nexit 1\n");

  const { status, lines } = run({});

  expect([status, lines.at(-1)]).toEqual([1, "2 passed, 2 failed"]);
});

test("when the engine does not start, its log is shown and the container suite counts as failed", () => {
  addProgram("bin/docker", "#!/bin/bash\nexit 1\n");
  // The script looks with it for an engine among the processes, and this machine may have one.
  addProgram("bin/grep", "#!/bin/bash\nexit 1\n");
  addProgram("bin/dockerd", "#!/bin/bash\necho no such kernel\nexit 1\n");

  const { status, lines } = run({});

  expect([status, lines.at(-1)]).toEqual([1, "2 passed, 2 failed"]);
  expect(lines).toContain("no such kernel");
});

function run(environment: Readonly<Record<string, string>>): { status: number | null; lines: string[] } {
  const { status, stdout } = spawnSync(join(folder, "checkout/.ci/run"), {
    encoding: "utf8",
    timeout: 25_000,
    env: {
      ...process.env,
      PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`,
      TMPDIR: join(folder, "tmp"),
      UNIT_REPORT: PASSED,
      CONTAINERS_REPORT: PASSED,
      ...environment,
    },
  });
  return { status, lines: stdout.trimEnd().split("\n") };
}

function report(status: string, tests: readonly string[]): string {
  const assertionResults = tests.map((one) => ({ status: one }));
  return JSON.stringify({ testResults: [{ status, assertionResults }] });
}

function addProgram(path: string, text = "#!/bin/bash\nexit 0\n"): void {
  writeFileSync(join(folder, path), text, { mode: 0o755 });
}
