/**
 * A lock group of real Redis servers, processes that work with its locks, and faults in between. A test
 * opens a run, waits for grants, breaks something, waits for what has to happen, mends it, and finishes
 * the run: then the history of all processes is judged, and everything has to have ended well.
 * Its one idea: nothing waits for a time, everything waits for events, so a run in which a fault met no
 * traffic cannot pass.
 */
import { Redis } from "ioredis";

import { systemEnv } from "../../src/env/index.ts";
import { invariant } from "../../src/invariant.ts";
import type { LockerStatus } from "../../src/locks/index.ts";
import { type RedisGroup, type RedisInstanceHandle, startRedis } from "../../src/testing/index.ts";
import { Watchdog } from "../../src/testing/redis/watchdog.ts";
import { startClockedRedis } from "./clock-shim.ts";
import {
  type AcquiredEvent,
  type LockProgramPlan,
  type LockWork,
  micros,
} from "./lock-events.ts";
import { checkHistory, describeFindings, type Rule } from "./lock-history.ts";
import { type Ending, LockProcess } from "./lock-process.ts";
import { historyOf, Tellings } from "./lock-story.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { until } from "./until.ts";

/** Short, so that an abstention is short, and long enough for a machine that does other things too. */
export const LEASE_MS = 500;
export const LEASE_MS_MAX = 600;
export const DEADLINE_MS = 250;
const WAIT_MS = 1_500;
/** What a call may take beyond its bounds on a busy machine. */
const SLACK_MS = 1_000;
const NAME = "run";
/** How late a loss may be told, for timers and the machine. */
const TELLING_MS = 100;
/** What the keys are called that say who holds. */
const HOLDING: readonly string[] = ["lock", "rw", "permit", "readers"];
/** In the mix, the resource that is held for longer than a lease. */
export const LONG = "long";

export interface LockRunOptions {
  readonly instances: number;
  /** What each process does; default: the mix. */
  readonly work?: (process: number) => readonly LockWork[];
  readonly processes?: number;
  /** True puts a proxy before each instance. */
  readonly wires?: boolean;
  /** True makes the clocks of the instances movable. */
  readonly clocks?: boolean;
  readonly locker?: Partial<LockProgramPlan["locker"]>;
}

export interface GrantFilter {
  /** Earlier than this. */
  readonly before?: number;
  /** Of this process alone. */
  readonly process?: string;
  /** With this instance's grant among the votes. */
  readonly by?: number;
  readonly kind?: LockWork["kind"];
  readonly resource?: string;
}

/** Every kind of lock, all of them contended: between the workers of a process and between processes. */
function mixOfWork(process: number): LockWork[] {
  const times = { leaseMs: LEASE_MS, waitMs: WAIT_MS, holdMs: 8, thinkMs: 4 };
  return [
    { ...times, kind: "lock", resource: "one", workers: 2 },
    { ...times, kind: "lock", resource: process % 2 === 0 ? ["left", "right"] : ["right", "left"] },
    { ...times, kind: "permit", resource: "pool", permits: 2, workers: 2 },
    { ...times, kind: "reader", resource: "page" },
    { ...times, kind: "writer", resource: "page", thinkMs: 20 },
    // Held over several renewals.
    { ...times, kind: "lock", resource: LONG, holdMs: LEASE_MS + 100 },
  ];
}

/** What went wrong in a run; nothing, in a sound one. */
export interface Verdict {
  readonly badEndings: readonly Ending[];
  /** What the history breaks, in words. */
  readonly findings: string;
  readonly leftKeys: readonly string[];
  /** How often a process saw the clock of an instance leap. */
  readonly leaps: number;
}

export const SOUND: Verdict = {
  badEndings: [],
  findings: "",
  leftKeys: [],
  leaps: 0,
};

interface Servers {
  readonly group: RedisGroup;
  leap(at: number, byMs: number): void;
}

export class LockRun implements AsyncDisposable {
  readonly instances: readonly RedisInstanceHandle[];
  readonly wires: readonly TcpProxy[];
  readonly processes: readonly LockProcess[];
  /** How many instances may fail. */
  readonly spare: number;
  readonly #servers: Servers;
  readonly #told: Tellings;
  readonly #watchdog: Watchdog;
  readonly #startedAt = micros();

