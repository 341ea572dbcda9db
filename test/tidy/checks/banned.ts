/**
 * What nobody writes here: constructs that hide something (default exports, enums, namespaces, `any`,
 * `private`, an empty catch), tests that do not run, and notes about work that was not done.
 */
import { commentsOf, literalText, nameOf, type Piece, walk } from "../syntax.ts";
import { codeIn, type Finding, findingAt, isIn, type TreeFile } from "../tree.ts";

const CODE_FOLDERS: readonly string[] = [
  "src",
  "middleware",
  "dashboard",
  "test",
  "bench",
  "examples",
  "scripts",
];

/** It keeps the words of the package that it stands in for, default export and error included. */
const FOREIGN_API = "src/redlock";
/** A CoterieError under the name that the package's users catch. */
const FOREIGN_ERROR = "ExecutionError";
/** The one place where declarations are merged: `req.coterie`. */
const MERGES_DECLARATIONS = "middleware/express";

const TEST_FUNCTIONS = new Set(["describe", "test", "it", "suite", "bench"]);
const SKIPPING = new Set(["skip", "only", "todo", "skipIf", "runIf", "fails"]);
const UNDONE = /\b(?:TODO|FIXME|XXX|HACK)\b/;
/** The word that Node.js, the ring, Redis and Raft all claim. */
const CLAIMED_WORD = /^nodes?$/i;

export function checkConstructs(files: readonly TreeFile[]): Finding[] {
  return codeIn(files, ...CODE_FOLDERS).flatMap((file) => {
    const findings: Finding[] = [];
    walk(file, (piece, parents) => {
      const problem = constructProblem(file, piece, parents) ?? packageProblem(file, piece);
      if (problem !== undefined) findings.push(findingAt(file, piece.start, problem));
    });
    return findings;
  });
}

/** Every test runs, and its name states a fact. */
export function checkTests(files: readonly TreeFile[]): Finding[] {
  return codeIn(files, "test").flatMap((file) => {
    const findings: Finding[] = [];
    walk(file, (piece, parents) => {
      const problem = testProblem(piece, parents.at(-1));
      if (problem !== undefined) findings.push(findingAt(file, piece.start, problem));
    });
    return findings;
  });
}

/** No note of work to be done: it is done, or it is an issue. */
export function checkNotes(files: readonly TreeFile[]): Finding[] {
  const inComments = codeIn(files, ...CODE_FOLDERS).flatMap((file) =>
    commentsOf(file).flatMap(({ value, start }) =>
      UNDONE.test(value) ? [findingAt(file, start, "notes work to be done; do it, or open an issue")] : [],
    ),
  );
  const inText = files.flatMap((file) => {
    const at = /\.(?:md|sh|lua|yml|yaml)$/.test(file.path) ? file.text.search(UNDONE) : -1;
    return at < 0 ? [] : [findingAt(file, at, "notes work to be done; do it, or open an issue")];
  });
  return [...inComments, ...inText];
}

function constructProblem(file: TreeFile, piece: Piece, parents: readonly Piece[]): string | undefined {
  switch (piece.type) {
    case "ExportDefaultDeclaration":
      return isIn(file.path, [FOREIGN_API]) ? undefined : "a default export; name it";
    case "ExportSpecifier":
      if (nameOf(piece.exported) !== "default" || isIn(file.path, [FOREIGN_API])) return undefined;
      return "a default export; name it";
    case "TSEnumDeclaration":
      return "an enum; use a union of strings";
    case "TSModuleDeclaration":
      return mergesDeclarations(file, piece, parents) ? undefined : "a namespace; use a module";
    case "TSAnyKeyword":
      return "any; use unknown or say what it is";
    case "TSParameterProperty":
      return "a parameter property; write the field";
    case "PropertyDefinition":
    case "MethodDefinition":
      // A constructor cannot have a #name, and `protected` has no other spelling.
      if (piece.accessibility !== "private" || nameOf(piece.key) === "constructor") return undefined;
      return "the word private; use a #name";
    case "CatchClause":
      return piece.body.body.length === 0
        ? "an empty catch; return, count or wrap what was caught"
        : undefined;
    default:
      return undefined;
  }
}

