/**
 * Puts the text of the Lua scripts into a TypeScript file, so that the published package has them
 * whatever bundler it goes through. A tidy test compares that file with the scripts.
 *
 *   npm run embed-lua
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";

/** `--@include parts/name.lua`, alone on its line. */
const INCLUDE = /^--@include (\S+)\n/gm;
const FOLDER = "src/locks/scripts";
const HEADER = `/**
 * The Lua scripts of this folder as text. Written by \`npm run embed-lua\`: change the .lua files, not this.
 */
`;

/** Where the embedded text stands, from the repository's root. */
export const GENERATED: string = join(FOLDER, "generated.ts");

/** The whole text that `generated.ts` must have. */
export function embeddedLua(root: string): string {
  const folder = join(root, FOLDER);
  const files = readdirSync(folder).filter((file) => file.endsWith(".lua")).toSorted();
  return HEADER + files.map((file) => constant(file, whole(folder, file))).join("");
}

/** With its parts in the place of the lines that name them: a script that no head holds is several files. */
function whole(folder: string, file: string): string {
  const text = readFileSync(join(folder, file), "utf8");
  return text.replaceAll(INCLUDE, (_, part: string) => readFileSync(join(folder, part), "utf8"));
}

function constant(file: string, text: string): string {
  const name = file.replace(/\.lua$/, "").replaceAll(/-(\w)/g, (_, first: string) => first.toUpperCase());
  const escaped = text.replaceAll(/[\\`]|\$\{/g, (special) => `\\${special}`);
  return `\n// ${file}\nexport const ${name}Source: string = \`${escaped}\`;\n`;
}

const program = argv[1];
if (program !== undefined && import.meta.url === pathToFileURL(program).href) {
  writeFileSync(GENERATED, embeddedLua("."));
}
