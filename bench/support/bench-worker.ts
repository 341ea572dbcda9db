/**
 * A process of a bench that takes orders: started with its job, heard when it reports, killed or stopped
 * when the bench wants, and in any case gone when the bench ends.
 */
import { type ChildProcess, fork } from "node:child_process";

const READY_MS_MAX = 15_000;

/** What a worker says; `ready` comes first. */
interface Report {
  readonly report: string;
}

const RUNNING = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of RUNNING) child.kill("SIGKILL");
});

export class BenchWorker {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    RUNNING.add(child);
    child.once("exit", () => RUNNING.delete(child));
  }

  /** Resolves when it has said "ready". */
  static async start(path: string, job: object, execArgv: readonly string[] = []): Promise<BenchWorker> {
    const stdio = ["ignore", "ignore", "inherit", "ipc"] as const;
    const child = fork(path, [JSON.stringify(job)], { stdio: [...stdio], execArgv: [...execArgv] });
    const worker = new BenchWorker(child);
    try {
      await worker.#hear("ready", READY_MS_MAX);
      return worker;
    } catch (error) {
      worker.kill();
      throw error;
    }
  }

  /** Gives an order and resolves with the report that answers it. */
  async ask<R extends Report>(order: object, answer: R["report"], msMax: number): Promise<R> {
    const heard = this.#hear<R>(answer, msMax);
    this.#child.send(order);
    return heard;
  }

  /** `SIGSTOP` leaves it connected, and silent. */
  strike(signal: "SIGKILL" | "SIGSTOP"): void {
    this.#child.kill(signal);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #hear<R extends Report>(wanted: R["report"], msMax: number): Promise<R> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#child.off("message", onMessage).off("exit", onExit);
      };
      const onMessage = (message: unknown): void => {
        if ((message as Report).report !== wanted) return;
        settle();
        resolve(message as R);
      };
      const onExit = (code: number | null, signal: string | null): void => {
        settle();
        reject(new Error(`a worker ended (${code ?? signal}) before it said "${wanted}"`));
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Error(`a worker did not say "${wanted}" within ${msMax} ms`));
      }, msMax);
      this.#child.on("message", onMessage).on("exit", onExit);
    });
  }
}

/** For the worker: reports to the bench, and ends with it. */
export function serveBench(onOrder: (order: unknown) => void): (report: Report) => void {
  process.on("message", onOrder);
  // A package's stray rejection is not what is measured.
  process.on("unhandledRejection", () => undefined);
  process.on("disconnect", () => process.exit(0));
  return (report) => void process.send?.(report);
}
