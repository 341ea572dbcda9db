/**
 * What goes wrong in a world, as chance has it, and what is put right again. Its one idea: a fault counts
 * only if it met something (packets that had to wait, locks that were lost, timers that came late), so each
 * says in the end whether it did. Within the promise no more instances lose data or leap in time at once
 * than may; anybody may be paused, cut off, slowed down or killed at any time.
 */
import type { Direction, Pipe } from "./network.ts";
import type { SimProcess } from "./process.ts";
import type { SimServer } from "./server.ts";
import type { SimUser } from "./user.ts";
import type { SimWorld } from "./world.ts";

export interface FaultPlan {
  /** Between the end of one start and the next, on average. */
  readonly pauseMs: number;
  /** How many instances may have lost data at the same time, seen as members again. */
  readonly losersMax: number;
  /** How many may leap in time at once. */
  readonly leapersMax: number;
  /** The least leap that is noticed at these delays. */
  readonly leapMsMin: number;
  readonly lastsMsMax: number;
  readonly leaseMsMax: number;
  /** Faults that are left out. */
  readonly without?: readonly FaultName[];
  /** Key of the boot record on each instance. */
  readonly bootKey: string;
  /** Nothing else begins for this long after a leap: clients that talk to the instance notice it. */
  readonly noticeMs: number;
}

/** A fault that has begun. */
interface Begun {
  readonly lastsMs: number;
  /** Puts it right; true when it met something. */
  readonly end: () => boolean;
}

/** Of a boot record, what tells whether it is another than before. */
interface Membership {
  readonly runId: string;
  readonly state: string;
  readonly nonce: string;
}

/** No machine falls asleep and wakes up sooner than two steps of the boot clock and a little. */
const ASLEEP_MS_MIN = 31;

const FAULTS = {
  "server paused": 4,
  "server crashed": 4,
  "server flushed": 2,
  "server leapt": 3,
  "requests held": 3,
  "replies held": 3,
  "wire cut": 3,
  "connection stuck": 4,
  "connection broken": 2,
  "messages held": 2,
  "wire slow": 2,
  "process paused": 5,
  "process slept": 2,
  "process killed": 2,
  "wall clock leapt": 1,
} as const;

export type FaultName = keyof typeof FAULTS;
type ServerFault = "server paused" | "server crashed" | "server flushed" | "server leapt";
type ProcessFault = Exclude<FaultName, ServerFault>;
export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[];

export class Faults {
  readonly #world: SimWorld;
  readonly #plan: FaultPlan;
  readonly #users: SimUser[];
  readonly #spawn: () => void;
  /** Servers that lost data or leapt, with the nonce of their record before. */
  readonly #affected = new Map<SimServer, string | undefined>();
  readonly #busyServers = new Set<SimServer>();
  readonly #open = new Set<() => void>();
  #quietUntil = 0;
  #isOver = false;

  /** `spawn` starts a process in the place of one that was killed. */
  constructor(world: SimWorld, plan: FaultPlan, users: SimUser[], spawn: () => void) {
    this.#world = world;
    this.#plan = plan;
    this.#users = users;
    this.#spawn = spawn;
  }

  start(): void {
    this.#planNext();
  }

  /** Puts everything right. */
  end(): void {
    this.#isOver = true;
    for (const end of this.#open) end();
  }

  #planNext(): void {
    const ms = -Math.log(1 - this.#world.random.fraction()) * this.#plan.pauseMs;
    this.#world.clock.after(ms, () => {
      if (this.#isOver) return;
      if (this.#world.now >= this.#quietUntil) this.#begin(this.#draw());
      this.#planNext();
    });
  }

  #draw(): FaultName {
    const allowed = FAULT_NAMES.filter((name) => this.#plan.without?.includes(name) !== true);
    let drawn = this.#world.random.below(allowed.reduce((sum, name) => sum + FAULTS[name], 0));
    for (const name of allowed) {
      drawn -= FAULTS[name];
      if (drawn < 0) return name;
    }
    return allowed[0] as FaultName;
  }

  #begin(name: FaultName): void {
    const begun = this.#beginOne(name);
    if (begun === undefined) return;
    this.#world.counts.add(`fault ${name}`);
    const end = (): void => {
      if (!this.#open.delete(end)) return;
      const met = begun.end();
      this.#world.trace(() => `ENDS ${name}${met ? "" : " (met nothing)"}`);
      if (met) this.#world.counts.add(`met ${name}`);
    };
    this.#open.add(end);
    this.#world.clock.after(begun.lastsMs, end);
  }

  #beginOne(name: FaultName): Begun | undefined {
    const { random } = this.#world;
    const server = this.#pick(this.#world.servers);
    const user = this.#pick(this.#users.filter(({ process }) => process.state === "running"));
    if (server === undefined) return undefined;
    const lastsMs = 1 + random.fraction() ** 2 * this.#plan.lastsMsMax;
    this.#world.trace(() => `FAULT ${name} ${server.id} ${user?.process.name} for ${lastsMs.toFixed(0)}`);
    if (name === "server paused") return this.#pauseServer(server, lastsMs);
    if (name === "server crashed") return this.#crash(server, lastsMs);
    if (name === "server flushed") return this.#flush(server);
    if (name === "server leapt") return this.#leap(server);
    return user === undefined ? undefined : this.#beginAtProcess(name, user, server, lastsMs);
  }

