/**
 * What all kinds of locks have in common: it runs acquisitions over the group's members, keeps what is held,
 * and ends both. Locker, semaphores and read-write locks say what to acquire; this does it.
 */
import { hostname } from "node:os";

import type { Env } from "../../env/index.ts";
import { abortError, CoterieError, quote, throwIfAborted } from "../../errors.ts";
import { Counters, Histogram, isObserved, publish } from "../../observe/index.ts";
import { type Field, readOptions } from "../../options.ts";
import { Acquisition, type AcquisitionPort } from "../core/acquisition.ts";
import { Agenda } from "../core/agenda.ts";
import { type Kind, type Op, Target } from "../core/ops.ts";
import { type Acquired, AcquisitionPlan, type Rules } from "../core/plan.ts";
import { Roster } from "../core/roster.ts";
import { SteadyClock } from "../core/steady-clock.ts";
import { Exchange, type ExchangeSettings } from "./exchange.ts";
import { Fence } from "./fence.ts";
import { FirstAsked } from "./first-asked.ts";
import { encodeArguments } from "../../redis/index.ts";
import type { LockGroup } from "../group/index.ts";
import { Hold, type HoldPort } from "./hold.ts";
import { Lock } from "../lock.ts";
import { type AcquireOptions, type AcquireShape, acquireShape } from "../options.ts";
import { countersOf, type Family, keyOf } from "../resources.ts";
import { Waiting } from "./waiting.ts";

/** What is counted from the moment a locker is opened. */
const COUNTERS = [
  "asked",
  "acquired",
  "refused",
  "failed",
  "waited",
  "secondTrips",
  "renewed",
  "lost",
  "released",
] as const;

/**
 * Calls `asked`; those that `acquired`, were `refused` because another holder has it, or `failed` otherwise;
 * those that `waited`; tokens that took `secondTrips`; leases `renewed`, locks `lost` and `released`.
 */
export type LockerCounter = (typeof COUNTERS)[number];

export interface LockerSettings extends Omit<ExchangeSettings, "prefix" | "clientId"> {
  readonly name: string;
  readonly splitMs: number;
  readonly spareMs: number;
  readonly spareFrom: number;
  readonly tokenSkewMaxMs: number;
  readonly keys: "encoded" | "plain";
}

/** What to acquire: the parts in which semaphores and readers differ. */
export interface Request {
  readonly where: string;
  readonly resources: readonly string[];
  readonly keys: readonly string[];
  readonly kind: Kind;
  readonly permit?: number | undefined;
  /** The ticket's time, when several requests of one caller share one. */
  readonly ticketTime?: number | undefined;
}

/** Tickets of one process within so much have one time: then the order of its calls decides. */
const TICKET_TIME_MS = 0.5;
/** How often the first in a queue looks at a holder that announces nothing: an old `redlock`. */
const POLL_MS = 50;

export class Engine {
  readonly settings: LockerSettings;
  readonly group: LockGroup;
  readonly exchanges: readonly Exchange[];
  readonly counters: Counters<LockerCounter> = new Counters(COUNTERS);
  /** Milliseconds from the call to the lock, waits included. */
  readonly acquireMs: Histogram = new Histogram();
  /** Milliseconds for which locks were held. */
  readonly holdMs: Histogram = new Histogram();

  readonly #env: Env;
  readonly #clientId: string;
  readonly #steady: SteadyClock;
  readonly #agenda: Agenda;
  readonly #waiting: Waiting;
  readonly #fence: Fence;
  readonly #shape: AcquireShape;
  readonly #rules: Rules;
  readonly #first: FirstAsked;
  readonly #infoHead: string;
  #infoAt = Number.NaN;
  #infoText = "";
  readonly #holds = new Roster<Hold>();
  readonly #pending = new Roster<Acquisition>();
  readonly #acquisitionPort: AcquisitionPort;
  readonly #holdPort: HoldPort;
  #ticketTime = 0;
  #ticketTimeAt = Number.NEGATIVE_INFINITY;
  #attempts: number;
  #waitingNow = 0;
  #isOpen = true;

