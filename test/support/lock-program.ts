/**
 * A process that works with locks: its workers acquire, hold and release until it is told to stop, and it
 * prints each event as one line of JSON, timed on the machine's monotonic clock, so that what several
 * processes say can be put in order. A test runs it from the build (`LockProcess`), and its orders come on
 * stdin: "stop", "status", "block MS" (a busy loop).
 * It must never end itself: when it was told to stop and everything is closed, nothing may keep it alive.
 */
import { subscribe } from "node:diagnostics_channel";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { CoterieError, type Lock, type Locker, openLocker, systemEnv } from "coterie";

import { type LockEvent, type LockProgramPlan, type LockWork, micros } from "./lock-events.ts";

/** Between two looks of a holder at what it holds. */
const LOOK_MS = 8;
/** A look is told again when it took longer: then the process was stopped in the middle. */
const LOOK_MICROS_MAX = 1_000;
const STALL_TICK_MS = 10;
const AFTER_FAILURE_MS = 10;

function say(event: LockEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Says when this process did not run, stopped or busy. */
class StallWatch {
  #tickedAt = micros();
  readonly #timer = setInterval(() => this.#tick(), STALL_TICK_MS).unref();

  stop(): void {
    this.#tick();
    clearInterval(this.#timer);
  }

  #tick(): void {
    const at = this.#tickedAt;
    this.#tickedAt = micros();
    if (this.#tickedAt - at > 2 * STALL_TICK_MS * 1000) say({ event: "stalled", at, until: this.#tickedAt });
  }
}

class Workers {
  readonly #locker: Locker;
  readonly #stop = new AbortController();
  readonly #held = new Map<number, Lock>();
  #holds = 0;

  constructor(locker: Locker) {
    this.#locker = locker;
    // Seen at once: a look later on could come after a pause, and would not tell a renewal from a revival.
    subscribe("coterie:lock:renewed", (message) => {
      const { fencingToken } = message as { fencingToken: number };
      for (const [hold, lock] of this.#held) {
        if (lock.fencingToken === fencingToken) say({ event: "seen", hold, ...look(lock) });
      }
    });
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Until told to stop. */
  async run(work: LockWork): Promise<void> {
    const { thinkMs = 2, roundsMax = Number.POSITIVE_INFINITY } = work;
    for (let round = 0; round < roundsMax && !this.#stop.signal.aborted; round += 1) {
      this.#holds += 1;
      const acquired = await this.#acquireAndHold(work, this.#holds);
      await this.#rest(acquired ? thinkMs : Math.max(thinkMs, AFTER_FAILURE_MS));
    }
  }

  async #acquireAndHold(work: LockWork, hold: number): Promise<boolean> {
    const { kind, resource, permits, waitMs } = work;
    const what = { kind, resources: [resource].flat(), ...(kind === "permit" ? { permits } : {}) };
    const startedAt = systemEnv.clock.now();
    const tookMs = (): number => systemEnv.clock.now() - startedAt;
    say({ event: "asked", hold, at: micros(), waitMs, ...what });
    let lock: Lock;
    try {
      lock = await this.#acquire(work);
    } catch (error) {
      if (!CoterieError.is(error)) throw error;
      const { code, message } = error;
      say({ event: "failed", hold, at: micros(), code, message, tookMs: tookMs() });
      return false;
    }
    const { fencingToken: token, holderToken, permit } = lock;
    const votes = lock.votes.map(({ instance, vote }) => ({ instance, vote }));
    const told = { ...what, token, holderToken, votes, ...(permit === undefined ? {} : { permit }) };
    say({ event: "acquired", hold, ...look(lock), ...told, tookMs: tookMs() });
    const onLost = (): void => say({ event: "lost", hold, at: micros() });
    if (lock.signal.aborted) onLost();
    else lock.signal.addEventListener("abort", onLost, { once: true });
    this.#held.set(hold, lock);
    await this.#hold(lock, hold, work.holdMs);
    this.#held.delete(hold);
    await this.#release(lock, hold);
    return true;
  }

  #acquire(work: LockWork): Promise<Lock> {
    const { kind, resource, permits = 1, leaseMs, waitMs, renew = true, fair = true } = work;
    const options = { leaseMs, waitMs, renew, fair, signal: this.#stop.signal };
    const [name = ""] = [resource].flat();
    if (kind === "lock") return this.#locker.acquire(resource, options);
    if (kind === "permit") return this.#locker.semaphore(name, { permits }).acquire(options);
    return this.#locker.readWrite(name)[kind === "reader" ? "read" : "write"].acquire(options);
  }

  async #hold(lock: Lock, hold: number, holdMs: number): Promise<void> {
    const until = systemEnv.clock.now() + holdMs;
    while (!lock.lost && !this.#stop.signal.aborted) {
      const leftMs = until - systemEnv.clock.now();
      if (leftMs <= 0) return;
      await sleep(Math.min(leftMs, LOOK_MS));
      say({ event: "seen", hold, ...look(lock) });
    }
  }

  async #release(lock: Lock, hold: number): Promise<void> {
    say({ event: "releasing", hold, at: micros() });
    const confirmed = await lock.release();
    say({ event: "released", hold, at: micros(), confirmed });
  }

  async #rest(ms: number): Promise<void> {
    if (!this.#stop.signal.aborted) await sleep(ms);
  }
}

/** What the lock says of itself at one instant: until when it is held. */
function look(lock: Lock): { readonly at: number; readonly until: number } {
  for (;;) {
    const at = micros();
    const { remainingMs } = lock;
    if (micros() - at <= LOOK_MICROS_MAX) return { at, until: at + Math.floor(remainingMs * 1000) };
  }
}

function block(ms: number): void {
  const until = systemEnv.clock.now() + ms;
  while (systemEnv.clock.now() < until) micros();
}

function report(what: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say({ event: "unhandled", at: micros(), what, text });
  process.exitCode = 70;
}

async function main(plan: LockProgramPlan): Promise<void> {
  const locker = await openLocker(plan.locker);
  const workers = new Workers(locker);
  const stalls = new StallWatch();
  const orders = createInterface({ input: process.stdin });
  orders.on("line", (line) => {
    const [order, value] = line.split(" ");
    if (order === "stop") workers.stop();
    else if (order === "block") block(Number(value));
    else say({ event: "status", at: micros(), status: locker.status() });
  });
  say({ event: "ready", at: micros() });
  const running = plan.work.flatMap((work) =>
    Array.from({ length: work.workers ?? 1 }, () => workers.run(work)),
  );
  await Promise.all(running);
  say({ event: "status", at: micros(), status: locker.status() });
  await locker.close({ graceMs: 500 });
  stalls.stop();
  orders.close();
  process.stdin.destroy();
  say({ event: "closed", at: micros() });
}

process.on("unhandledRejection", (reason) => report("a rejection", reason));
process.on("uncaughtException", (error) => report("an exception", error));
process.on("warning", (warning) => report("a warning", warning));
try {
  await main(JSON.parse(process.argv[2] ?? "") as LockProgramPlan);
} catch (error) {
  report("an error of the program", error);
  process.stdin.destroy();
}
