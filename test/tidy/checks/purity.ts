/**
 * Where time and chance come from. The pure rooms know neither, nor timers, nor waiting; everywhere
 * else in the package they are arguments, and only `src/env` asks the system for them.
 */
import { ENV_ROOM, type Room, ROOMS } from "../layers.ts";
import { isReference, modulesNamedBy, nameOf, type Piece, walk } from "../syntax.ts";
import { codeIn, type Finding, findingAt, isIn, type TreeFile } from "../tree.ts";
import { PACKAGE_FOLDERS, roomOf } from "./imports.ts";

/** Globals that a pure room may not name at all. */
const IMPURE_GLOBALS = new Set([
  "Date", "performance", "process", "crypto", "fetch", "globalThis", "Buffer", "require", "queueMicrotask",
  "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate",
]);

/** Globals that are time itself. */
const TIME_GLOBALS = new Set(["performance", "setTimeout", "setInterval"]);

/** Members that are time or chance, by the global they belong to; `*` is every member. */
const TIME_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Date: ["now"],
  Math: ["random"],
  AbortSignal: ["timeout"],
  process: ["hrtime", "uptime"],
  globalThis: ["performance", "setTimeout", "setInterval", "Date"],
};

/** Names that modules of Node.js give to time. */
const TIME_MODULES: Readonly<Record<string, readonly string[]>> = {
  "node:timers": ["setTimeout", "setInterval", "*", "default"],
  "node:timers/promises": ["setTimeout", "setInterval", "scheduler", "*", "default"],
  "node:perf_hooks": ["performance", "*", "default"],
};

/** The pure rooms: no clock, chance, timer, process or await. (`imports.ts` forbids them node:*.) */
export function checkPurity(files: readonly TreeFile[], rooms: readonly Room[] = ROOMS): Finding[] {
  const pure = rooms.filter((room) => room.pure === true).map(({ path }) => path);
  return codeIn(files, ...pure).flatMap((file) => {
    const findings: Finding[] = [];
    walk(file, (piece, parents) => {
      const what = impureWord(piece, parents.at(-1)) ?? timeWord(piece, parents.at(-1));
      if (what !== undefined) findings.push(findingAt(file, piece.start, `a pure room uses ${what}`));
    });
    return findings;
  });
}

/** Every other room but `src/env`: time and chance come as arguments. */
export function checkTime(files: readonly TreeFile[], rooms: readonly Room[] = ROOMS): Finding[] {
  return codeIn(files, ...PACKAGE_FOLDERS).flatMap((file) => {
    if (isIn(file.path, [ENV_ROOM]) || roomOf(file.path, rooms)?.pure === true) return [];
    const findings: Finding[] = [];
    const report = (offset: number, what: string): void => {
      findings.push(findingAt(file, offset, `uses ${what}; only ${ENV_ROOM} may, others take an Env`));
    };
    walk(file, (piece, parents) => {
      const what = timeWord(piece, parents.at(-1));
      if (what !== undefined) report(piece.start, what);
    });
    for (const { specifier = "", names, offset } of modulesNamedBy(file)) {
      const found = names.find((name) => TIME_MODULES[specifier]?.includes(name));
      if (found !== undefined) report(offset, `${found} of ${specifier}`);
    }
    return findings;
  });
}

function impureWord(piece: Piece, parent: Piece | undefined): string | undefined {
  if (piece.type === "AwaitExpression" || (piece.type === "ForOfStatement" && piece.await)) return "await";
  if (isFunction(piece) && piece.async) return "an async function";
  if (piece.type !== "Identifier" || !isReference(piece, parent)) return undefined;
  return IMPURE_GLOBALS.has(piece.name) ? piece.name : undefined;
}

function timeWord(piece: Piece, parent: Piece | undefined): string | undefined {
  if (piece.type === "NewExpression" || piece.type === "CallExpression") {
    const isDate = piece.callee.type === "Identifier" && piece.callee.name === "Date";
    if (isDate && (piece.type === "CallExpression" || piece.arguments.length === 0))
      return "the current Date";
  }
  if (piece.type === "MemberExpression" && piece.object.type === "Identifier") {
    const member = nameOf(piece.property) ?? "";
    if (TIME_MEMBERS[piece.object.name]?.includes(member) === true) return `${piece.object.name}.${member}`;
  }
  if (piece.type !== "Identifier" || !isReference(piece, parent)) return undefined;
  if (TIME_GLOBALS.has(piece.name)) return piece.name;
  // `const { random } = Math` and `const m = Math` would hide what comes next.
  const hides = Object.hasOwn(TIME_MEMBERS, piece.name) && parent?.type === "VariableDeclarator";
  return hides ? `${piece.name} under another name` : undefined;
}

function isFunction(piece: Piece): piece is Piece & { async: boolean } {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(piece.type);
}
