/**
 * No file reaches itself through imports, types included: a cycle of types is two files that cannot be
 * understood one after the other.
 */
import { modulesNamedBy } from "../syntax.ts";
import { codeIn, type Finding, type TreeFile } from "../tree.ts";
import { PACKAGE_FOLDERS, targetOf } from "./imports.ts";

/** One finding per cycle: the files on it, from the one that the search met first. */
export function checkCycles(files: readonly TreeFile[]): Finding[] {
  const targets = new Map<string, string[]>();
  for (const file of codeIn(files, ...PACKAGE_FOLDERS)) {
    const specifiers = modulesNamedBy(file).map(({ specifier }) => specifier);
    targets.set(
      file.path,
      specifiers.flatMap((one) => (one?.startsWith(".") === true ? [targetOf(file, one)] : [])),
    );
  }
  const findings: Finding[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const enter = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) findings.push(`${path}: import cycle: ${[...trail.slice(at), path].join(" -> ")}`);
    if (at >= 0 || done.has(path)) return;
    trail.push(path);
    for (const target of targets.get(path) ?? []) enter(target);
    trail.pop();
    done.add(path);
  };
  for (const path of targets.keys()) enter(path);
  return findings;
}
