/** The layout is the one of the table, and no file names a machine's paths or a registry's host. */
import { describe, expect, test } from "vitest";

import { checkLayout, checkLock, checkPaths, checkRegistries, machinePaths } from "./checks/repository.ts";
import { madeUp, readTree } from "./tree.ts";

const tree = readTree();

describe("the tree", () => {
  test("has the layout that is listed", () => {
    expect(checkLayout(tree)).toEqual([]);
  });

  test("names no package registry", () => {
    expect(checkRegistries(tree)).toEqual([]);
  });

  test("locks what every platform needs", () => {
    expect(checkLock(tree)).toEqual([]);
  });

  test("names no path of one machine", () => {
    expect(checkPaths(tree)).toEqual([]);
  });
});

// Hosts and paths are put together here: this file, too, may not name them.

function dotted(...parts: readonly string[]): string {
  return parts.join(".");
}

function path(...parts: readonly string[]): string {
  return ["", ...parts].join("/");
}

function lock(entry: object): string {
  return JSON.stringify({ packages: { "node_modules/a": entry } });
}

test("a newcomer to the layout is found", () => {
  expect(checkLayout(madeUp("lib/a.ts", ""))).toEqual([expect.stringMatching(/^lib: /)]);
  expect(checkLayout(madeUp("notes.txt", ""))).toEqual([expect.stringMatching(/^notes\.txt: /)]);
  expect(checkLayout(madeUp("test/misc/a.test.ts", ""))).toEqual([expect.stringMatching(/^test\/misc: /)]);
  expect(checkLayout(madeUp("test/a.test.ts", ""))).toEqual([expect.stringMatching(/^test\/a\.test\.ts: /)]);
  expect(checkLayout(madeUp("test/unit/ring/a.test.ts", ""))).toEqual([]);
});

describe("a registry is found", () => {
  test.each([
    ["of npm packages", dotted("registry", "npm-of-somebody", "org")],
    ["of images", dotted("registry-1", "docker", "io")],
    ["of images, shortened", dotted("ghcr", "io")],
    ["of a company", dotted("npm", "pkg", "somebody", "com")],
  ])("%s", (_, host) => {
    expect(checkRegistries(madeUp("a.sh", `curl https://${host}/x\n`))).toHaveLength(1);
  });

  test("in the lock file, by what it says of each package", () => {
    expect(checkRegistries(madeUp("package-lock.json", lock({ resolved: "x" })))).toHaveLength(1);
    expect(checkRegistries(madeUp("package-lock.json", lock({ integrity: "x" })))).toEqual([]);
  });

  test("and ordinary words are not", () => {
    expect(
      checkRegistries(
        madeUp("a.md", "npm ci, npm.cmd, no registry. The registry is away: docker.io is a package."),
      ),
    ).toEqual([]);
  });
});

test("a lock file that npm ci would refuse is found", () => {
  const packages = {
    "node_modules/a": { optionalDependencies: { "@a/linux": "1", "@a/windows": "1", "@a/darwin": "1" } },
    "node_modules/a/node_modules/@a/windows": {},
    "node_modules/@a/linux": {},
  };

  expect(checkLock(madeUp("package-lock.json", JSON.stringify({ packages })))).toEqual([
    "package-lock.json: node_modules/a may need @a/darwin, which has no entry",
  ]);
});

describe("a machine's path is found", () => {
  const machine = machinePaths("/builds/agent-7/coterie", path("home", "somebody"));

  test.each([
    ["the checkout", "cd /builds/agent-7/coterie && ls"],
    ["beside the checkout", `const x = "/builds/agent-7/other/file";`],
    ["a home", `see ${path("home", "anybody", "notes")}`],
    ["a home of another system", `(${path("Users", "anybody", "notes")})`],
  ])("%s", (_, text) => {
    expect(checkPaths(madeUp("a.ts", text), machine)).toHaveLength(1);
  });

  test.each([
    ["a common folder", "mkdir /tmp/x /data /usr/bin"],
    ["the middle of a path", "ls ./builds/agent-7/coterie node_modules/home/x /builds-of-others/x"],
    ["the middle of an address", "https://example.org/builds/x"],
  ])("and not in %s", (_, text) => {
    expect(checkPaths(madeUp("a.ts", text), machine)).toEqual([]);
  });

  test("but a common folder as home or checkout says nothing", () => {
    expect(machinePaths("/app", "/root")).toEqual([]);
  });
});
