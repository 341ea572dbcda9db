/**
 * What users read: each group of exports in `src/index.ts` has a line that says what it is, and each
 * field of an options object says what it means.
 */
import { commentsOf, modulesNamedBy, nameOf, type Piece, walk } from "../syntax.ts";
import { codeIn, type Finding, findingAt, type TreeFile } from "../tree.ts";

const SURFACE = "src/index.ts";
/** Fewer characters than this are no sentence. */
const PROSE_CHARS_MIN = 12;

export function checkSurface(files: readonly TreeFile[]): Finding[] {
  const surface = files.find(({ path }) => path === SURFACE);
  if (surface === undefined) return [`${SURFACE}: is missing`];
  const findings: Finding[] = [];
  walk(surface, (piece, parents) => {
    if (parents.length !== 1 || !piece.type.startsWith("Export")) return;
    if (!hasCommentAbove(surface, piece)) {
      findings.push(findingAt(surface, piece.start, "an export without a line of prose directly above it"));
    }
  });
  return findings;
}

/** Fields of each `SomethingOptions` that some `index.ts` gives out, at any depth. */
export function checkOptionDocs(files: readonly TreeFile[]): Finding[] {
  const code = codeIn(files, "src", "middleware");
  const exported = new Set(code.flatMap(optionsGivenOut));
  return code.flatMap((file) => {
    const findings: Finding[] = [];
    walk(file, (piece, parents) => {
      if (piece.type !== "TSPropertySignature" && piece.type !== "TSMethodSignature") return;
      // A literal type says by itself which kind of options this is.
      if (
        piece.type === "TSPropertySignature" &&
        piece.typeAnnotation?.typeAnnotation.type === "TSLiteralType"
      )
        return;
      if (!parents.some((one) => exported.has(declaredName(one))) || hasCommentAbove(file, piece, "/**"))
        return;
      findings.push(findingAt(file, piece.start, `option ${nameOf(piece.key) ?? "?"} has no doc comment`));
    });
    return findings;
  });
}

function optionsGivenOut(file: TreeFile): string[] {
  if (!file.path.endsWith("/index.ts")) return [];
  return modulesNamedBy(file).flatMap(({ names }) => names.filter((name) => name.endsWith("Options")));
}

function declaredName(piece: Piece): string {
  const declares = piece.type === "TSInterfaceDeclaration" || piece.type === "TSTypeAliasDeclaration";
  return declares ? piece.id.name : "";
}

/** True when a comment with some words ends on the line above the piece. */
function hasCommentAbove(file: TreeFile, piece: Piece, opening = "/"): boolean {
  return commentsOf(file).some(({ start, end, value }) => {
    const between = file.text.slice(end, piece.start);
    const isAbove = end <= piece.start && /^[^\S\n]*\n[^\S\n]*$/.test(between);
    return isAbove && file.text.startsWith(opening, start) && value.trim().length >= PROSE_CHARS_MIN;
  });
}
