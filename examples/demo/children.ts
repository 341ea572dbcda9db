/**
 * The demo's processes, seen from the demo: started together, stopped together, and noticed when one ends
 * by itself. A process that does not end when it is told to is killed and reported.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

import { systemEnv } from "coterie";

import type { Failure } from "./as-child.ts";

export interface Child<Message> {
  /** What it said when it was ready. */
  readonly message: Message;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

interface Entry {
  readonly label: string;
  readonly child: ChildProcess;
  output: string;
  isKilled: boolean;
}

const START_MS_MAX = 20_000;
const END_MS_MAX = 5_000;
const OUTPUT_CHARACTERS_MAX = 8_192;

export class Children {
  readonly #entries: Entry[] = [];
  readonly #onEnd: (what: string) => void;
  #stopping = false;

  /** `onEnd` is told, in words, of a process that ended without being asked to. */
  constructor(onEnd: (what: string) => void) {
    this.#onEnd = onEnd;
  }

  /** Runs a file of this folder, and waits for its first message. */
  async start<Message extends object>(
    label: string,
    program: string,
    settings: object,
    signal: AbortSignal,
  ): Promise<Child<Message>> {
    signal.throwIfAborted();
    const child = fork(new URL(program, import.meta.url), [], {
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const entry: Entry = { label, child, output: "", isKilled: false };
    this.#watch(entry);
    child.send(settings);
    const bound = AbortSignal.any([signal, deadline(START_MS_MAX)]);
    const [message] = (await once(child, "message", { signal: bound })) as [Message | Failure];
    if ("failure" in message) throw new Error(`${label} does not start: ${message.failure}`);
    return { message, kill: () => kill(entry) };
  }

  /** Resolves when all are gone, with those that had to be killed. */
  async stop(): Promise<string[]> {
    this.#stopping = true;
    const killed = await Promise.all(
      this.#entries.map(async ({ label, child }) => ((await end(child)) ? undefined : label)),
    );
    return killed.filter((label) => label !== undefined);
  }

  #watch(entry: Entry): void {
    const { label, child } = entry;
    this.#entries.push(entry);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on(
        "data",
        (chunk) => (entry.output = (entry.output + String(chunk)).slice(-OUTPUT_CHARACTERS_MAX)),
      );
    }
    child.once("exit", (code, killedBy) => {
      if (this.#stopping || entry.isKilled) return;
      this.#onEnd(`${label} ended with ${code ?? killedBy}; it printed:\n${entry.output}`);
    });
  }
}

async function kill(entry: Entry): Promise<void> {
  const { child } = entry;
  entry.isKilled = true;
  if (hasEnded(child)) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** True when it ended by itself in time. */
async function end(child: ChildProcess): Promise<boolean> {
  if (hasEnded(child)) return true;
  const exited = once(child, "exit");
  if (child.connected) child.disconnect();
  const late = deadline(END_MS_MAX);
  late.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
  await exited;
  return !late.aborted;
}

/** Without a process id it has never begun. */
function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

function deadline(ms: number): AbortSignal {
  const passed = new AbortController();
  systemEnv.timers.after(ms, () => passed.abort(new Error(`not within ${ms} ms`)));
  return passed.signal;
}
