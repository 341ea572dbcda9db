/**
 * Plants a bug: a copy of the tree with one line made wrong, compiled and run apart, so that what is broken
 * is the very code that ships, and a bug that loops for ever is ended from outside. A bug whose text is not
 * there any more is an error and not a pass.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export interface PlantedBug {
  /** What is broken, in words. */
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The test file that fails with it, beside the simulator. */
  readonly foundBy?: string;
}

export interface FoundBySeeds {
  /** How many seeds it took; undefined when it was not found. */
  readonly seeds: number | undefined;
  /** What was broken: a promise, an invariant, or an end in time. */
  readonly what: string;
}

const COPIED = ["src", "test", "package.json", "tsconfig.base.json", "tsconfig.sim.json", "vitest.config.ts"];
/** The simulator looks for so long at most. */
const SECONDS_MAX = 100;
/** Whoever has not ended by then never does. */
const END_SECONDS_MAX = SECONDS_MAX + 60;

const children = new Set<ChildProcess>();
let isStopped = false;

/** Ends whatever runs on a copy, so that the copies are taken away. */
export function stopPlanting(): void {
  isStopped = true;
  for (const child of children) child.kill("SIGKILL");
}

/** Gives a folder with the bug in it, and takes it away afterwards. */
export async function planted<T>(
  { name, file, from, to }: PlantedBug,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "coterie-planted-"));
  try {
    for (const path of COPIED) await cp(path, join(folder, path), { recursive: true });
    await symlink(resolve("node_modules"), join(folder, "node_modules"));
    const path = join(folder, file);
    const pieces = (await readFile(path, "utf8")).split(from);
    if (pieces.length !== 2)
      throw new Error(`${name}: ${file} has its text ${pieces.length - 1} times, not once`);
    await writeFile(path, pieces.join(to));
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Compiles the simulator of the copy. */
export async function compile(folder: string): Promise<void> {
  const tsc = "node_modules/typescript/bin/tsc";
  const { code, output } = await run(folder, [tsc, "-p", "tsconfig.sim.json", "--noCheck"]);
  if (code !== 0) throw new Error(`it does not compile: ${output}`);
}

/** Runs seeds from 1 on until one breaks a promise. */
export async function findBySeeds(folder: string, seedsMax: number): Promise<FoundBySeeds> {
  await compile(folder);
  const { code, output } = await run(folder, [
    ".build/sim/test/sim/main.js",
    "--from",
    "1",
    "--seeds",
    `${seedsMax}`,
    "--seconds",
    `${SECONDS_MAX}`,
    "--until-broken",
  ]);
  if (code === 0) return { seeds: undefined, what: "" };
  const broken = /^seed (\d+), .*?BROKEN (.*)$/m.exec(output);
  // Ended from outside, or by an error of the simulator's own: that is a finding, in some seed.
  if (broken === null) return { seeds: seedsMax, what: code === undefined ? "no end" : output.slice(-300) };
  return { seeds: Number(broken[1]), what: promiseOf(broken[2] ?? "") };
}

/** Whether this test file fails. */
export async function failsTest(folder: string, file: string): Promise<boolean> {
  const { code, output } = await run(folder, [
    "node_modules/vitest/vitest.mjs",
    "run",
    file,
    "--root",
    folder,
  ]);
  // A file without tests is no finding, and neither is a run that could not start.
  if (code === undefined) return true;
  return code !== 0 && /Tests .*failed/.test(output);
}

interface Ended {
  /** undefined: it was ended because its time was over. */
  readonly code: number | undefined;
  readonly output: string;
}

function run(folder: string, args: readonly string[]): Promise<Ended> {
  return new Promise((done, fail) => {
    if (isStopped) throw new Error("planting was stopped");
    const env = { ...process.env, NO_COLOR: "1" };
    const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let output = "";
    const take = (text: Buffer) => (output += text.toString());
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, END_SECONDS_MAX * 1_000);
    child.once("error", fail);
    child.once("close", (code) => {
      clearTimeout(timer);
      children.delete(child);
      done({ code: isLate ? undefined : (code ?? 1), output });
    });
  });
}

/** `R6`, `liveness`, or the invariant's own sentence. */
function promiseOf(text: string): string {
  const invariant = /broken invariant: (.*)/.exec(text);
  if (invariant !== null) return `invariant: ${invariant[1]}`;
  return /^(R\d+|liveness)/.exec(text)?.[1] ?? text.slice(0, 80);
}
