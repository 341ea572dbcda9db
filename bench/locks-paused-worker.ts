/**
 * The client of bench/locks-paused. Argument: a JSON `Job`. At each order it takes and releases locks at a
 * fixed rate for a while, whatever the answers, and reports how long each took. It lives until it is killed.
 */
import { serveBench } from "./support/bench-worker.ts";
import { type Held, type LockClient, within } from "./support/lock-clients.ts";
import { type ContenderName, CONTENDERS } from "./support/lock-contenders.ts";

export interface Job {
  readonly contender: ContenderName;
  readonly ports: readonly number[];
  readonly perMs: number;
  readonly callMsMax: number;
}

export interface Order {
  readonly measureMs: number;
}

export interface Times {
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly maxMicros: number;
  readonly count: number;
}

export interface Measured {
  readonly report: "measured";
  /** Undefined when none was answered. */
  readonly acquire: Times | undefined;
  readonly release: Times | undefined;
  /** Still pending after `callMsMax`. */
  readonly pending: number;
  /** Rejected, or a release answered false. */
  readonly failed: number;
}

let named = 0;

async function measure(client: LockClient, job: Job, measureMs: number): Promise<Measured> {
  const acquires: number[] = [];
  const releases: number[] = [];
  const calls = new Set<Promise<void>>();
  let pending = 0;
  let failed = 0;
  const timed = async <T>(call: () => Promise<T>, into: number[]): Promise<T> => {
    const startedAt = performance.now();
    const value = await within(job.callMsMax, call());
    into.push((performance.now() - startedAt) * 1000);
    return value;
  };
  const one = async (): Promise<void> => {
    named += 1;
    const resource = `invoice:${named}`;
    try {
      const lock: Held = await timed(() => client.acquire(resource), acquires);
      if ((await timed(() => lock.release(), releases)) === false) failed += 1;
    } catch (error) {
      if ((error as { code?: string }).code === "pending") pending += 1;
      else failed += 1;
    }
  };
  const endAt = performance.now() + measureMs;
  while (performance.now() < endAt) {
    for (let n = 0; n < job.perMs; n += 1) {
      const call = one().finally(() => calls.delete(call));
      calls.add(call);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(calls);
  return { report: "measured", acquire: timesOf(acquires), release: timesOf(releases), pending, failed };
}

function timesOf(micros: number[]): Times | undefined {
  if (micros.length === 0) return undefined;
  micros.sort((a, b) => a - b);
  const at = (part: number): number => micros[Math.floor(micros.length * part)]!;
  return { p50Micros: at(0.5), p99Micros: at(0.99), maxMicros: micros.at(-1)!, count: micros.length };
}

async function work(job: Job): Promise<void> {
  const client = await CONTENDERS[job.contender]({ ports: job.ports, leaseMs: 10_000 });
  const report = serveBench((order) => {
    void measure(client, job, (order as Order).measureMs).then(report);
  });
  report({ report: "ready" });
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("locks-paused-worker.js") === true) {
  await work(JSON.parse(process.argv[2]) as Job);
}
