/**
 * The app's processes, seen from the demo: started together, stopped together, and noticed when one ends
 * by itself. A process that does not end when it is told to is killed and reported.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

import { systemEnv } from "coterie";

import type { AppMessage, AppSettings } from "./app-process.ts";

export interface App {
  readonly label: string;
  /** `http://127.0.0.1:port` */
  readonly url: string;
}

const START_MS_MAX = 20_000;
const END_MS_MAX = 5_000;
const OUTPUT_CHARACTERS_MAX = 8_192;

export class Apps {
  readonly #children: { readonly label: string; readonly child: ChildProcess; output: string }[] = [];
  readonly #onEnd: (what: string) => void;
  #stopping = false;

  /** `onEnd` is told, in words, of a process that ended without being asked to. */
  constructor(onEnd: (what: string) => void) {
    this.#onEnd = onEnd;
  }

  start(settings: readonly AppSettings[], signal: AbortSignal): Promise<App[]> {
    return Promise.all(settings.map((one) => this.#start(one, signal)));
  }

  /** Resolves when all are gone, with those that had to be killed. */
  async stop(): Promise<string[]> {
    this.#stopping = true;
    const killed = await Promise.all(
      this.#children.map(async ({ label, child }) => ((await end(child)) ? undefined : label)),
    );
    return killed.filter((label) => label !== undefined);
  }

  async #start(settings: AppSettings, signal: AbortSignal): Promise<App> {
    signal.throwIfAborted();
    const { label } = settings;
    const child = fork(new URL("./app-process.js", import.meta.url), [], {
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const entry = { label, child, output: "" };
    this.#children.push(entry);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on(
        "data",
        (chunk) => (entry.output = (entry.output + String(chunk)).slice(-OUTPUT_CHARACTERS_MAX)),
      );
    }
    child.once("exit", (code, killedBy) => {
      if (this.#stopping) return;
      this.#onEnd(`${label} ended with ${code ?? killedBy}; it printed:\n${entry.output}`);
    });
    child.send(settings);
    const bound = AbortSignal.any([signal, deadline(START_MS_MAX)]);
    const [message] = (await once(child, "message", { signal: bound })) as [AppMessage];
    if ("failure" in message) throw new Error(`${label} does not start: ${message.failure}`);
    return { label, url: `http://127.0.0.1:${message.port}` };
  }
}

/** True when it ended by itself in time. */
async function end(child: ChildProcess): Promise<boolean> {
  // Without a process id it has never begun.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return true;
  const exited = once(child, "exit");
  if (child.connected) child.disconnect();
  const late = deadline(END_MS_MAX);
  late.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
  await exited;
  return !late.aborted;
}

function deadline(ms: number): AbortSignal {
  const passed = new AbortController();
  systemEnv.timers.after(ms, () => passed.abort(new Error(`not within ${ms} ms`)));
  return passed.signal;
}