  #beginAtProcess(name: ProcessFault, user: SimUser, server: SimServer, lastsMs: number): Begun | undefined {
    const { process } = user;
    const wire = this.#world.wire(process, server);
    const instance = this.#world.instancesOf(process).find(({ id }) => id === server.id);
    switch (name) {
      case "requests held":
        return holding([wire.toServer], lastsMs);
      case "replies held":
        return holding([wire.toClient], lastsMs);
      case "wire cut":
        return holding([wire.toServer, wire.toClient], lastsMs);
      case "connection stuck":
        return stuck(instance?.line.connection?.toServer, lastsMs * 2);
      case "messages held":
        return stuck(instance?.subscriber().line.connection?.toClient, lastsMs);
      case "connection broken":
        return this.#breakConnection(process, server);
      case "wire slow":
        return this.#slowDown(process, server, lastsMs);
      case "process paused":
      case "process slept":
        return this.#stop(user, name === "process slept", lastsMs);
      case "process killed":
        return this.#kill(user);
      case "wall clock leapt":
        return this.#leapWall(process);
      default:
        return undefined;
    }
  }

  #pauseServer(server: SimServer, lastsMs: number): Begun | undefined {
    if (!server.isUp || server.isPaused) return undefined;
    server.pause();
    return {
      lastsMs,
      end: () => {
        const met = server.waiting > 0;
        server.goOn();
        return met;
      },
    };
  }

  #crash(server: SimServer, lastsMs: number): Begun | undefined {
    if (!server.isUp || this.#busyServers.has(server)) return undefined;
    const { random } = this.#world;
    const isDurable = server.redis.config.get("appendfsync") === "always";
    if (!isDurable && !this.#mayLose(server)) return undefined;
    const data = isDurable ? "kept" : (["kept", "empty", "empty", "old"] as const)[random.below(4)];
    const met = locksOn(server) > 0;
    this.#busyServers.add(server);
    if (!isDurable) this.#affect(server);
    this.#world.trace(() => `${server.id} crashes, and comes back ${data}`);
    server.crash(random.below(3) === 0);
    return {
      lastsMs,
      end: () => {
        this.#busyServers.delete(server);
        server.restart(data as "kept" | "empty" | "old");
        return met;
      },
    };
  }

  #flush(server: SimServer): Begun | undefined {
    if (!server.isUp || this.#busyServers.has(server) || !this.#mayLose(server)) return undefined;
    const met = locksOn(server) > 0;
    this.#affect(server);
    server.flush();
    return { lastsMs: 0, end: () => met };
  }

  /** Only where everybody who could be deceived talks to the server now and did a moment ago. */
  #leap(server: SimServer): Begun | undefined {
    const { random, processes, now } = this.#world;
    const { leapMsMin, leapersMax, noticeMs } = this.#plan;
    const living = processes.filter(({ state }) => state !== "killed");
    const isQuiet =
      this.#open.size === 0 &&
      server.isUp &&
      living.every((process) => {
        const instance = this.#world.instancesOf(process).find(({ id }) => id === server.id);
        return process.state === "running" && instance?.available === true;
      });
    if (!isQuiet || this.#record(server)?.state !== "member") return undefined;
    if (!this.#mayLose(server, leapersMax)) return undefined;
    const ms = (leapMsMin + random.fraction() * 5000) * (random.below(3) === 0 ? -1 : 1);
    const met = locksOn(server) > 0;
    this.#affect(server);
    this.#quietUntil = now + noticeMs;
    this.#world.trace(() => `${server.id} leaps by ${ms.toFixed(0)}`);
    server.leap(ms, random.below(2) === 0);
    return { lastsMs: 0, end: () => met };
  }

  #breakConnection(process: SimProcess, server: SimServer): Begun | undefined {
    const instance = this.#world.instancesOf(process).find(({ id }) => id === server.id);
    const line = this.#world.random.below(3) === 0 ? instance?.subscriber().line : instance?.line;
    if (line?.connection === undefined || !line.isReady) return undefined;
    line.connection.break();
    return { lastsMs: 0, end: () => true };
  }

  #slowDown(process: SimProcess, server: SimServer, lastsMs: number): Begun {
    const { toServer, toClient } = this.#world.wire(process, server);
    const slow = this.#world.random.below(2) === 0 ? [toServer, toClient] : [toClient];
    for (const direction of slow) direction.extraMs = 5 + this.#world.random.below(50);
    const before = slow.map(({ pushed }) => pushed);
    return {
      lastsMs,
      end: () => {
        for (const direction of slow) direction.extraMs = 0;
        return slow.some(({ pushed }, at) => pushed > (before[at] as number));
      },
    };
  }

  #stop(user: SimUser, isAsleep: boolean, lastsMs: number): Begun {
    const { process } = user;
    user.lookAtAll();
    const at = this.#world.now;
    if (isAsleep) process.fallAsleep();
    else process.pause();
    const least = isAsleep ? ASLEEP_MS_MIN : 0;
    return {
      lastsMs: lastsMs + least,
      end: () => {
        const met = process.kept > 0;
        const leftMs = Math.max(0, at + least - this.#world.now);
        if (leftMs === 0) this.#goOn(process, at, isAsleep);
        else this.#world.clock.after(leftMs, () => this.#goOn(process, at, isAsleep));
        return met;
      },
    };
  }

  #goOn(process: SimProcess, at: number, wasAsleep: boolean): void {
    if (process.state === "killed") return;
    const until = this.#world.now;
    // A timer that slept as well comes later by as much, unless somebody looks at the clock before.
    const late = wasAsleep ? { lossesBy: until + this.#plan.leaseMsMax } : {};
    this.#world.note({ event: "stalled", process: process.name, at, until, ...late });
    process.goOn();
  }

  #kill(user: SimUser): Begun {
    user.lookAtAll();
    const met = user.held > 0;
    this.#world.note({ event: "killed", process: user.process.name, at: this.#world.now });
    user.process.kill();
    this.#users.splice(this.#users.indexOf(user), 1);
    return {
      lastsMs: this.#world.random.below(50),
      end: () => {
        this.#spawn();
        return met;
      },
    };
  }

  #leapWall(process: SimProcess): Begun {
    process.leapWall(this.#world.random.below(4_000_000) - 2_000_000);
    return { lastsMs: 0, end: () => true };
  }

  /** True when one more may be without its data, or out of time. */
  #mayLose(server: SimServer, most: number = this.#plan.losersMax): boolean {
    for (const [other, nonce] of this.#affected) {
      const record = this.#record(other);
      if (record?.state === "member" && record.nonce !== nonce && record.runId === other.redis.runId) {
        this.#affected.delete(other);
      }
    }
    return !this.#affected.has(server) && this.#affected.size < most;
  }

  #affect(server: SimServer): void {
    this.#affected.set(server, this.#record(server)?.nonce);
  }

  #record(server: SimServer): Membership | undefined {
    if (!server.isUp) return undefined;
    const text = server.redis.execute(["GET", this.#plan.bootKey]);
    if (typeof text !== "string") return undefined;
    const [, , , , runId = "", state = "", nonce = ""] = text.split(" ");
    return { runId, state, nonce };
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.#world.random.below(from.length)];
  }
}

/** Keys with a life of their own: locks, reservations, queues, tickets. */
function locksOn(server: SimServer): number {
  return server.redis.db.keys().filter((key) => /:(?:lock|permit|rw|readers):/.test(key)).length;
}

function holding(directions: readonly Direction[], lastsMs: number): Begun {
  for (const direction of directions) direction.hold();
  return {
    lastsMs,
    end: () => {
      const met = directions.some(({ waiting }) => waiting > 0);
      for (const direction of directions) direction.letGo();
      return met;
    },
  };
}

function stuck(pipe: Pipe | undefined, lastsMs: number): Begun | undefined {
  if (pipe === undefined) return undefined;
  pipe.stick();
  return {
    lastsMs,
    end: () => {
      const met = pipe.held > 0;
      pipe.loosen();
      return met;
    },
  };
}
