/**
 * The program that runs in one simulated process: it opens a locker and works with locks of all kinds, as
 * chance has it, and notes for the checker what it is told. It does only what a user could do.
 */
import type { Random } from "../../../src/env/index.ts";
import { CoterieError } from "../../../src/errors.ts";
import type { AcquireOptions, Lock, Locker } from "../../../src/locks/index.ts";
import { type OpenSettings, openLockerOn } from "../../../src/locks/open.ts";
import type { AskedEvent, LockMode } from "../lock-history.ts";
import type { SimProcess } from "./process.ts";
import type { SimWorld } from "./world.ts";

export interface WorkPlan {
  readonly settings: OpenSettings;
  /** Names of plain locks. */
  readonly resources: readonly string[];
  readonly permits: number;
  readonly leasesMs: readonly number[];
  readonly waitsMs: readonly number[];
  readonly holdMsMax: number;
  readonly thinkMsMax: number;
  /** Of each ten attempts: how many are semaphores, reads and writes, and locks on several. */
  readonly shares: { readonly permit: number; readonly readWrite: number; readonly several: number };
  /** Whether locks are taken away by hand now and then. */
  readonly forces: boolean;
  /** How many work at the same time in one process. */
  readonly workers: number;
}

/** An answer comes this much later than the waits and deadlines add up to: timers, and one grace each. */
const ANSWER_SLACK_MS = 45;

interface Attempt {
  readonly call: string;
  readonly mode: LockMode;
  readonly resources: readonly string[];
  readonly options: AcquireOptions & { readonly leaseMs: number; readonly waitMs: number };
}

export class SimUser {
  readonly process: SimProcess;
  readonly #world: SimWorld;
  readonly #plan: WorkPlan;
  readonly #random: Random;
  readonly #held = new Map<Lock, string>();
  #locker: Locker | undefined;
  #calls = 0;
  #isEnding = false;
  isDone = false;

  constructor(world: SimWorld, process: SimProcess, plan: WorkPlan) {
    this.#world = world;
    this.process = process;
    this.#plan = plan;
    this.#random = world.random;
  }

  get locker(): Locker | undefined {
    return this.#locker;
  }

  get held(): number {
    return this.#held.size;
  }

  /** Every instance is a member of the group, as this process sees it. */
  get seesMembersOnly(): boolean {
    return this.#locker?.status().group.members.every(({ state }) => state === "member") === true;
  }

  /** For people. */
  get states(): string {
    const { members = [] } = this.#locker?.status().group ?? {};
    return members.map(({ id, state, reason }) => `${id} ${state} (${reason ?? ""})`).join(", ");
  }

