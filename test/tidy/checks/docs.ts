/**
 * What the documents say is there: relative links lead to files, and each promise in
 * `docs/guarantees.md` names tests that exist, by file and title.
 */
import { posix } from "node:path";

import { literalText, walk } from "../syntax.ts";
import { type Finding, findingAt, type TreeFile } from "../tree.ts";

const PROMISES = "docs/guarantees.md";
/** Under this heading each `### ` section is a promise that holds now. */
const HELD = "## Holds now";

export function checkLinks(files: readonly TreeFile[]): Finding[] {
  const paths = new Set<string>();
  for (const { path } of files) {
    for (let part = path; part !== "."; part = posix.dirname(part)) paths.add(part);
  }
  return files.filter(({ path }) => path.endsWith(".md")).flatMap((file) =>
    [...file.text.matchAll(/\]\((?<target>[^)\s#]+)(?:#[^)\s]*)?\)/g)].flatMap((link) => {
      const target = link.groups?.["target"] ?? "";
      if (/^[a-z]+:/i.test(target)) return [];
      const path = posix.join(posix.dirname(file.path), target).replace(/\/$/, "");
      return paths.has(path) ? [] : [findingAt(file, link.index, `links to ${path}, which is not there`)];
    }),
  );
}

/** A test is named as `path`: "title". */
export function checkPromises(files: readonly TreeFile[]): Finding[] {
  const file = files.find(({ path }) => path === PROMISES);
  if (file === undefined) return [`${PROMISES}: is missing`];
  const start = file.text.indexOf(HELD);
  if (start < 0) return [`${PROMISES}: has no heading "${HELD}"`];
  const end = file.text.indexOf("\n## ", start + HELD.length);
  const held = file.text.slice(start, end < 0 ? undefined : end);
  const promises = [...held.matchAll(/^### (?<name>.+)$/gm)];
  if (promises.length === 0) return [`${PROMISES}: promises nothing`];
  return promises.flatMap((promise, at) => {
    const text = held.slice(promise.index, promises[at + 1]?.index);
    const named = [...text.matchAll(/`(?<path>test\/[^`]+)`: "(?<title>[^"]+)"/g)];
    const report = (offset: number, problem: string): Finding =>
      findingAt(file, start + promise.index + offset, problem);
    if (named.length === 0) return [report(0, `no test attacks "${promise.groups?.["name"]}"`)];
    return named.flatMap(({ index, groups }) => {
      const test = files.find(({ path }) => path === groups?.["path"]);
      if (test === undefined) return [report(index, `there is no ${groups?.["path"]}`)];
      if (titlesOf(test).has(groups?.["title"] ?? "")) return [];
      return [report(index, `${test.path} has no test "${groups?.["title"]}"`)];
    });
  });
}

/** The titles of a file's suites and tests: every literal that is a call's first argument. */
function titlesOf(file: TreeFile): Set<string> {
  const titles = new Set<string>();
  walk(file, (piece) => {
    if (piece.type !== "CallExpression") return;
    const title = literalText(piece.arguments[0]);
    if (title !== undefined) titles.add(title);
  });
  return titles;
}
