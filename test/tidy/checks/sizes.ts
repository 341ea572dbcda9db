/**
 * How large things may be, so that a file fits in a head: files, functions, lines, folders. A test's
 * `describe` is a function too, so in tests a function counts without the functions inside it.
 */
import { posix } from "node:path";

import { commentsOf, type Piece, walk } from "../syntax.ts";
import { codeIn, type Finding, findingAt, isIn, lineAt, type TreeFile } from "../tree.ts";

const CODE_FOLDERS: readonly string[] = [
  "src", "middleware", "dashboard", "test", "bench", "examples", "scripts", "docker",
];

export const FILE_LINES_MAX = 500;
export const FUNCTION_LINES_MAX = 70;
export const LINE_CHARS_MAX = 110;
/** A header is 15 lines of text at most, and the two lines of its marks. */
const HEADER_LINES_MAX = 17;
/** About ten: one more than that is where a room should be divided. */
export const FOLDER_FILES_MAX = 12;
/** Folders between `src` and a file. */
const FOLDER_DEPTH_MAX = 3;

/** A test's title is a sentence, and is not broken over two lines. */
const TEST_TITLE = /^\s*test\("[^"]+", (?:async )?\([^)]*\) => \{$/;

const CODE = /\.(?:ts|js|mjs|lua|sh)$/;

/** What a tool writes from files that are checked themselves. */
const GENERATED: ReadonlySet<string> = new Set(["src/locks/scripts/generated.ts"]);

export function checkFiles(files: readonly TreeFile[]): Finding[] {
  const isCode = (path: string): boolean => CODE.test(path) && isIn(path, CODE_FOLDERS);
  return files.filter(({ path }) => isCode(path) && !GENERATED.has(path)).flatMap((file) => {
    const lines = file.text.replace(/\n$/, "").split("\n");
    const findings: Finding[] = [];
    if (lines.length > FILE_LINES_MAX) {
      findings.push(`${file.path}: has ${lines.length} lines, ${FILE_LINES_MAX} are allowed`);
    }
    for (const [at, line] of lines.entries()) {
      const chars = charsOf(line);
      if (chars <= LINE_CHARS_MAX || TEST_TITLE.test(line)) continue;
      findings.push(`${file.path}:${at + 1}: has ${chars} characters, ${LINE_CHARS_MAX} are allowed`);
    }
    return findings;
  });
}

export function checkFunctions(files: readonly TreeFile[]): Finding[] {
  return codeIn(files, ...CODE_FOLDERS).flatMap((file) => {
    const countsInner = !isIn(file.path, ["test"]);
    return functionsOf(file).flatMap(({ piece, lines, innerLines }) => {
      const counted = countsInner ? lines : lines - innerLines;
      if (counted <= FUNCTION_LINES_MAX) return [];
      return [
        findingAt(file, piece.start, `a function of ${counted} lines, ${FUNCTION_LINES_MAX} are allowed`),
      ];
    });
  });
}

/** Each file opens with a comment that says what it is; of a test, the names of its suites say that. */
export function checkHeaders(files: readonly TreeFile[]): Finding[] {
  const code = codeIn(files, ...CODE_FOLDERS).filter(({ path }) => !path.endsWith(".test.ts"));
  return code.flatMap((file) => {
    const [header] = commentsOf(file);
    const before = file.text.slice(0, header?.start).replace(/^#!.*/, "").trim();
    if (header === undefined || before !== "" || !header.value.startsWith("*")) {
      return [`${file.path}: opens without a /** header */ that says what it is`];
    }
    const lines = header.value.split("\n").length;
    return lines > HEADER_LINES_MAX
      ? [`${file.path}: its header has ${lines} lines, ${HEADER_LINES_MAX} are allowed`]
      : [];
  });
}

export function checkFolders(files: readonly TreeFile[]): Finding[] {
  const counts = new Map<string, number>();
  for (const { path } of files.filter((file) => isIn(file.path, ["src", "middleware"]))) {
    const folder = posix.dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  const findings: Finding[] = [];
  for (const [folder, count] of counts) {
    const depth = folder.split("/").length - 1;
    if (count > FOLDER_FILES_MAX)
      findings.push(`${folder}: has ${count} files, ${FOLDER_FILES_MAX} are allowed`);
    if (depth > FOLDER_DEPTH_MAX)
      findings.push(`${folder}: is ${depth} deep, ${FOLDER_DEPTH_MAX} are allowed`);
  }
  return findings;
}

/** Code points: a pair of surrogates is one. */
function charsOf(line: string): number {
  return line.replaceAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, "?").length;
}

interface SizedFunction {
  readonly piece: Piece;
  readonly lines: number;
  /** Lines of the functions directly inside it, less the first of each. */
  innerLines: number;
}

function functionsOf(file: TreeFile): SizedFunction[] {
  const found = new Map<Piece, SizedFunction>();
  walk(file, (piece, parents) => {
    if (!isFunction(piece)) return;
    const lines = lineAt(file.text, piece.end - 1) - lineAt(file.text, piece.start) + 1;
    found.set(piece, { piece, lines, innerLines: 0 });
    const outer = parents.findLast(isFunction);
    if (outer !== undefined) (found.get(outer) as SizedFunction).innerLines += lines - 1;
  });
  return [...found.values()];
}

function isFunction(piece: Piece): boolean {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(piece.type);
}
