/**
 * The repository as data: every text file of the checkout that Git would keep. A check is a pure
 * function from such files to findings, so that a test can also hand it a file that breaks the rule:
 * a check that cannot fail is a defect.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** One file; `path` is relative to the repository's root, with slashes. */
export interface TreeFile {
  readonly path: string;
  readonly text: string;
}

/** What a check found: `path:line: problem`, or `path: problem` when it concerns the whole file. */
export type Finding = string;

export const ROOT: string = resolve(import.meta.dirname, "../..");

/** Every text file of the checkout, without what `.gitignore` names. */
export function readTree(root: string = ROOT): TreeFile[] {
  const ignored = ignoredNames(readFileSync(join(root, ".gitignore"), "utf8"));
  const files: TreeFile[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.name === ".git" || ignored(entry.name)) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) {
        const text = readFileSync(join(root, path), "utf8");
        if (!text.includes("\0")) files.push({ path, text });
      }
    }
  };
  visit("");
  return files;
}

/** A file that a test makes up for a check to look at. */
export function madeUp(path: string, ...lines: readonly string[]): TreeFile[] {
  return [{ path, text: lines.join("\n") }];
}

/** The TypeScript files below these folders. */
export function codeIn(files: readonly TreeFile[], ...folders: readonly string[]): TreeFile[] {
  return files.filter(({ path }) => path.endsWith(".ts") && isIn(path, folders));
}

export function isIn(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** A finding at the line of this offset into the file. */
export function findingAt(file: TreeFile, offset: number, problem: string): Finding {
  return `${file.path}:${lineAt(file.text, offset)}: ${problem}`;
}

/** The number of the line, from 1, on which the offset stands. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** `.gitignore` here knows two forms, `folder/` and `*.ending`; anything else is an error. */
function ignoredNames(text: string): (name: string) => boolean {
  const names = new Set<string>();
  const endings: string[] = [];
  for (const line of text.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) {
    if (/^\*\.\w+$/.test(line)) endings.push(line.slice(1));
    else if (/^[\w.-]+\/?$/.test(line)) names.add(line.replace(/\/$/, ""));
    else throw new Error(`.gitignore: teach test/tidy/tree.ts the form of ${JSON.stringify(line)}`);
  }
  return (name) => names.has(name) || endings.some((ending) => name.endsWith(ending));
}
