/**
 * One measurement of bench/locks in a process of its own, so that no package inherits another's heap or
 * compiled code. Argument: a JSON `Job`. Prints one JSON `Measured`.
 */
import { Servers } from "./support/lock-bench.ts";
import { CONTENDERS, type ContenderName } from "./support/lock-contenders.ts";

export interface Job {
  readonly contender: ContenderName;
  readonly ports: readonly number[];
  readonly callers: number;
  /** So long and so many locks before it is measured: on a busy machine the time alone compiles nothing. */
  readonly warmMs: number;
  readonly warmLocks: number;
  readonly measureMs: number;
}

export interface Measured {
  readonly perSecond: number;
  /** Of this process alone: user and system time. */
  readonly cpuMicrosPerLock: number;
  /** Of all instances together. */
  readonly redisMicrosPerLock: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** The part of the acquires that needed a second round trip; undefined where there is no such thing. */
  readonly secondTripRatio: number | undefined;
}

/** Taken in turn, so that a caller never meets another nor what it has just released. */
const RESOURCES_PER_CALLER = 200;
const LEASE_MS = 10_000;
const WARM_MS_MAX = 10_000;

async function measure(job: Job): Promise<Measured> {
  const client = await CONTENDERS[job.contender]({ ports: job.ports, leaseMs: LEASE_MS });
  const servers = new Servers(job.ports);
  const latencies: number[] = [];
  let recording = false;
  let done = 0;
  let stopped = false;
  const caller = async (nth: number): Promise<void> => {
    const names = Array.from({ length: RESOURCES_PER_CALLER }, (_, n) => `invoice:${nth}:${n}`);
    for (let n = 0; !stopped; n = (n + 1) % RESOURCES_PER_CALLER) {
      const startedAt = performance.now();
      const lock = await client.acquire(names[n]!);
      await lock.release();
      done += 1;
      if (recording) latencies.push(performance.now() - startedAt);
    }
  };
  const callers = Array.from({ length: job.callers }, (_, nth) => caller(nth));
  await new Promise((resolve) => setTimeout(resolve, job.warmMs));
  for (const giveUpAt = performance.now() + WARM_MS_MAX; done < job.warmLocks; ) {
    if (performance.now() > giveUpAt) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const redisBefore = await servers.cpuMicros();
  const tripsBefore = client.secondTrips?.();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  recording = true;
  await new Promise((resolve) => setTimeout(resolve, job.measureMs));
  recording = false;
  const cpu = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - startedAt) / 1000;
  const trips = client.secondTrips?.();
  const redisMicros = (await servers.cpuMicros()) - redisBefore;
  stopped = true;
  await Promise.all(callers);
  await client.close();
  servers.close();
  latencies.sort((a, b) => a - b);
  const count = latencies.length;
  return {
    perSecond: count / seconds,
    cpuMicrosPerLock: (cpu.user + cpu.system) / count,
    redisMicrosPerLock: redisMicros / count,
    p50Micros: latencies[Math.floor(count * 0.5)]! * 1000,
    p99Micros: latencies[Math.floor(count * 0.99)]! * 1000,
    secondTripRatio: trips === undefined ? undefined : (trips - tripsBefore!) / count,
  };
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith("locks-worker.js") === true) {
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]) as Job)));
}
