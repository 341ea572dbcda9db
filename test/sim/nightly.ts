/**
 * `npm run sim:nightly -- --minutes M` runs the simulator on every core for so long (default 480), each from
 * a first seed of its own, and hands their lines on. The exit code is 1 when one saw a broken promise. It is
 * ended by a signal like any program, and takes its processes with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const MAIN = join(import.meta.dirname, "main.js");

const { values } = parseArgs({ options: { minutes: { type: "string", default: "480" } } });
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes < 10_000)) {
  process.stderr.write(`--minutes takes a number above 0 and below 10000, got ${values.minutes}\n`);
  process.exit(2);
}

const children: ChildProcess[] = [];
const ends = Array.from({ length: availableParallelism() }, async (_, at): Promise<number> => {
  const args = [MAIN, "--seconds", String(Math.ceil(minutes * 60))];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => process.stdout.write(text.replaceAll(/^(?=.)/gm, `${at + 1}: `)));
  return new Promise((done) => child.once("close", (code) => done(code ?? 1)));
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill(signal);
  });
}
process.exitCode = (await Promise.all(ends)).every((code) => code === 0) ? 0 : 1;
