/**
 * A lock program (`lock-program.ts`) as a child of this process, and all that it has said. It can be
 * stopped and continued by signals, blocked by an order, and killed; it is gone when this process is, and
 * a program that was told to stop has to end by itself, in time, with nothing unhandled.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

import type { Watchdog } from "../../src/testing/redis/watchdog.ts";
import type { LockEvent, LockProgramPlan, StatusEvent, UnhandledEvent } from "./lock-events.ts";
import { until } from "./until.ts";

const PROGRAM = fileURLToPath(new URL("../../.build/test/support/lock-program.js", import.meta.url));
const READY_MS_MAX = 20_000;
const END_MS_MAX = 10_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly unhandled: readonly UnhandledEvent[];
  /** What it printed to stderr: nothing, if all went well. */
  readonly complaints: string;
}

export class LockProcess {
  readonly name: string;
  readonly plan: LockProgramPlan;
  /** What it has said so far, in order. */
  readonly events: LockEvent[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  #complaints = "";

  /** `watchdog` ends it with this process. */
  constructor(
    name: string,
    plan: LockProgramPlan,
    watchdog: Watchdog,
    onEvent: (event: LockEvent) => void = () => undefined,
  ) {
    if (!existsSync(PROGRAM)) throw new Error("the lock program is not built: npm run build:all");
    this.name = name;
    this.plan = plan;
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(plan)], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const pid = this.#child.pid as number;
    watchdog.watch(pid);
    this.#child.stderr.on("data", (chunk) => (this.#complaints += String(chunk)));
    // A program that has just ended reads no more orders.
    this.#child.stdin.on("error", (error) => (this.#complaints += `stdin: ${error.message}\n`));
    const lines = createInterface({ input: this.#child.stdout });
    lines.on("line", (line) => {
      const event = JSON.parse(line) as LockEvent;
      this.events.push(event);
      onEvent(event);
    });
    this.#ended = once(this.#child, "close").then(() => watchdog.forget(pid));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Until it has a locker and works; fails when it ends before. */
  async ready(): Promise<void> {
    const isReady = (): boolean => this.events.some(({ event }) => event === "ready");
    await until(`${this.name} is ready`, () => isReady() || !this.isRunning, READY_MS_MAX);
    if (!isReady()) throw new Error(`${this.name} ended at once: ${this.#words()}`);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#child.pid as number, signal);
  }

  /** Keeps its event loop busy for so long; it hears of that when it has time. */
  block(ms: number): void {
    this.#order(`block ${ms}`);
  }

  /** What its locker says of itself now. */
  async status(): Promise<unknown> {
    const before = this.events.length;
    this.#order("status");
    const find = (): StatusEvent | undefined =>
      this.events.slice(before).find((event) => event.event === "status");
    await until(`${this.name} tells its status`, () => find() !== undefined || !this.isRunning);
    return find()?.status;
  }

  /** Tells it to stop and waits until it has ended by itself; after `END_MS_MAX` it is killed. */
  async stop(): Promise<Ending> {
    if (this.isRunning) this.#order("stop");
    await until(`${this.name} ends by itself`, () => !this.isRunning, END_MS_MAX).catch((error: unknown) => {
      this.#complaints += `${String(error)}; its last words: ${this.#words()}\n`;
    });
    return this.kill();
  }

  /** At once, as a crash. */
  async kill(): Promise<Ending> {
    if (this.isRunning) this.signal("SIGKILL");
    await this.#ended;
    const unhandled = this.events.filter((event) => event.event === "unhandled");
    const { exitCode: code, signalCode: signal } = this.#child;
    return { code, signal, unhandled, complaints: this.#complaints };
  }

  #order(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  #words(): string {
    const last = this.events.slice(-5).map((event) => JSON.stringify(event));
    return `${last.join(" ")} ${this.#complaints}`;
  }
}
