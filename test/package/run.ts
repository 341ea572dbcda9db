/**
 * Programs as a user runs them: npm and Node.js in a project's folder, each with a bound on its time.
 * What npm tells its scripts about the project that runs these tests is kept from them.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const RUN_MS_MAX = 120_000;

/** Runs npm, and rejects with what it printed unless it succeeds. */
export async function npm(folder: string, args: readonly string[]): Promise<void> {
  const ended = await run(folder, "npm", args);
  if (ended.code !== 0)
    throw new Error(`npm ${args.join(" ")} ended with ${ended.code}:\n${ended.stdout}${ended.stderr}`);
}

/** Writes the lines to a file in the folder and runs it. */
export async function runNode(folder: string, name: string, lines: readonly string[]): Promise<Ended> {
  await writeFile(join(folder, name), lines.join("\n"));
  const ended = await script(folder, name, []);
  if (ended.code !== 0) throw new Error(`${name} ended with ${ended.code}:\n${ended.stdout}${ended.stderr}`);
  return ended;
}

/** Runs a JavaScript file with this Node.js; whatever its end is. */
export function script(folder: string, path: string, args: readonly string[]): Promise<Ended> {
  return run(folder, process.execPath, [path, ...args]);
}

function run(folder: string, program: string, args: readonly string[]): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|node_options$|vitest)/i.test(name),
  );
  const options = {
    cwd: folder,
    env: Object.fromEntries(inherited),
    timeout: RUN_MS_MAX,
    maxBuffer: 1 << 24,
  };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "number") resolve({ code, stdout, stderr });
      else reject(error);
    });
  });
}
