/**
 * Redis as a child process: its own folder, its own port on loopback, its own process group.
 * Its one idea: signals go to the whole group, so that a child that Redis forked for a snapshot dies and
 * stops with it; and it counts as up when the server itself says, with this child's process id, that it
 * serves.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";

import { CoterieError } from "../../index.ts";
import { quoted, type RedisConfig, renderConfig } from "./config.ts";
import type { Backend } from "./handle.ts";
import { holdFreePort, releasePort } from "./ports.ts";
import { probe } from "./probe.ts";
import { until, within } from "./wait.ts";
import type { Watchdog } from "./watchdog.ts";

const HOST = "127.0.0.1";
const START_MS_MAX = 30_000;
const DEATH_MS_MAX = 10_000;
/** Asked again after this long; whoever else listens on the port may never answer. */
const PROBE_MS = 250;
const PORTS_TRIED_MAX = 20;
/** How long a restart waits for its own port when another process has just taken it. */
const PORT_BACK_MS_MAX = 5_000;
const OUTPUT_CHARACTERS_MAX = 65_536;
const PORT_TAKEN = /Address already in use|Failed listening on port/i;

export interface ProcessSettings {
  readonly serverPath: string;
  /** Made by the instance, and removed with it. */
  readonly folder: string;
  readonly config: RedisConfig;
  readonly watchdog: Watchdog;
  /** Where to look for a port; replaced in tests. */
  readonly nextPort?: () => Promise<number>;
}

interface RunningChild {
  readonly pid: number;
  readonly exited: Promise<void>;
  /** How it ended, in words; undefined while it runs. */
  ending: string | undefined;
  /** True once this start's output says that the port belongs to somebody else. */
  portTaken: boolean;
}

export class ProcessBackend implements Backend {
  readonly provider = "process";
  readonly #settings: ProcessSettings;
  #output = "";
  #port = 0;
  #child: RunningChild | undefined;

  private constructor(settings: ProcessSettings) {
    this.#settings = settings;
  }

  /** Tries ports until one is its own; rejects with START_FAILED and what the child printed. */
  static async open(settings: ProcessSettings, signal?: AbortSignal): Promise<ProcessBackend> {
    const backend = new ProcessBackend(settings);
    try {
      await backend.#startOnFreePort(signal);
      return backend;
    } catch (error) {
      await backend.discard();
      throw error;
    }
  }