/** What is banned in the package alone. */
function packageProblem(file: TreeFile, piece: Piece): string | undefined {
  if (!isIn(file.path, ["src", "middleware", "dashboard"])) return undefined;
  if (piece.type === "Identifier" && CLAIMED_WORD.test(piece.name)) {
    return `the bare word "${piece.name}"; say instance, member, peer or process`;
  }
  if (piece.type !== "ThrowStatement" || piece.argument.type !== "NewExpression") return undefined;
  const name = nameOf(piece.argument.callee);
  return name === "CoterieError" || (name === FOREIGN_ERROR && isIn(file.path, [FOREIGN_API]))
    ? undefined
    : `throws a ${name ?? "?"}; users handle CoterieError and its codes`;
}

/**
 * `declare global { namespace Express { ... } }` is the one way to type a request in Express 4 and 5, and
 * `declare module "name"` in a `.d.ts` the one way to type a package that has no types.
 */
function mergesDeclarations(file: TreeFile, piece: Piece, parents: readonly Piece[]): boolean {
  if (piece.type !== "TSModuleDeclaration") return false;
  if (!isIn(file.path, [MERGES_DECLARATIONS]))
    return file.path.endsWith(".d.ts") && piece.id.type === "Literal";
  if (piece.kind === "global") return true;
  const inGlobal = parents.some((one) => one.type === "TSModuleDeclaration" && one.kind === "global");
  return inGlobal && nameOf(piece.id) === "Express";
}

function testProblem(piece: Piece, parent: Piece | undefined): string | undefined {
  if (piece.type === "MemberExpression") {
    const name = nameOf(piece.property) ?? "";
    if (SKIPPING.has(name) && isTestFunction(piece.object) && !isForPlatform(piece, parent)) {
      return `a test that does not run as written (.${name})`;
    }
  }
  if (piece.type !== "CallExpression") return undefined;
  const { callee } = piece;
  if (callee.type === "Identifier" && /^(?:x|f)(?:describe|test|it)$/.test(callee.name)) {
    return `a test that does not run as written (${callee.name})`;
  }
  // A test's own context can skip it: `test("...", ({ skip }) => skip())` and `ctx.skip()`.
  const isSuite = callee.type === "MemberExpression" && isTestFunction(callee.object);
  const called = callee.type === "MemberExpression" ? nameOf(callee.property) : nameOf(callee);
  if (called === "skip" && !isSuite) return "a test that skips itself";
  if (!isTestFunction(callee)) return undefined;
  const title = literalText(piece.arguments[0]) ?? "";
  return /\bshould\b/i.test(title) ? 'a test name with "should"; state the fact' : undefined;
}

/** `test.runIf(process.platform === "linux")`: what looks into /proc is about one platform. */
function isForPlatform(piece: Piece, parent: Piece | undefined): boolean {
  if (piece.type !== "MemberExpression" || nameOf(piece.property) !== "runIf") return false;
  const [condition] = parent?.type === "CallExpression" ? parent.arguments : [];
  if (condition?.type !== "BinaryExpression" || condition.operator !== "===") return false;
  const { left } = condition;
  return (
    left.type === "MemberExpression" &&
    nameOf(left.object) === "process" &&
    nameOf(left.property) === "platform"
  );
}

/** `test`, `test.concurrent`, `describe.each(...)`. */
function isTestFunction(piece: Piece): boolean {
  if (piece.type === "Identifier") return TEST_FUNCTIONS.has(piece.name);
  if (piece.type === "MemberExpression") return isTestFunction(piece.object);
  return piece.type === "CallExpression" && isTestFunction(piece.callee);
}
