/**
 * A program in a process of its own, and what it leaves behind. Everything that it starts inherits its
 * TMPDIR, a folder of this run alone: a process that still has it in its environment is a leftover, and
 * so is anything in the folder.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { until } from "./until.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GONE_MS_MAX = 15_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Program {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #folder: string;
  readonly #ended: Promise<Ending>;
  #output = "";

  /** Runs `node` with these words, in the repository's folder; an undefined variable is taken away. */
  constructor(words: readonly string[], variables: Readonly<Record<string, string | undefined>> = {}) {
    this.#folder = mkdtempSync(join(tmpdir(), "coterie-program-"));
    // A session of its own, so that a signal to its group is a Ctrl-C to it alone.
    this.#child = spawn(process.execPath, words, {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, ...variables, TMPDIR: this.#folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (chunk) => (this.#output += String(chunk)));
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output;
  }

  get ended(): Promise<Ending> {
    return this.#ended;
  }

  /** Until it has printed this; fails when it ends without. */
  async printed(text: string, withinMs = 20_000): Promise<void> {
    const hasEnded = () => this.#child.exitCode !== null || this.#child.signalCode !== null;
    await until(`it prints ${text}`, () => this.#output.includes(text) || hasEnded(), withinMs);
    if (!this.#output.includes(text)) throw new Error(`it ended without printing ${text}:\n${this.#output}`);
  }

  /** To it and to what it started in its process group: what a terminal does at Ctrl-C. */
  signalAll(signal: NodeJS.Signals): void {
    process.kill(-this.#pid, signal);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#pid, signal);
  }

  /** Nobody reads what it prints any more. */
  closeOutput(): void {
    this.#child.stdout.destroy();
  }

  /** The processes that it started and that still run. Where there is no /proc, only the folder tells. */
  descendants(): { readonly pid: number; readonly command: string }[] {
    if (!existsSync("/proc/self/environ")) return [];
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== this.#pid)
      .map((name) => ({
        pid: Number(name),
        command: readProc(name, "cmdline"),
        environment: readProc(name, "environ"),
      }))
      .filter(({ environment }) => environment.split("\0").includes(`TMPDIR=${this.#folder}`))
      .map(({ pid, command }) => ({ pid, command: command.replaceAll("\0", " ") }));
  }

  /** Waits for what goes away by itself a moment later; what is still there is ended, and named. */
  async leftovers(): Promise<string[]> {
    await this.#ended;
    const left = () => [...this.descendants().map(({ command }) => command), ...readdirSync(this.#folder)];
    const found = await until("all is gone", () => left().length === 0, GONE_MS_MAX).then(() => [], left);
    this.destroy();
    return found;
  }

  /** Ends it and all that it started; for `afterEach`. */
  destroy(): void {
    for (const { pid } of this.descendants()) endNow(pid);
    if (this.#child.exitCode === null && this.#child.signalCode === null) endNow(this.#pid);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #pid(): number {
    return this.#child.pid as number;
  }
}

/** Empty for a process that has just ended or is not ours. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(code)) return "";
    throw error;
  }
}

function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
