/**
 * The repository as a whole: its layout, and what no committed file may say: where one machine keeps
 * things, or where packages are fetched from. (This file may not say it either, so it has patterns.)
 */
import { homedir } from "node:os";
import { dirname } from "node:path";

import { type Finding, findingAt, lineAt, ROOT, type TreeFile } from "../tree.ts";

/** Everything that may stand at the top, in the tree's own words; a newcomer is named here first. */
const TOP_LEVEL: readonly string[] = [
  ".ci", ".github", ".gitignore", ".oxlintrc.json",
  "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md",
  "bench", "dashboard", "docker", "docs", "examples", "middleware", "scripts", "src", "test",
  "knip.json", "package-lock.json", "package.json",
  "tsconfig.base.json", "tsconfig.json", "tsconfig.sim.json", "tsconfig.test.json", "tsconfig.tools.json",
  "vitest.config.ts", "vitest.containers.config.ts",
];

/** The kinds of test; each folder's files are of one kind. */
const TEST_FOLDERS: readonly string[] = [
  "containers", "contract", "integration", "linear", "model", "package", "raft", "scenarios", "sim",
  "support", "tidy", "types", "unit",
];

/** Hosts of package and image registries, by the form of their names. */
const REGISTRY_HOST = new RegExp(
  [
    String.raw`\b(?:registry(?:-\d+)?|npm(?:\.pkg)?|index\.docker)\.[a-z][a-z0-9-]*(?:\.[a-z]{2,})?\b`,
    String.raw`\b(?:ghcr|gcr|quay)\.io\b`,
  ].join("|"),
  "gi",
);
/** Names of files and keys that look like hosts. */
const NOT_A_HOST = /^(?:npm|registry)\.(?:ts|js|json|md|sh|cmd)$/i;

/** Folders that say nothing about a machine. */
const COMMON_FOLDERS = new Set(
  [
    "",
    "home",
    "root",
    "tmp",
    "usr",
    "opt",
    "srv",
    "var",
    "mnt",
    "data",
    "app",
    "code",
    "repo",
    "lib",
    "dist",
    "workspace",
  ]
    .concat(TOP_LEVEL)
    .map((name) => `/${name}`),
);
/** Where systems keep their users' homes. */
const HOMES = String.raw`/(?:home|Users)/\w`;

export function checkLayout(files: readonly TreeFile[]): Finding[] {
  const findings = new Set<Finding>();
  for (const { path } of files) {
    const [top = "", second = "", ...rest] = path.split("/");
    if (!TOP_LEVEL.includes(top))
      findings.add(`${top}: is not in the layout (test/tidy/checks/repository.ts)`);
    if (top !== "test" || path === "test/tsconfig.json") continue;
    if (rest.length === 0 || !TEST_FOLDERS.includes(second)) {
      findings.add(`test/${second}: tests stand in one of ${TEST_FOLDERS.join(", ")}`);
    }
  }
  return [...findings];
}

export function checkRegistries(files: readonly TreeFile[]): Finding[] {
  return files.flatMap((file) => {
    if (file.path === "package-lock.json") return lockProblems(file);
    return [...file.text.matchAll(REGISTRY_HOST)]
      .filter(([host]) => !NOT_A_HOST.test(host))
      .map((match) => findingAt(file, match.index, `names a package registry's host (${match[0]})`));
  });
}

/** `machine` lists the paths that nobody else has. */
export function checkPaths(
  files: readonly TreeFile[],
  machine: readonly string[] = machinePaths(),
): Finding[] {
  const paths = machine.map((path) => `${path.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}(?![\\w-])`);
  const pattern = new RegExp(String.raw`(?<![\w.~*-])(?:${[...paths, HOMES].join("|")})[^\s"'\x60)]*`, "g");
  return files.flatMap((file) =>
    [...file.text.matchAll(pattern)].map((match) =>
      findingAt(file, match.index, `names a path of one machine (${match[0]})`),
    ),
  );
}

/** This checkout and the folders that hold it, and the home of who runs this. */
export function machinePaths(root: string = ROOT, home: string = homedir()): string[] {
  const paths: string[] = COMMON_FOLDERS.has(home) ? [] : [home];
  for (let path = root; !COMMON_FOLDERS.has(path); path = dirname(path)) paths.push(path);
  return paths;
}

/**
 * `npm ci` refuses a lock file without an entry for each optional package, those of other platforms
 * included; an npm that cannot see such a package drops its entry without a word.
 */
export function checkLock(files: readonly TreeFile[]): Finding[] {
  return files.filter(({ path }) => path === "package-lock.json").flatMap((file) => {
    const { packages } = JSON.parse(file.text) as { packages: Readonly<Record<string, LockEntry>> };
    return Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !isLocked(packages, place, name))
        .map((name) => `${file.path}: ${place} may need ${name}, which has no entry`),
    );
  });
}

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Looks as Node.js does: in the package's own folder, then in each one above. */
function isLocked(packages: Readonly<Record<string, LockEntry>>, place: string, name: string): boolean {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (Object.hasOwn(packages, `${folder === "" ? "" : `${folder}/`}node_modules/${name}`)) return true;
    if (folder === "") return false;
  }
}

function lockProblems(file: TreeFile): Finding[] {
  const at = file.text.indexOf('"resolved"');
  return at < 0
    ? []
    : [`${file.path}:${lineAt(file.text, at)}: says where packages were fetched from ("resolved")`];
}