  private constructor(
    servers: Servers,
    wires: readonly TcpProxy[],
    processes: readonly LockProcess[],
    told: Tellings,
    watchdog: Watchdog,
  ) {
    this.instances = servers.group.instances;
    this.wires = wires;
    this.processes = processes;
    this.spare = Math.ceil(this.instances.length / 2) - 1;
    this.#servers = servers;
    this.#told = told;
    this.#watchdog = watchdog;
  }

  /** Starts it all, and waits until each process has been granted something of every kind. */
  static async open(options: LockRunOptions): Promise<LockRun> {
    const { instances: count, processes: processCount = 2, work = mixOfWork } = options;
    const servers = await openServers(count, options.clocks === true);
    const watchdog = new Watchdog({});
    const wires: TcpProxy[] = [];
    if (options.wires === true) {
      for (const instance of servers.group.instances) wires.push(await TcpProxy.open(instance));
    }
    const urls = wires.length > 0 ? wires.map(({ url }) => url) : servers.group.urls;
    const told = new Tellings();
    const processes = Array.from({ length: processCount }, (_, at) => {
      const process = `process ${at}`;
      const plan = { locker: { ...lockerOf(urls), ...options.locker }, work: work(at) };
      return new LockProcess(process, plan, watchdog, (event) => told.add({ ...event, process }));
    });
    const run = new LockRun(servers, wires, processes, told, watchdog);
    try {
      await Promise.all(processes.map((process) => process.ready()));
      await run.healthy(run.#startedAt);
    } catch (error) {
      await run[Symbol.asyncDispose]();
      throw error;
    }
    return run;
  }

  /** The first `count` instances, for each of which something is done at once. */
  some(count: number): number[] {
    return Array.from({ length: count }, (_, at) => at);
  }

  leap(at: number, byMs: number): void {
    this.#servers.leap(at, byMs);
  }

  grants(since: number, { before = Infinity, process, by, kind, resource }: GrantFilter = {}): number {
    return this.#told.of("acquired").filter((event) => {
      if (event.at < since || event.at >= before) return false;
      if (process !== undefined && event.process !== process) return false;
      if (by !== undefined && !isGrantedBy(event, instanceId(by))) return false;
      if (kind !== undefined && event.kind !== kind) return false;
      return resource === undefined || event.resources.includes(resource);
    }).length;
  }

  /** Until so many locks have been granted since then. */
  granted(atLeast: number, since: number, filter: GrantFilter = {}, withinMs = 15_000): Promise<void> {
    const what = `${atLeast} grants ${JSON.stringify(filter)}`;
    return this.#until(what, () => this.grants(since, filter) >= atLeast, withinMs);
  }

  /** Until each process was granted something of each kind since then, by each of the instances. */
  async healthy(since: number): Promise<void> {
    for (const { name: process, plan } of this.processes) {
      for (const { kind, resource } of plan.work) {
        const [name = ""] = [resource].flat();
        await this.granted(1, since, { process, kind, resource: name });
      }
    }
    for (const at of this.instances.keys()) await this.granted(1, since, { by: at });
  }

  /** Until so many acquires have failed since then. */
  failed(atLeast: number, since: number): Promise<void> {
    return this.#until(`${atLeast} failures`, () => this.#told.count("failed", since) >= atLeast);
  }

  /** Until so many holders were told that their lock is lost. */
  lost(atLeast: number, since: number): Promise<void> {
    return this.#until(`${atLeast} losses`, () => this.#told.count("lost", since) >= atLeast);
  }

  /** How long each acquire took that ended with a lock since then, in milliseconds. */
  callTimes(since: number): number[] {
    const acquired = this.#told.of("acquired").filter(({ at }) => at >= since);
    return acquired.map(({ tookMs }) => tookMs);
  }

  /**
   * Stops the processes, each of which has to end by itself, and judges all that they said. `beyond` are the
   * rules that an injected fault may break, by GUARANTEES.
   */
  async finish(beyond: readonly Rule[] = []): Promise<Verdict> {
    const endings = await Promise.all(this.processes.map((process) => process.stop()));
    const bounds = { acquireMs: 2 * DEADLINE_MS + SLACK_MS, releaseMs: DEADLINE_MS + SLACK_MS };
    const options = { endAt: micros(), slack: TELLING_MS * 1000 };
    const findings = checkHistory(historyOf(this.#told.all, bounds), options);
    return {
      badEndings: endings.filter((ending) => !isGood(ending)),
      findings: describeFindings(findings.filter(({ rule }) => !beyond.includes(rule))),
      leftKeys: await this.#leftKeys(),
      leaps: this.leaps().reduce((sum, leaps) => sum + leaps, 0),
    };
  }

  /** How often the processes saw the clock of each instance leap, by their last words. */
  leaps(): number[] {
    const counts = this.instances.map(() => 0);
    for (const { events } of this.processes) {
      const last = events.findLast((event) => event.event === "status");
      if (last === undefined) continue;
      const { group } = last.status as LockerStatus;
      for (const [at, { leaps }] of group.members.entries()) counts[at] = counts[at]! + leaps;
    }
    return counts;
  }

  /** Lock keys, and what readers hold, that are still on any instance after the longest lease. */
  async #leftKeys(): Promise<string[]> {
    const clients = this.instances.map(({ url }) => new Redis(url, { maxRetriesPerRequest: 0 }));
    try {
      const left = async (): Promise<string[]> => {
        const found = await Promise.all(
          clients.map((client) => Promise.all(HOLDING.map((kind) => client.keys(`${NAME}:${kind}:*`)))),
        );
        return found.flat(2);
      };
      const giveUpAt = micros() + (LEASE_MS_MAX + SLACK_MS) * 1000;
      let keys = await left();
      while (keys.length > 0 && micros() < giveUpAt) {
        await systemEnv.clock.sleep(20);
        keys = await left();
      }
      return keys;
    } finally {
      for (const client of clients) client.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map((process) => process.kill()));
    await Promise.all(this.wires.map((wire) => wire.stop()));
    await this.#servers.group.stop();
    await this.#watchdog.close();
  }

  async #until(what: string, holds: () => boolean, withinMs = 15_000): Promise<void> {
    const dead = (): LockProcess | undefined => this.processes.find(({ isRunning }) => !isRunning);
    await until(what, () => holds() || dead() !== undefined, withinMs);
    if (!holds()) throw new Error(`${dead()?.name} ended before there were ${what}`);
  }
}

