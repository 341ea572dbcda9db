/**
 * One process of waiters for bench/locks-contended. Argument: a JSON `Job`. It connects, takes a lock that
 * nobody else wants, says "ready", and at "go" starts all its waiters at once; each takes the one
 * resource, keeps it for `holdMs` and releases it. Times are the machine's monotonic clock, which all
 * processes share. It lives until it is killed.
 */
import { serveBench } from "./support/bench-worker.ts";
import type { Outcome } from "./support/lock-holds.ts";
import { CONTENDERS, type ContenderName } from "./support/lock-contenders.ts";
import { commandsSent, type Held, type LockClient, within } from "./support/lock-clients.ts";

export interface Job {
  readonly contender: ContenderName;
  readonly ports: readonly number[];
  readonly resource: string;
  readonly waiters: number;
  readonly holdMs: number;
  /** A call that is still pending then is given up, and counts as such. */
  readonly callMsMax: number;
}

export interface Done {
  readonly report: "done";
  readonly outcomes: readonly Outcome[];
  /** What was sent since "go". */
  readonly commands: number;
}

const WARM_CALLERS = 3;
const WARM_ROUNDS = 200;
const WARM_MS_MAX = 4000;

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function waitAndHold(client: LockClient, job: Job): Promise<Outcome> {
  try {
    const lock: Held = await within(job.callMsMax, client.acquire(job.resource));
    const grantedAt = monotonicMs();
    if (job.holdMs > 0) await new Promise((resolve) => setTimeout(resolve, job.holdMs));
    const endedAt = monotonicMs();
    await within(job.callMsMax, lock.release());
    const { holderToken, fencingToken } = lock;
    return { holderToken, fencingToken, grantedAt, endedAt, releasedAt: monotonicMs() };
  } catch (error) {
    const { code, name } = error as Error & { readonly code?: string };
    return { failed: code ?? name };
  }
}

/** As in a process that has worked for a while: a few callers of its own want one lock, then the next one. */
async function warmUp(client: LockClient): Promise<void> {
  const giveUpAt = monotonicMs() + WARM_MS_MAX;
  for (let round = 0; round < WARM_ROUNDS && monotonicMs() < giveUpAt; round += 1) {
    const once = async (): Promise<void> => {
      const lock = await within(WARM_MS_MAX, client.acquire(`warm:${process.pid}:${round}`));
      await lock.release();
    };
    // Not every package serves them all; how many it serves is measured later.
    await Promise.allSettled(Array.from({ length: WARM_CALLERS }, once));
  }
}

async function work(job: Job): Promise<void> {
  const client = await CONTENDERS[job.contender]({ ports: job.ports, leaseMs: 10_000 });
  const report = serveBench(() => void wait());
  await warmUp(client);
  const wait = async (): Promise<void> => {
    const sentBefore = commandsSent();
    const waiters = Array.from({ length: job.waiters }, () => waitAndHold(client, job));
    const outcomes = await Promise.all(waiters);
    const done: Done = { report: "done", outcomes, commands: commandsSent() - sentBefore };
    report(done);
  };
  report({ report: "ready" });
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("locks-contended-worker.js") === true) {
  await work(JSON.parse(process.argv[2]) as Job);
}
