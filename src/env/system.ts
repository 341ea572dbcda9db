/** The real clock, timers and chance: the one file that touches them. */
import { randomBytes, randomInt } from "node:crypto";
import { uptime } from "node:os";

import { abortError, throwIfAborted } from "../errors.ts";
import type { Clock, Timer, TimerOptions, Timers } from "./clock.ts";
import type { Random } from "./random.ts";
import { requireWait } from "./wait.ts";

/** What the outside world gives to everything below the facade. */
export interface Env {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

const timers: Timers = {
  after(ms, callback, options) {
    requireWait("after", ms);
    const handle = setTimeout(callback, ms);
    return timer(handle, options, () => clearTimeout(handle));
  },
  every(ms, callback, options) {
    requireWait("every", ms);
    const handle = setInterval(callback, ms);
    return timer(handle, options, () => clearInterval(handle));
  },
};

const clock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  bootNow: () => uptime() * 1000,
  sleep: (ms, signal) => sleepOn(timers, ms, signal),
};

const random: Random = {
  below: (n) => randomInt(n),
  fraction: () => Math.random(),
  hex: (bytes) => randomBytes(bytes).toString("hex"),
};

export const systemEnv: Env = { clock, timers, random };

/** `Clock.sleep` over any timers. The timer keeps the process alive: somebody awaits it. */
export function sleepOn(over: Timers, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal, "sleep");
    const onAbort = () => {
      pending.cancel();
      reject(abortError(signal as AbortSignal, "sleep"));
    };
    const pending = over.after(
      ms,
      () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      },
      { keepAlive: true },
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function timer(handle: NodeJS.Timeout, options: TimerOptions | undefined, cancel: () => void): Timer {
  if (options?.keepAlive !== true) handle.unref();
  return { cancel };
}
