/**
 * Lua scripts: one a file, named `name-keyCount.lua` (`-n` for any number), opened by a header that
 * lists KEYS and ARGV, what comes back, and why the whole must be atomic.
 */
import type { Finding, TreeFile } from "../tree.ts";

const NAME = /\/[a-z][a-z0-9-]*-(?<keyCount>\d+|n)\.lua$/;
/** What scripts include is none by itself. */
const PART = /\/scripts\/parts\/[a-z-]+\.lua$/;
const HEADER_WORDS = ["KEYS", "ARGV", "Returns", "Atomic"];

export function checkScripts(files: readonly TreeFile[]): Finding[] {
  return files.filter(({ path }) => path.endsWith(".lua") && !PART.test(path)).flatMap((file) => {
    const keyCount = NAME.exec(file.path)?.groups?.["keyCount"];
    if (keyCount === undefined) return [`${file.path}: is not named name-keyCount.lua`];
    const header = /^(?:--.*(?:\n|$))*/.exec(file.text)?.[0] ?? "";
    const findings = HEADER_WORDS.filter((word) => !header.includes(word)).map(
      (word) => `${file.path}: its header does not say "${word}"`,
    );
    const used = keysUsed(file.text);
    if (keyCount !== "n" && used > Number(keyCount)) {
      findings.push(`${file.path}: uses KEYS[${used}], its name says ${keyCount}`);
    }
    return findings;
  });
}

function keysUsed(text: string): number {
  return Math.max(
    0,
    ...[...text.matchAll(/\bKEYS\[(?<nth>\d+)\]/g)].map(({ groups }) => Number(groups?.["nth"])),
  );
}
