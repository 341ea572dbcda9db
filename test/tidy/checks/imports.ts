/**
 * The layer table, held against every place where a file of the package names a module: static and
 * dynamic imports, re-exports, import types. A room is entered by its `index.ts`, so that what others
 * rely on stands in one file.
 */
import { isBuiltin } from "node:module";
import { posix } from "node:path";

import { CONSUMERS, type Room, ROOMS } from "../layers.ts";
import { type ModuleReference, modulesNamedBy } from "../syntax.ts";
import { codeIn, type Finding, findingAt, isIn, type TreeFile } from "../tree.ts";

export const PACKAGE_FOLDERS: readonly string[] = ["src", "middleware", "dashboard"];

export function checkImports(files: readonly TreeFile[], rooms: readonly Room[] = ROOMS): Finding[] {
  return codeIn(files, ...PACKAGE_FOLDERS).flatMap((file) => {
    const room = roomOf(file.path, rooms);
    if (room === undefined)
      return [`${file.path}: stands in no room of test/tidy/layers.ts; give its room a row`];
    return modulesNamedBy(file).flatMap((reference) => {
      const problem = problemOf(file, room, reference, rooms);
      return problem === undefined ? [] : [findingAt(file, reference.offset, problem)];
    });
  });
}

/** Benches, examples and scripts see the package as its users do. */
export function checkConsumers(files: readonly TreeFile[]): Finding[] {
  return codeIn(files, ...CONSUMERS).flatMap((file) =>
    modulesNamedBy(file).flatMap(({ specifier, offset }) => {
      if (specifier?.startsWith(".") !== true || !isIn(targetOf(file, specifier), PACKAGE_FOLDERS)) return [];
      return [findingAt(file, offset, `imports ${specifier}; import "coterie" by its name, as a user does`)];
    }),
  );
}

/** The row of the table to which a path belongs. */
export function roomOf(path: string, rooms: readonly Room[] = ROOMS): Room | undefined {
  return rooms.find((room) => isIn(path, [room.path]));
}

/** The path that a relative import leads to. */
export function targetOf(file: TreeFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier);
}

function problemOf(
  file: TreeFile,
  room: Room,
  reference: ModuleReference,
  rooms: readonly Room[],
): string | undefined {
  const { specifier } = reference;
  if (specifier === undefined)
    return "names a module that is computed; a reader and this check need a literal";
  if (reference.names.includes("createRequire"))
    return "imports createRequire, which would hide what is imported";
  if (!specifier.startsWith(".")) return packageProblem(room, specifier);
  const target = targetOf(file, specifier);
  const other = roomOf(target, rooms);
  if (other === undefined) return `imports ${target}, which stands in no room of test/tidy/layers.ts`;
  if (other === room) return undefined;
  return roomProblem(room, other, reference) ?? doorProblem(other, target);
}

function packageProblem(room: Room, specifier: string): string | undefined {
  if (isBuiltin(specifier)) {
    if (room.pure === true) return `${room.path} is pure and imports ${specifier}`;
    return specifier.startsWith("node:") ? undefined : `imports ${specifier}; write node:${specifier}`;
  }
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (room.packages?.includes(name) === true) return undefined;
  return `${room.path} imports the package ${name}, which its row does not list`;
}

function roomProblem(room: Room, other: Room, { typeOnly }: ModuleReference): string | undefined {
  const pair = `${room.path} (rank ${room.rank}) imports ${other.path} (rank ${other.rank})`;
  if (other.rank >= room.rank) return `${pair}: only rooms of a lower rank may be imported`;
  if (room.only?.includes(other.path) === false)
    return `${pair}: its row allows only ${room.only.join(", ")}`;
  if (room.never?.includes(other.path) === true) return `${pair}: its row says never`;
  if (room.typesOf?.includes(other.path) === true && !typeOnly) return `${pair}: its row allows types alone`;
  return undefined;
}

function doorProblem(other: Room, target: string): string | undefined {
  const door = other.path.endsWith(".ts") ? other.path : `${other.path}/index.ts`;
  return target === door ? undefined : `imports ${target}; a room is entered by its ${door}`;
}