  constructor(group: LockGroup, settings: LockerSettings, env: Env) {
    this.group = group;
    this.settings = settings;
    this.#env = env;
    this.#clientId = env.random.hex(8);
    this.#attempts = env.random.below(2 ** 32);
    this.#steady = new SteadyClock(env.clock);
    this.#agenda = new Agenda(env.timers, this.#steady);
    const exchange = { ...settings, prefix: settings.name, clientId: this.#clientId };
    this.exchanges = group.members.map((member) => {
      // Everybody who can reach it means the same one.
      const tells = (): boolean => group.members.find(({ boot }) => boot !== undefined) === member;
      return new Exchange(member, exchange, env, this.#steady, tells);
    });
    const send = (at: number, op: Op): void => (this.exchanges[at] as Exchange).send(op);
    this.#waiting = new Waiting(group.members, `${settings.name}:wake:${this.#clientId}`, send);
    this.#fence = new Fence(env.clock, settings.tokenSkewMaxMs);
    this.#shape = acquireShape(settings.leaseMsMax);
    const { quorum } = group;
    this.#first = new FirstAsked(group.members, this.exchanges, { ...settings, quorum });
    this.#rules = {
      instances: group.members.map(({ id }) => id),
      quorum,
      reserveMs: settings.reserveMs,
      splitMs: settings.splitMs,
      refreshMs: settings.ticketMs / 3,
      pollMs: POLL_MS,
    };
    const head = JSON.stringify({ host: hostname(), pid: process.pid });
    this.#infoHead = ` ${head.slice(0, -1)},"acquiredAt":`;
    this.#acquisitionPort = this.#portOfAcquisitions(send);
    this.#holdPort = this.#portOfHolds(send);
  }

  get held(): number {
    return this.#holds.size;
  }

  get waiting(): number {
    return this.#waitingNow;
  }

  /** What a ticket that is filed now has as its time, in microseconds: what most servers' clocks say. */
  ticketTime(): number {
    const now = this.#env.clock.now();
    if (now - this.#ticketTimeAt > TICKET_TIME_MS) {
      this.#ticketTimeAt = now;
      this.#ticketTime = median(this.group.members.map((member) => member.serverTimeGuess(now)));
    }
    return this.#ticketTime;
  }

  /** Throws INVALID_ARGUMENT for a plain key that is one of the group's own. */
  keyOf(family: Family, resource: string): string {
    const { name, keys } = this.settings;
    if (keys === "plain" && family === "lock" && resource.startsWith(`${name}:`)) {
      const message = `plain resource ${quote(resource)} begins as the locker's own keys do: "${name}:"`;
      throw new CoterieError("INVALID_ARGUMENT", message);
    }
    return family === "lock" && keys === "plain" ? resource : keyOf(name, family, resource);
  }

  /** Throws INVALID_OPTION unless an acquire takes them. */
  checkOptions(where: string, received: AcquireOptions | undefined): void {
    readOptions(where, received, this.#shape);
  }

  requireOpen(): void {
    if (!this.#isOpen) throw new CoterieError("CLOSED", `locker "${this.settings.name}" is closed`);
  }

  acquire(request: Request, options: AcquireOptions | undefined): Promise<Lock> {
    return new Promise((resolve, reject) => this.#start(request, options, resolve, reject));
  }

  /** Undefined when another holder has it; all else as `acquire`. */
  async tryAcquire(request: Request, options: TryOptions | undefined): Promise<Lock | undefined> {
    try {
      return await this.acquire(request, { ...options, waitMs: 0 });
    } catch (error) {
      if (CoterieError.is(error, "LOCKED")) return undefined;
      throw error;
    }
  }

  /** Ends the waits with CLOSED and begins nothing new. Resolves once all that was held is released. */
  async drain(): Promise<void> {
    this.#stop();
    await Promise.all(this.#holds.all().map((hold) => hold.release()));
    await Promise.all(this.exchanges.map((exchange) => exchange.whenIdle()));
  }

  /** What is still held here counts as lost; on the instances it ends with its lease. */
  destroy(): void {
    this.#stop();
    for (const hold of this.#holds.all()) hold.abandon();
    for (const exchange of this.exchanges) exchange.close();
    this.#agenda.close();
  }

  #stop(): void {
    this.#isOpen = false;
    const closed = new CoterieError("CLOSED", `locker "${this.settings.name}" was closed`);
    for (const acquisition of this.#pending.all()) acquisition.abort(closed);
  }

  #plan(request: Request, options: ReadAcquireOptions): AcquisitionPlan {
    const { leaseMs, waitMs, fair, traceparent } = options;
    const { settings } = this;
    const { resources, keys, kind, ticketTime } = request;
    const base = this.#nextBase();
    const info = settings.keys === "plain" ? "" : this.#info(traceparent);
    const deadlineMs = options.deadlineMs ?? settings.deadlineMs;
    const counters = countersOf(resources);
    const { clock } = this.#env;
    const first = this.#first.pick(this.#pending.size, clock.now(), clock.wallNow());
    return new AcquisitionPlan({
      rules: this.#rules,
      target: new Target(kind, base, encodeArguments(keys), counters, info),
      resources,
      leaseMs,
      waitMs,
      deadlineMs: Math.max(1, Math.min(deadlineMs, Math.floor(leaseMs / 2))),
      fair,
      ticketTime,
      first,
      spareMs: this.#first.delayMs,
    });
  }

  /** A holder token that nobody had before: the client's id and 12 hex digits, counted. */
  #nextBase(): string {
    this.#attempts = (this.#attempts + 1) % 2 ** 48;
    const low = this.#attempts % 2 ** 24;
    // One digit more than are wanted, so that there are always as many; small numbers, which are quick.
    const high = (2 ** 24 + (this.#attempts - low) / 2 ** 24).toString(16).slice(1);
    return this.#clientId + high + (2 ** 24 + low).toString(16).slice(1);
  }

  /** Who holds it, for people: it stands in the lock's value. */
  #info(traceparent: string | undefined): string {
    const now = this.#env.clock.wallNow();
    if (traceparent !== undefined) {
      return `${this.#infoHead}${now},"traceparent":${JSON.stringify(traceparent)}}`;
    }
    // One text for all of a millisecond: it is put into RESP once as well.
    if (now !== this.#infoAt) this.#infoText = `${this.#infoHead}${now}}`;
    this.#infoAt = now;
    return this.#infoText;
  }

  /** What it throws, the promise that it is called in rejects with. */
  #start(
    request: Request,
    received: AcquireOptions | undefined,
    resolve: (lock: Lock) => void,
    reject: (error: CoterieError) => void,
  ): void {
    const { where, resources } = request;
    const options = readOptions(where, received, this.#shape);
    const { signal, renew } = options;
    throwIfAborted(signal, where);
    this.requireOpen();
    const plan = this.#plan(request, options);
    const { waitMs, leaseMs } = plan;
    this.counters.add("asked");
    if (isObserved("coterie:lock:asked")) publish("coterie:lock:asked", { resources, leaseMs, waitMs });
    const acquisition = new Acquisition(plan, this.#acquisitionPort);
    if (waitMs > 0) this.#waiting.add(acquisition);
    const onAbort =
      signal === undefined ? undefined : () => acquisition.abort(abortError(signal, where));
    if (onAbort !== undefined) signal?.addEventListener("abort", onAbort, { once: true });
    acquisition.whenOver = () => {
      if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
      const { acquired, error } = acquisition;
      if (acquired === undefined) reject(this.#failed(resources, error as CoterieError));
      else resolve(this.#hold(acquisition, acquired, renew, request.permit));
    };
    this.#pending.add(acquisition);
    acquisition.start();
  }

  #hold(acquisition: Acquisition, acquired: Acquired, renew: boolean, permit: number | undefined): Lock {
    const { resources } = acquisition.plan;
    const hold = new Hold(acquisition, acquired, renew, this.#env.clock.now(), this.#holdPort);
    const tookMs = acquisition.waitedMs;
    this.#holds.add(hold);
    this.counters.add("acquired");
    this.acquireMs.record(tookMs);
    if (isObserved("coterie:lock:acquired")) {
      publish("coterie:lock:acquired", { resources, fencingToken: acquired.fencingToken, tookMs });
    }
    return new Lock(hold, this.settings.leaseMsMax, permit);
  }

  #failed(resources: readonly string[], error: CoterieError): CoterieError {
    this.counters.add(error.code === "LOCKED" ? "refused" : "failed");
    publish("coterie:lock:refused", { resources, code: error.code });
    return error;
  }

  #portOfAcquisitions(send: (at: number, op: Op) => void): AcquisitionPort {
    const { members } = this.group;
    return {
      send,
      isUsable: (at) => members[at]?.boot !== undefined,
      now: () => this.#steady.now(),
      ticketTime: () => this.ticketTime(),
      propose: (counters) => this.#fence.propose(counters),
      learn: (counters, value) => this.#fence.learn(counters, value),
      schedule: (acquisition, dueAt) => {
        if (dueAt === undefined) this.#agenda.remove(acquisition);
        else this.#agenda.set(acquisition, dueAt);
      },
      onWaiting: () => {
        this.counters.add("waited");
        this.#waitingNow += 1;
      },
      onRaise: () => this.counters.add("secondTrips"),
      onOutcome: (acquisition) => this.#onOutcome(acquisition),
    };
  }

  #onOutcome(acquisition: Acquisition): void {
    if (acquisition.hasWaited) {
      this.#waitingNow -= 1;
      const { resources } = acquisition.plan;
      publish("coterie:lock:waited", { resources, waitedMs: acquisition.waitedMs });
    }
    if (acquisition.acquired === undefined) this.#waiting.remove(acquisition);
    this.#pending.remove(acquisition);
    acquisition.whenOver?.();
    acquisition.whenOver = undefined;
  }

  #portOfHolds(send: (at: number, op: Op) => void): HoldPort {
    return {
      agenda: this.#agenda,
      spread: () => this.#env.random.fraction(),
      send,
      look: () => this.#steady.look(),
      onOver: (hold, how) => {
        this.#waiting.remove(hold.acquisition);
        const heldMs = this.#env.clock.now() - hold.heldSince;
        this.#holds.remove(hold);
        this.counters.add(how);
        this.holdMs.record(heldMs);
        const { resources, fencingToken } = hold;
        if (how === "released") {
          if (isObserved("coterie:lock:released")) {
            publish("coterie:lock:released", { resources, fencingToken, heldMs });
          }
        } else {
          const why = hold.lossError().message;
          publish("coterie:lock:lost", { resources, fencingToken, heldMs, why });
        }
      },
      onRenewed: ({ resources, fencingToken, leaseMs }) => {
        this.counters.add("renewed");
        if (!isObserved("coterie:lock:renewed")) return;
        publish("coterie:lock:renewed", { resources, fencingToken, leaseMs });
      },
    };
  }
}

/** What `tryAcquire` takes: all but the waiting. */
export type TryOptions = Omit<AcquireOptions, "waitMs" | "fair">;

type ReadAcquireOptions = {
  readonly [Name in keyof AcquireShape]: AcquireShape[Name] extends Field<infer T> ? T : never;
};

function median(values: readonly number[]): number {
  const known = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  return Math.floor(known[Math.floor(known.length / 2)] ?? 0);
}