  get address(): { readonly url: string; readonly host: string; readonly port: number } {
    const password = this.#settings.config["requirepass"];
    const login =
      password === undefined || password === "" ? "" : `:${encodeURIComponent(String(password))}@`;
    return { url: `redis://${login}${HOST}:${this.#port}`, host: HOST, port: this.#port };
  }

  async start(wipe: boolean): Promise<void> {
    if (wipe) await rm(this.#dataFolder, { recursive: true, force: true });
    let failure: CoterieError | undefined;
    const isUp = async () => {
      failure = await this.#tryStart();
      if (failure !== undefined && !isPortTaken(failure)) throw failure;
      return failure === undefined;
    };
    const up = await until(isUp, { limitMs: PORT_BACK_MS_MAX, everyMs: 100 });
    if (!up && failure !== undefined) throw failure;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    signalGroup(child.pid, "SIGKILL");
    await within(child.exited, DEATH_MS_MAX, () => noAnswer(`redis-server ${child.pid} outlives SIGKILL`));
  }

  async pause(): Promise<void> {
    const child = this.#requireRunning("pause");
    signalGroup(child.pid, "SIGSTOP");
    // The signal takes effect a moment later; whoever sends a command next relies on its being stopped.
    const stopped = await until(() => isStopped(child), { limitMs: DEATH_MS_MAX, everyMs: 1 });
    if (!stopped) throw noAnswer(`redis-server ${child.pid} goes on after SIGSTOP`);
  }

  resume(): Promise<void> {
    signalGroup(this.#requireRunning("resume").pid, "SIGCONT");
    return Promise.resolve();
  }

  async discard(): Promise<void> {
    await this.kill();
    releasePort(this.#port);
    await rm(this.#settings.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  output(): Promise<string> {
    return Promise.resolve(this.#output);
  }

  get #dataFolder(): string {
    return join(this.#settings.folder, "data");
  }

  async #startOnFreePort(signal?: AbortSignal): Promise<void> {
    const nextPort = this.#settings.nextPort ?? holdFreePort;
    for (let tried = 1; ; tried += 1) {
      this.#port = await nextPort();
      const failure = await this.#tryStart(signal);
      if (failure === undefined) return;
      if (!isPortTaken(failure) || tried >= PORTS_TRIED_MAX) throw failure;
      releasePort(this.#port);
    }
  }

  /** The reason why it is not up, after which nothing of it runs; undefined when it serves. */
  async #tryStart(signal?: AbortSignal): Promise<CoterieError | undefined> {
    const child = await this.#spawn();
    try {
      const isUp = async () => {
        const serves = await Promise.race([this.#serves(child.pid), child.exited.then(() => false)]);
        return serves || child.ending !== undefined;
      };
      const settled = await until(isUp, { limitMs: START_MS_MAX, everyMs: 5, signal });
      if (settled && child.ending === undefined) return undefined;
    } catch (error) {
      await this.kill();
      throw error;
    }
    const why = child.ending ?? `did not serve within ${START_MS_MAX} ms`;
    await this.kill();
    return this.#startFailed(why, child.portTaken);
  }

  async #spawn(): Promise<RunningChild> {
    const { folder, config, serverPath, watchdog } = this.#settings;
    await mkdir(this.#dataFolder, { recursive: true });
    const configPath = join(folder, "redis.conf");
    const own: RedisConfig = {
      bind: HOST,
      port: this.#port,
      dir: quoted(this.#dataFolder),
      daemonize: false,
      logfile: "",
    };
    await writeFile(configPath, renderConfig(config, own), { mode: 0o600 });
    // Its own session: a Ctrl-C in the terminal is the host application's to answer, not Redis's.
    const spawned = spawn(serverPath, [configPath], {
      cwd: folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return this.#adopt(spawned, watchdog);
  }

  /** Keeps its output, notes its end, and lets this process end without waiting for it. */
  async #adopt(spawned: ChildProcess, watchdog: Watchdog): Promise<RunningChild> {
    const { pid } = spawned;
    if (pid === undefined) {
      const error = await new Promise<Error>((resolve) => spawned.once("error", resolve));
      throw this.#startFailed(error.message, false);
    }
    watchdog.watch(pid);
    const child: RunningChild = {
      pid,
      ending: undefined,
      portTaken: false,
      exited: new Promise((resolve) => {
        spawned.once("close", (code, signal) => {
          child.ending = code === null ? `was ended by ${signal}` : `exited with code ${code}`;
          watchdog.forget(pid);
          if (this.#child === child) this.#child = undefined;
          resolve();
        });
      }),
    };
    this.#child = child;
    // What it had forked would otherwise go on, and keep its output open.
    spawned.once("exit", () => signalGroup(pid, "SIGKILL"));
    for (const stream of [spawned.stdout, spawned.stderr] as Socket[]) {
      stream.unref();
      stream.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
        child.portTaken ||= PORT_TAKEN.test(chunk.toString());
      });
    }
    spawned.unref();
    return child;
  }

  /** The process id rules out another server that was quicker to take the port. */
  async #serves(pid: number): Promise<boolean> {
    const password = this.#settings.config["requirepass"];
    const target = {
      host: HOST,
      port: this.#port,
      password: password === undefined ? undefined : String(password),
    };
    const answer = await probe(target, PROBE_MS);
    return answer.serves && (answer.processId === undefined || answer.processId === pid);
  }

  #requireRunning(order: string): RunningChild {
    if (this.#child !== undefined) return this.#child;
    throw new CoterieError("INVALID_ARGUMENT", `${order}: the Redis at ${HOST}:${this.#port} is not running`);
  }

  #startFailed(why: string, portTaken: boolean): CoterieError {
    const output = this.#output;
    return new CoterieError("START_FAILED", `${this.#settings.serverPath} ${why}; it printed:\n${output}`, {
      details: { port: this.#port, portTaken, output },
    });
  }
}

function isPortTaken(failure: CoterieError): boolean {
  return failure.details["portTaken"] === true;
}

function noAnswer(message: string): CoterieError {
  return new CoterieError("NO_ANSWER", message);
}

/** A group that is gone already needs no signal. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** True where the system cannot tell. The state is the first letter after the name in parentheses. */
async function isStopped(child: RunningChild): Promise<boolean> {
  if (process.platform !== "linux") return true;
  try {
    const stat = await readFile(`/proc/${child.pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  } catch (cause) {
    throw new CoterieError("INVALID_ARGUMENT", `pause: redis-server ${child.pid} has just ended`, { cause });
  }
}