  /** Opens, and works until `stop`. */
  async run(): Promise<void> {
    try {
      await this.#open();
      await Promise.all(Array.from({ length: this.#plan.workers }, () => this.#work()));
    } catch (error) {
      this.#world.fail(`${this.process.name}: ${String((error as Error).stack ?? error)}`);
    }
    this.isDone = true;
  }

  stop(): void {
    this.#isEnding = true;
  }

  /** What every holder here knows of its lease now: to be called before the process stops running. */
  lookAtAll(): void {
    for (const [lock, call] of this.#held) this.#look(lock, call);
  }

  /** A renewal was confirmed, somewhere; if it may have been ours, what we know of its end is noted. */
  onRenewed(resources: readonly string[], token: number): void {
    if (this.process.state !== "running") return;
    for (const [lock, call] of this.#held) {
      if (lock.fencingToken === token && lock.resources[0] === resources[0]) this.#look(lock, call);
    }
  }

  /** The group works again: every resource can be had. */
  async probe(waitMs: number): Promise<void> {
    const locker = this.#locker as Locker;
    for (const resource of this.#plan.resources) {
      const options = { leaseMs: this.#lease, waitMs, renew: false };
      try {
        const lock = await locker.acquire(resource, options);
        await lock.release();
      } catch (error) {
        const what = `${this.process.name} cannot lock ${resource} in the end`;
        this.#world.fail(`${what}: ${String(error)}; ${this.states}`);
      }
    }
  }

  async close(): Promise<void> {
    await this.#locker?.close({ graceMs: 100 });
  }

  get #lease(): number {
    return this.#plan.leasesMs.at(-1) as number;
  }

  /** In the end every living process has a locker, however long that takes. */
  async #open(): Promise<void> {
    while (this.#locker === undefined) {
      const instances = this.#world.connect(this.process);
      try {
        this.#locker = await openLockerOn(instances, this.#plan.settings, this.process.env);
      } catch (error) {
        if (!CoterieError.is(error)) throw error;
        this.#world.counts.add(`open ${error.code}`);
        for (const instance of instances) instance.destroy();
        await this.#sleep(50);
      }
    }
  }

  async #work(): Promise<void> {
    const { thinkMsMax, forces } = this.#plan;
    while (!this.#isEnding) {
      await this.#sleep(this.#random.fraction() ** 2 * thinkMsMax);
      if (forces && this.#random.below(20) === 0) await this.#force();
      const attempt = this.#newAttempt();
      const lock = await this.#ask(attempt);
      if (lock !== undefined) await this.#hold(attempt, lock);
    }
  }

  #newAttempt(): Attempt {
    this.#calls += 1;
    const { leasesMs, waitsMs, shares, resources } = this.#plan;
    const call = `${this.process.name}.${this.#calls}`;
    const options = {
      leaseMs: this.#pick(leasesMs),
      waitMs: this.#pick(waitsMs),
      renew: this.#random.below(3) > 0,
      fair: this.#random.below(8) > 0,
    };
    const drawn = this.#random.fraction() * 10;
    if (drawn < shares.permit) return { call, mode: "permit", resources: ["semaphore"], options };
    if (drawn < shares.permit + shares.readWrite) {
      return { call, mode: this.#random.below(3) > 0 ? "read" : "write", resources: ["document"], options };
    }
    if (drawn < shares.permit + shares.readWrite + shares.several && resources.length > 1) {
      const first = this.#random.below(resources.length);
      const both = [first, (first + 1) % resources.length].map((at) => resources[at] as string);
      return { call, mode: "lock", resources: both, options };
    }
    return { call, mode: "lock", resources: [this.#pick(resources)], options };
  }

  async #ask(attempt: Attempt): Promise<Lock | undefined> {
    const { call, mode, resources, options } = attempt;
    const { deadlineMs } = this.#plan.settings;
    const { permits } = this.#plan;
    // A round to all and one to raise the token; a semaphore looks around first.
    const rounds = mode === "permit" ? 4 + 2 * permits : 3;
    const ownMs = options.waitMs + rounds * Math.min(deadlineMs, options.leaseMs) + ANSWER_SLACK_MS;
    const at = this.#world.now;
    const asked: AskedEvent = {
      event: "asked",
      call,
      process: this.process.name,
      resources,
      mode,
      at,
      dueAt: at + ownMs,
      remainingMin: options.leaseMs * 0.25 - 1,
      ...(mode === "permit" ? { permits } : {}),
    };
    this.#world.note(asked);
    const aborting = this.#random.below(12) === 0 ? new AbortController() : undefined;
    if (aborting !== undefined) {
      this.process.env.timers.after(this.#random.below(options.waitMs + 10), () => aborting.abort());
    }
    try {
      const signal = aborting?.signal;
      const lock = await this.#acquire(attempt, signal === undefined ? {} : { signal });
      if (lock === undefined) this.#failed(call, "LOCKED");
      else this.#acquired(call, lock, this.#world.now - at);
      return lock;
    } catch (error) {
      if (!CoterieError.is(error)) throw error;
      if (error.code === "INVARIANT" || error.code === "INVALID_OPTION") throw error;
      this.#failed(call, error.code);
      return undefined;
    }
  }

  #acquire(
    { mode, resources, options }: Attempt,
    extra: { readonly signal?: AbortSignal },
  ): Promise<Lock | undefined> {
    const locker = this.#locker as Locker;
    const all = { ...options, ...extra };
    const { fair: _, waitMs, ...rest } = all;
    const [name = ""] = resources;
    const isTry = waitMs === 0 && this.#random.below(2) === 0;
    if (mode === "permit") {
      const semaphore = locker.semaphore(name, { permits: this.#plan.permits });
      return isTry ? semaphore.tryAcquire(rest) : semaphore.acquire(all);
    }
    if (mode !== "lock") {
      const side = locker.readWrite(name)[mode];
      return isTry ? side.tryAcquire(rest) : side.acquire(all);
    }
    const wanted = resources.length > 1 ? resources : name;
    return isTry ? locker.tryAcquire(wanted, rest) : locker.acquire(wanted, all);
  }

  #failed(call: string, code: string): void {
    this.#world.counts.add(`failed ${code}`);
    this.#world.note({ event: "failed", call, at: this.#world.now, code });
  }

  #acquired(call: string, lock: Lock, tookMs: number): void {
    this.#world.counts.add("granted");
    if (tookMs > 2 * this.#plan.settings.reserveMs) this.#world.counts.add("granted late");
    this.#held.set(lock, call);
    const { fencingToken: token, permit } = lock;
    const own = { token, ...(permit === undefined ? {} : { permit }) };
    this.#world.note({ event: "acquired", call, at: this.#world.now, until: this.#endOf(lock), ...own });
    const onLost = (): void => {
      this.#held.delete(lock);
      this.#world.counts.add("lost");
      this.#world.note({ event: "lost", call, at: this.#world.now });
    };
    if (lock.signal.aborted) onLost();
    else lock.signal.addEventListener("abort", onLost, { once: true });
  }

  async #hold({ call, options }: Attempt, lock: Lock): Promise<void> {
    const { holdMsMax } = this.#plan;
    await this.#sleep(this.#random.fraction() ** 2 * holdMsMax);
    while (!lock.lost && this.#random.below(4) === 0) {
      await this.#renew(call, lock, options.leaseMs);
      await this.#sleep(this.#random.fraction() ** 2 * holdMsMax);
    }
    // Some are forgotten: they end with their lease, or are renewed until the process ends or loses them.
    if (this.#random.below(10) === 0 && !options.renew) await this.#sleep(options.leaseMs);
    await this.#release(call, lock);
  }

  async #renew(call: string, lock: Lock, leaseMs: number): Promise<void> {
    const at = this.#world.now;
    const dueAt = Math.max(at, this.#endOf(lock)) + ANSWER_SLACK_MS;
    this.#world.note({ event: "renewing", call, at, dueAt });
    let isConfirmed = true;
    try {
      await lock.renew(this.#random.below(2) === 0 ? {} : { leaseMs });
      this.#look(lock, call);
    } catch (error) {
      if (!CoterieError.is(error, "LOCK_LOST")) throw error;
      isConfirmed = false;
    }
    this.#world.counts.add(isConfirmed ? "renewed by hand" : "renewal lost");
    this.#world.note({ event: "renewed", call, at: this.#world.now, isConfirmed });
  }

  async #release(call: string, lock: Lock): Promise<void> {
    if (!lock.lost) this.#look(lock, call);
    const at = this.#world.now;
    const dueAt = at + this.#plan.settings.deadlineMs + ANSWER_SLACK_MS;
    this.#world.note({ event: "releasing", call, at, dueAt });
    this.#held.delete(lock);
    const isConfirmed = await lock.release();
    this.#world.counts.add(isConfirmed ? "released" : "release unconfirmed");
    this.#world.note({ event: "released", call, at: this.#world.now, isConfirmed });
  }

  async #force(): Promise<void> {
    const resource = this.#pick(this.#plan.resources);
    const at = this.#world.now;
    // What was sent may do its work until its deadline, even if this process is killed before.
    const until = at + this.#plan.settings.deadlineMs + ANSWER_SLACK_MS;
    this.#world.note({ event: "forced", resource, at, until });
    try {
      await (this.#locker as Locker).forceRelease(resource);
      this.#world.counts.add("forced");
    } catch (error) {
      if (!CoterieError.is(error)) throw error;
    }
    if (this.#world.now > until) this.#world.note({ event: "forced", resource, at, until: this.#world.now });
  }

  #look(lock: Lock, call: string): void {
    const until = this.#endOf(lock);
    if (until > this.#world.now) this.#world.note({ event: "seen", call, at: this.#world.now, until });
  }

  /** When its lease is over, in true time. */
  #endOf(lock: Lock): number {
    return this.#world.now + this.process.trueMs(lock.remainingMs);
  }

  #sleep(ms: number): Promise<void> {
    return this.process.env.clock.sleep(ms);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }
}
