/**
 * One seed from beginning to end: a world with users, faults for a while, everything put right, a look
 * whether the group works again, and the checker over all that users were told. A failure says which seed
 * it was and how to see it again.
 */
import type { Messages } from "../../../src/observe/channels.ts";
import { checkHistory, describeFindings } from "../lock-history.ts";
import type { Counts } from "./counts.ts";
import { type FaultPlan, Faults } from "./faults.ts";
import { SimUser, type WorkPlan } from "./user.ts";
import { SimWorld, type WorldPlan } from "./world.ts";

export interface RunPlan {
  readonly world: WorldPlan;
  readonly work: WorkPlan;
  readonly faults: FaultPlan;
  readonly processes: number;
  /** How long users work while things go wrong. */
  readonly runMs: number;
  /** How long they have until everything is well again, when nothing goes wrong any more. */
  readonly settleMs: number;
  /** Ids of instances that lose nothing when they crash. */
  readonly durable: readonly string[];
  /** What the checker looks for: everything, or only tokens where more goes wrong than may. */
  readonly keeps: "everything" | "tokens";
}

const STEP_MS = 50;

export interface RunResult {
  readonly findings: string;
  readonly problems: readonly string[];
  readonly counts: Counts;
  readonly lines: readonly string[];
}

export async function runSeed(plan: RunPlan): Promise<RunResult> {
  // Most errors in a run are answers that nobody reads the stack of, and a stack costs more than the rest.
  const { stackTraceLimit } = Error;
  if (plan.world.traces !== true) Error.stackTraceLimit = 0;
  try {
    const run = new Run(plan);
    await run.all();
    return run.result();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class Run {
  readonly #plan: RunPlan;
  readonly #world: SimWorld;
  readonly #users: SimUser[] = [];
  readonly #everybody: SimUser[] = [];
  readonly #faults: Faults;
  #findings = "";

  constructor(plan: RunPlan) {
    this.#plan = plan;
    this.#world = new SimWorld(plan.world);
    for (const server of this.#world.servers) {
      if (!plan.durable.includes(server.id)) continue;
      server.configure({ appendonly: "yes", appendfsync: "always" });
    }
    this.#faults = new Faults(this.#world, plan.faults, this.#users, () => this.#spawn());
  }

  async all(): Promise<void> {
    const { counts } = this.#world;
    const count = (name: string) => () => counts.add(name);
    await this.#world.listening("coterie:lock:abstaining", count("abstained"), () =>
      this.#world.listening("coterie:lock:member", this.#onMember, () =>
        this.#world.listening("coterie:lock:data-loss", count("rescued"), () =>
          this.#world.listening("coterie:lock:renewed", this.#onRenewed, () => this.#live()),
        ),
      ),
    );
  }

  result(): RunResult {
    const { counts, problems, lines } = this.#world;
    return { findings: this.#findings, problems, counts, lines };
  }

  readonly #onRenewed = ({ resources, fencingToken }: Messages["coterie:lock:renewed"]): void => {
    for (const user of this.#users) user.onRenewed(resources, fencingToken);
  };

  readonly #onMember = ({ instance, from, to }: Messages["coterie:lock:member"]): void => {
    if (from === "abstaining" && to === "member") this.#world.counts.add("readmitted");
    this.#world.trace(() => `member ${instance}: ${from} to ${to}`);
  };

  async #live(): Promise<void> {
    const { runMs, settleMs, processes } = this.#plan;
    const { bootKey } = this.#plan.faults;
    const { clock } = this.#world;
    for (let n = 0; n < processes; n += 1) this.#spawn();
    // The group is founded in peace: what it knows of itself must be on a quorum first.
    await clock.advance(100);
    for (const server of this.#world.servers) server.keepCopy();
    this.#faults.start();
    await clock.advance(runMs);
    this.#faults.end();
    await clock.advance(100);
    for (const user of this.#users) user.stop();
    const isIdle = (): boolean => this.#users.every((user) => user.isDone);
    await this.#until(isIdle, settleMs);
    const isWhole = (): boolean =>
      this.#world.servers.every((server) => server.redis.db.string(bootKey)?.includes(" member ") === true) &&
      this.#users.every((user) => user.seesMembersOnly);
    const isWell = await this.#until(isWhole, settleMs);
    if (!isWell) this.#world.fail(`not all are members again: ${this.#states()}`);
    this.#check();
    await this.#probe();
    await this.#close();
  }

  #states(): string {
    return this.#users.map(({ process, states }) => `${process.name} ${states}`).join("; ");
  }

  #spawn(): void {
    const process = this.#world.newProcess(`p${this.#world.processes.length + 1}`);
    const user = new SimUser(this.#world, process, this.#plan.work);
    this.#users.push(user);
    this.#everybody.push(user);
    void user.run();
  }

  #check(): void {
    const { history, counts, now } = this.#world;
    const { keeps } = this.#plan;
    const findings = checkHistory(history, {
      endAt: now,
      slack: 0.5,
      tokenOrder: keeps === "everything" ? "acquired" : "asked",
    }).filter(({ rule }) => keeps === "everything" || rule === "token");
    this.#findings = describeFindings(findings);
    this.#countTrips(counts);
  }

  #countTrips(counts: Counts): void {
    for (const { locker } of this.#everybody) {
      if (locker === undefined) continue;
      const { waited, secondTrips, renewed } = locker.status().counters;
      counts.add("waited", waited);
      counts.add("second trips", secondTrips);
      counts.add("renewed", renewed);
    }
    for (const server of this.#world.servers) counts.add("scripts", server.scriptsRun);
  }

  /** Lets time go on until it holds; false when it does not in `mostMs`. */
  async #until(holds: () => boolean, mostMs: number): Promise<boolean> {
    for (let ms = 0; ms < mostMs && !holds(); ms += STEP_MS) await this.#world.clock.advance(STEP_MS);
    return holds();
  }

  /** Says whether they are all over. */
  #settled(all: readonly Promise<void>[]): () => boolean {
    let isOver = false;
    void Promise.all(all).finally(() => {
      isOver = true;
    });
    return () => isOver;
  }

  async #probe(): Promise<void> {
    const living = this.#users.filter(({ locker }) => locker !== undefined);
    if (living.length < this.#users.length) this.#world.fail("a process could not open its locker");
    const { settleMs } = this.#plan;
    const probing = this.#settled(living.map((user) => user.probe(settleMs)));
    if (!(await this.#until(probing, 2 * settleMs))) this.#world.fail("the last locks were never answered");
  }

  async #close(): Promise<void> {
    const { clock } = this.#world;
    const closed = this.#settled(this.#users.map((user) => user.close()));
    if (!(await this.#until(closed, 2000))) this.#world.fail("closing never ended");
    await clock.advance(500);
    // Whoever was killed has timers left that will never run.
    if (this.#everybody.length > this.#users.length) return;
    const left = clock.pendingTimers;
    if (left > 0) this.#world.fail(`${left} timers are left after everything was closed`);
  }
}
