/**
 * TypeScript files as syntax trees. TypeScript 7 has no compiler API, so oxc-parser parses; this file is
 * the only one that knows it. A "piece" is one element of the tree (ESTree with TypeScript's types).
 */
import { type Comment, type Node as Piece, parseSync, type Program, visitorKeys } from "oxc-parser";

import type { TreeFile } from "./tree.ts";

export type { Comment, Piece };

interface Syntax {
  readonly program: Program;
  readonly comments: readonly Comment[];
}

/** One place where a file names another module. */
export interface ModuleReference {
  /** What stands between the quotes; undefined when it is computed. */
  readonly specifier: string | undefined;
  /** True when nothing is left of it at run time. */
  readonly typeOnly: boolean;
  /** The names that are imported, in the words of the other module. */
  readonly names: readonly string[];
  readonly offset: number;
}

const parsed = new WeakMap<TreeFile, Syntax>();

export function commentsOf(file: TreeFile): readonly Comment[] {
  return syntaxOf(file).comments;
}

/** Visits every piece of the file, outer ones first; `parents` ends with the direct parent. */
export function walk(file: TreeFile, visit: (piece: Piece, parents: readonly Piece[]) => void): void {
  const parents: Piece[] = [];
  const enter = (piece: Piece): void => {
    visit(piece, parents);
    parents.push(piece);
    for (const key of visitorKeys[piece.type] ?? []) {
      const child = (piece as unknown as Record<string, unknown>)[key];
      for (const one of Array.isArray(child) ? child : [child]) {
        if (isPiece(one)) enter(one);
      }
    }
    parents.pop();
  };
  enter(syntaxOf(file).program);
}

/** Every module that the file names: imports, re-exports, `import()` and import types. */
export function modulesNamedBy(file: TreeFile): ModuleReference[] {
  const references: ModuleReference[] = [];
  walk(file, (piece) => {
    const found = referenceOf(piece);
    if (found !== undefined) references.push({ ...found, offset: piece.start });
  });
  return references;
}

/** The text of a string literal, or of a template without holes. */
export function literalText(piece: Piece | null | undefined): string | undefined {
  if (piece?.type === "Literal" && typeof piece.value === "string") return piece.value;
  if (piece?.type !== "TemplateLiteral" || piece.expressions.length > 0) return undefined;
  return piece.quasis[0]?.value.cooked ?? undefined;
}

/** The name of an identifier or of a plain property key. */
export function nameOf(piece: Piece | null | undefined): string | undefined {
  return piece?.type === "Identifier" ? piece.name : literalText(piece);
}

/** True where an identifier stands for a value or a type in scope, not for a property's or a label's name. */
export function isReference(piece: Piece, parent: Piece | undefined): boolean {
  if (piece.type !== "Identifier") return false;
  switch (parent?.type) {
    case "MemberExpression":
      return parent.object === piece || parent.computed;
    case "Property":
      return parent.value === piece || parent.computed;
    case "MethodDefinition":
    case "PropertyDefinition":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.key !== piece || parent.computed;
    case "TSQualifiedName":
      return parent.left === piece;
    case "ImportSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
      return false;
    default:
      return true;
  }
}

function syntaxOf(file: TreeFile): Syntax {
  let syntax = parsed.get(file);
  if (syntax === undefined) {
    const { program, comments, errors } = parseSync(file.path, file.text, { sourceType: "module" });
    const [first] = errors;
    if (first !== undefined) throw new Error(`${file.path} does not parse: ${first.message}`);
    syntax = { program, comments };
    parsed.set(file, syntax);
  }
  return syntax;
}

function referenceOf(piece: Piece): Omit<ModuleReference, "offset"> | undefined {
  switch (piece.type) {
    case "ImportDeclaration": {
      const names = piece.specifiers.map((one) =>
        one.type === "ImportSpecifier" ? nameOf(one.imported) : "*",
      );
      return reference(piece.source, piece.importKind === "type", names);
    }
    case "ExportNamedDeclaration": {
      if (piece.source === null) return undefined;
      const names = piece.specifiers.map((one) => nameOf(one.local));
      return reference(piece.source, piece.exportKind === "type", names);
    }
    case "ExportAllDeclaration":
      return reference(piece.source, piece.exportKind === "type", ["*"]);
    case "ImportExpression":
      return reference(piece.source, false, ["*"]);
    case "TSImportType":
      return reference(piece.source, true, ["*"]);
    case "TSExternalModuleReference":
      return reference(piece.expression, false, ["*"]);
    default:
      return undefined;
  }
}

function reference(
  source: Piece | undefined,
  typeOnly: boolean,
  names: readonly (string | undefined)[],
): Omit<ModuleReference, "offset"> {
  return { specifier: literalText(source), typeOnly, names: names.map((name) => name ?? "default") };
}

function isPiece(value: unknown): value is Piece {
  return typeof (value as { type?: unknown } | null | undefined)?.type === "string";
}
