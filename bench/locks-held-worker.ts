/**
 * One measurement of bench/locks-held in a process of its own: takes many locks, keeps them renewed for a
 * while and releases them. Argument: a JSON `Job`; needs `--expose-gc`. Prints one JSON `Measured`. With
 * `countTimers` it counts timers, which weighs on what else it measures.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

import { commandsSent } from "./support/lock-clients.ts";
import { KEEPERS, type KeeperName } from "./support/lock-keepers.ts";
import { Servers } from "./support/lock-bench.ts";

export interface Job {
  readonly keeper: KeeperName;
  readonly ports: readonly number[];
  readonly locks: number;
  readonly leaseMs: number;
  readonly measureMs: number;
  readonly countTimers: boolean;
}

export interface Measured {
  readonly heapBytesPerLock: number;
  readonly rssBytesPerLock: number;
  /** Timers alive with all locks held, beyond those before the first; undefined unless they were counted. */
  readonly timers: number | undefined;
  readonly acquireMs: number;
  readonly releaseMs: number;
  /** While all are held: of this process, in parts of one core. */
  readonly cpuRatio: number;
  /** Of all instances together, in parts of one core. */
  readonly redisCpuRatio: number;
  readonly commandsPerSecond: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Not held any more when they were released, or released without a confirmation. */
  readonly lost: number;
}

/** Callers that take and release at the same time. */
const CALLERS = 200;

type Handle = string | number | NodeJS.Timeout | undefined;

const timers = new Set<Handle>();

/** From now on `timers` has every timer that is set and neither done nor cleared. */
function startCounting(): void {
  const { setTimeout: after, setInterval: every, clearTimeout: clear } = globalThis;
  const remove = (handle?: Handle): void => {
    timers.delete(handle);
    clear(handle);
  };
  const setAfter = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): Handle => {
    const done = (): void => {
      timers.delete(handle);
      callback(...args);
    };
    const handle = after(done, ms);
    timers.add(handle);
    return handle;
  };
  const setEvery = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): Handle => {
    const handle = every(callback, ms, ...args);
    timers.add(handle);
    return handle;
  };
  Object.assign(globalThis, { setTimeout: setAfter, setInterval: setEvery });
  Object.assign(globalThis, { clearTimeout: remove, clearInterval: remove });
}

async function atOnce(count: number, one: (nth: number) => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return performance.now() - startedAt;
}

function memory(): { readonly heap: number; readonly rss: number } {
  for (let n = 0; n < 3; n += 1) globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, rss };
}

async function measure(job: Job): Promise<Measured> {
  if (job.countTimers) startCounting();
  const client = await KEEPERS[job.keeper]({ ports: job.ports, leaseMs: job.leaseMs });
  const servers = new Servers(job.ports);
  const releases: (() => Promise<boolean>)[] = [];
  const warm = await client.keep("warm");
  await warm();
  const before = memory();
  const timersBefore = timers.size;
  const acquireMs = await atOnce(job.locks, async (nth) => {
    releases.push(await client.keep(`job:${nth}`));
  });
  const timerCount = timers.size - timersBefore;
  const after = memory();
  const redisBefore = await servers.cpuMicros();
  const sentBefore = commandsSent();
  const loop = monitorEventLoopDelay({ resolution: 5 });
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  loop.enable();
  await new Promise((resolve) => setTimeout(resolve, job.measureMs));
  loop.disable();
  const micros = (performance.now() - startedAt) * 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const sent = commandsSent() - sentBefore;
  const redisMicros = (await servers.cpuMicros()) - redisBefore;
  let lost = 0;
  const releaseMs = await atOnce(job.locks, async (nth) => {
    if (!(await releases[nth]!())) lost += 1;
  });
  await client.close();
  servers.close();
  return {
    heapBytesPerLock: (after.heap - before.heap) / job.locks,
    rssBytesPerLock: (after.rss - before.rss) / job.locks,
    timers: job.countTimers ? timerCount : undefined,
    acquireMs,
    releaseMs,
    cpuRatio: (cpu.user + cpu.system) / micros,
    redisCpuRatio: redisMicros / micros,
    commandsPerSecond: sent / (micros / 1e6),
    loopDelayP99Ms: loop.percentile(99) / 1e6,
    loopDelayMaxMs: loop.max / 1e6,
    lost,
  };
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("locks-held-worker.js") === true) {
  const measured = await measure(JSON.parse(process.argv[2]) as Job);
  // What a package left running does not keep it.
  process.stdout.write(JSON.stringify(measured), () => process.exit(0));
}
