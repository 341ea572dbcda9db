/**
 * The error codes: the list in `src/errors.ts` and the sections of `docs/errors.md` are the same, and
 * each code is one that the package raises somewhere.
 */
import { literalText, nameOf, type Piece, walk } from "../syntax.ts";
import { codeIn, type Finding, lineAt, type TreeFile } from "../tree.ts";

const LIST = "src/errors.ts";
const DOCS = "docs/errors.md";

/** What each section says, in these words at the start of a line. */
const SECTION_PARTS = ["**Retryable:**", "**What to do:**"];

export function checkErrorDocs(files: readonly TreeFile[]): Finding[] {
  const codes = errorCodes(files);
  const docs = files.find(({ path }) => path === DOCS);
  if (docs === undefined) return [`${DOCS}: is missing`];
  const sections = sectionsOf(docs);
  const findings: Finding[] = [];
  for (const code of codes) {
    if (!sections.some((section) => section.code === code))
      findings.push(`${DOCS}: has no section "### ${code}"`);
  }
  const seen = new Set<string>();
  for (const { code, line, text } of sections) {
    if (!codes.includes(code)) findings.push(`${DOCS}:${line}: ${code} is not in ERROR_CODES of ${LIST}`);
    if (seen.has(code)) findings.push(`${DOCS}:${line}: ${code} is there twice`);
    seen.add(code);
    for (const part of SECTION_PARTS) {
      if (!text.includes(`\n${part} `)) findings.push(`${DOCS}:${line}: ${code} does not say "${part}"`);
    }
  }
  return findings;
}

/** A code that nothing raises is a promise to nobody. Being asked for, as in `is(error, code)`, is no use. */
export function checkErrorUse(files: readonly TreeFile[]): Finding[] {
  const raised = new Set<string>();
  for (const file of codeIn(files, "src", "middleware")) {
    walk(file, (piece, parents) => {
      const text = literalText(piece);
      if (text !== undefined && !isOnlyAskedFor(parents)) raised.add(text);
    });
  }
  return errorCodes(files)
    .filter((code) => !raised.has(code))
    .map((code) => `${LIST}: nothing in src or middleware raises ${code}`);
}

/** The elements of the array `ERROR_CODES`. */
export function errorCodes(files: readonly TreeFile[]): string[] {
  const codes: string[] = [];
  for (const file of files.filter(({ path }) => path === LIST)) {
    walk(file, (piece, parents) => {
      if (literalText(piece) !== undefined && isInList(parents)) codes.push(literalText(piece) as string);
    });
  }
  if (codes.length === 0) throw new Error(`${LIST} has no array ERROR_CODES`);
  return codes;
}

interface Section {
  readonly code: string;
  readonly line: number;
  readonly text: string;
}

function sectionsOf(docs: TreeFile): Section[] {
  const headings = [...docs.text.matchAll(/^### (?<code>.+)$/gm)];
  return headings.map((heading, at) => ({
    code: (heading.groups?.["code"] ?? "").replaceAll("`", "").trim(),
    line: lineAt(docs.text, heading.index),
    text: docs.text.slice(heading.index, headings[at + 1]?.index),
  }));
}

function isInList(parents: readonly Piece[]): boolean {
  return parents.some((one) => one.type === "VariableDeclarator" && nameOf(one.id) === "ERROR_CODES");
}

function isOnlyAskedFor(parents: readonly Piece[]): boolean {
  if (isInList(parents)) return true;
  const parent = parents.at(-1);
  if (parent?.type === "BinaryExpression" || parent?.type === "SwitchCase") return true;
  if (parent?.type === "TSLiteralType") return true;
  if (parent?.type === "ArrayExpression")
    return parents.at(-2)?.type === "NewExpression" && isSet(parents.at(-2));
  if (parent?.type !== "CallExpression" || parent.callee.type !== "MemberExpression") return false;
  return nameOf(parent.callee.object) === "CoterieError" && nameOf(parent.callee.property) === "is";
}

function isSet(piece: Piece | undefined): boolean {
  return piece?.type === "NewExpression" && nameOf(piece.callee) === "Set";
}