function isGood({ code, signal, unhandled, complaints }: Ending): boolean {
  return code === 0 && signal === null && unhandled.length === 0 && complaints === "";
}

function instanceId(at: number): string {
  return "abcdefgh"[at]!;
}

function isGrantedBy({ votes }: AcquiredEvent, id: string): boolean {
  return votes.some(({ instance, vote }) => instance === id && vote === "granted");
}

async function openServers(count: number, clocks: boolean): Promise<Servers> {
  if (clocks) return startClockedRedis(count);
  const group = await startRedis({ count, provider: "process" });
  const leap = (): void => {
    throw new Error("only a run with clocks can move them");
  };
  return { group, leap };
}

function lockerOf(urls: readonly string[]): LockProgramPlan["locker"] {
  return {
    name: NAME,
    instances: urls.map((url, at) => ({ id: instanceId(at), url })),
    leaseMsMax: LEASE_MS_MAX,
    deadlineMs: DEADLINE_MS,
    connectDeadlineMs: 400,
    healthMs: 100,
  };
}

export interface Breakage {
  break(at: number): Promise<void> | void;
  mend(at: number): Promise<void> | void;
}

/**
 * Breaks these instances at once, waits for what has to follow, and mends them: grants go on without them
 * if the others are a quorum; else acquires fail, holders lose what they held, and nothing is granted.
 */
export async function breakAndMend(run: LockRun, broken: readonly number[], fault: Breakage): Promise<void> {
  const before = run.grants(0);
  await Promise.all(broken.map(async (at) => fault.break(at)));
  const brokenAt = micros();
  // What had been asked before is answered by then, one way or another.
  const settledAt = brokenAt + 2 * DEADLINE_MS * 1000;
  if (broken.length <= run.spare) await run.granted(40, settledAt);
  else {
    await run.failed(10, settledAt);
    await run.lost(1, brokenAt);
  }
  const byBroken = broken.map((by) => run.grants(settledAt, { by }));
  const grantsWithoutQuorum = broken.length <= run.spare ? 0 : run.grants(settledAt);
  const mendedAt = micros();
  await Promise.all(broken.map(async (at) => fault.mend(at)));
  await run.healthy(mendedAt);
  invariant(before > 0, "there was traffic before the fault");
  invariant(byBroken.every((grants) => grants === 0), "a broken instance grants nothing", { byBroken });
  invariant(grantsWithoutQuorum === 0, "without a quorum nothing is granted", { grantsWithoutQuorum });
}
