/**
 * Whether what holders of locks saw is what GUARANTEES promises (L1, L2, L4, L6, L10; calls end within
 * their deadline; a loss is told). Its one idea: it knows nothing of how locks work and judges only what
 * was told to users, in the order of one clock that all events share: the simulation's true time, or the
 * monotonic clock of one machine. All times are in the same unit, whichever that is.
 */

/** Readers of a name share, writers of it do not; `permit` is one of a semaphore's. */
export type LockMode = "lock" | "read" | "write" | "permit";

/** A call to acquire; all later events of the attempt, and of the hold that came of it, name it. */
export interface AskedEvent {
  readonly event: "asked";
  readonly call: string;
  readonly process: string;
  readonly resources: readonly string[];
  readonly mode: LockMode;
  /** Of a semaphore. */
  readonly permits?: number;
  readonly at: number;
  /** When it must have been answered, if its process runs. */
  readonly dueAt: number;
  /** The least that is left of a lease when it is handed out (L4). Default 0. */
  readonly remainingMin?: number;
}

interface AcquiredEvent {
  readonly event: "acquired";
  readonly call: string;
  readonly at: number;
  /** The end of the lease that the holder was told. */
  readonly until: number;
  readonly token: number;
  readonly permit?: number;
}

interface FailedEvent {
  readonly event: "failed";
  readonly call: string;
  readonly at: number;
  readonly code: string;
}

/** The holder looks: this is the end of its lease now. After a renewal it is a later one. */
interface SeenEvent {
  readonly event: "seen";
  readonly call: string;
  readonly at: number;
  readonly until: number;
}

/** A call of the holder begins: `release` ends the hold at once, whatever becomes of it. */
interface BegunEvent {
  readonly event: "releasing" | "renewing";
  readonly call: string;
  readonly at: number;
  readonly dueAt: number;
}

/** It ended; `isConfirmed` is what it said. */
interface EndedEvent {
  readonly event: "released" | "renewed";
  readonly call: string;
  readonly at: number;
  readonly isConfirmed: boolean;
}

/** The holder was told that its lock is lost. */
interface LostEvent {
  readonly event: "lost";
  readonly call: string;
  readonly at: number;
}

/** Somebody took the lock away by hand, at some time from `at` to `until`. */
interface ForcedEvent {
  readonly event: "forced";
  readonly resource: string;
  readonly at: number;
  readonly until: number;
}

/** The process did not run: its calls and its losses may come later by that. */
interface StalledEvent {
  readonly event: "stalled";
  readonly process: string;
  readonly at: number;
  readonly until: number;
  /** When it must have told the losses of that time; default `until`. A timer may have slept as well. */
  readonly lossesBy?: number;
}

interface KilledEvent {
  readonly event: "killed";
  readonly process: string;
  readonly at: number;
}

export type HistoryEvent =
  | AskedEvent
  | AcquiredEvent
  | FailedEvent
  | SeenEvent
  | BegunEvent
  | EndedEvent
  | LostEvent
  | ForcedEvent
  | StalledEvent
  | KilledEvent;

export interface HistoryOptions {
  /** When the observation ended: what was due before and did not come is missing. */
  readonly endAt: number;
  /** How late an answer or a loss may be told: what timers and the machine need. Default 0. */
  readonly slack?: number;
  /**
   * Which of two tokens must be higher: the one acquired later (default), or, where two may hold at once
   * because more broke than may, only the one that was asked for after the other was acquired.
   */
  readonly tokenOrder?: "acquired" | "asked";
}

/** What was promised and did not hold. */
export type Rule = "overlap" | "permits" | "token" | "remaining" | "revived" | "late" | "loss" | "order";

export interface Finding {
  readonly rule: Rule;
  readonly at: number;
  readonly message: string;
}

/** A lock in one hand, on one resource. */
interface Hold {
  readonly call: string;
  readonly process: string;
  /** Holds of one space exclude each other, but for readers. */
  readonly space: string;
  readonly resource: string;
  readonly mode: LockMode;
  readonly permits: number | undefined;
  readonly token: number;
  readonly askedAt: number;
  readonly from: number;
  readonly to: number;
  /** It was taken away by hand, or that was tried while it was being acquired. */
  readonly isForced: boolean;
}

/** What is known of one attempt while the events go by. */
interface Attempt {
  readonly asked: AskedEvent;
  acquired: AcquiredEvent | undefined;
  until: number;
  /** When it was released or lost, by the holder's own account. */
  overAt: number | undefined;
  lostAt: number | undefined;
  isAnswered: boolean;
  begun: BegunEvent | undefined;
}

/** What the history breaks, in order of time; empty when all is well. */
export function checkHistory(events: readonly HistoryEvent[], options: HistoryOptions): Finding[] {
  const walk = new Walk(options, new Absences(events));
  for (const event of events.toSorted((a, b) => a.at - b.at)) walk.take(event);
  walk.end();
  const forced = events.filter((event) => event.event === "forced");
  const holds = [...walk.attempts.values()].flatMap((attempt) => holdsOf(attempt, forced));
  const spaces = grouped(holds, ({ space }) => space);
  const permits = holds.filter(({ mode }) => mode === "permit");
  const findings = [
    ...spaces.flatMap((all) => [...overlaps(all), ...tokens(all, options.tokenOrder ?? "acquired")]),
    ...grouped(permits, ({ resource }) => resource).flatMap(permitCounts),
  ];
  return [...walk.findings, ...findings].toSorted((a, b) => a.at - b.at);
}

/** For people: one line for each finding, and what the calls in it did. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(({ rule, at, message }) => `${at.toFixed(3)} ${rule}: ${message}`).join("\n");
}

/** When processes did not run, and when they ended. */
class Absences {
  readonly #stalls = new Map<string, StalledEvent[]>();
  readonly #kills = new Map<string, number>();

  constructor(events: readonly HistoryEvent[]) {
    for (const event of events.toSorted((a, b) => a.at - b.at)) {
      if (event.event === "killed") this.#kills.set(event.process, event.at);
      if (event.event !== "stalled") continue;
      const all = this.#stalls.get(event.process) ?? [];
      all.push(event);
      this.#stalls.set(event.process, all);
    }
  }

  killedAt(process: string): number {
    return this.#kills.get(process) ?? Number.POSITIVE_INFINITY;
  }

  /** When something is due that was begun at `from` and due at `dueAt`, by what the process did not run. */
  dueAt(process: string, from: number, dueAt: number): number {
    let due = dueAt;
    for (const stall of this.#stalls.get(process) ?? []) {
      if (stall.until > from && stall.at < due) due += stall.until - Math.max(stall.at, from);
    }
    return due;
  }

  /** When a loss at `at` must have been told. */
  lossDueAt(process: string, at: number): number {
    let due = at;
    for (const { at: from, until, lossesBy = until } of this.#stalls.get(process) ?? []) {
      if (from <= due && due < lossesBy) due = lossesBy;
    }
    return due;
  }
}

/** Goes by the events in order and notes what each attempt broke by itself. */
class Walk {
  readonly attempts = new Map<string, Attempt>();
  readonly findings: Finding[] = [];
  readonly #options: HistoryOptions;
  readonly #absences: Absences;
  readonly #slack: number;

  constructor(options: HistoryOptions, absences: Absences) {
    this.#options = options;
    this.#absences = absences;
    this.#slack = options.slack ?? 0;
  }

  take(event: HistoryEvent): void {
    if (event.event === "forced" || event.event === "stalled" || event.event === "killed") return;
    if (event.event === "asked") return this.#onAsked(event);
    const attempt = this.attempts.get(event.call);
    const what = `${event.call}: ${event.event}`;
    if (attempt === undefined) return this.#find("order", event.at, `${what} was not asked`);
    if (event.event === "acquired" || event.event === "failed") return this.#onAnswered(attempt, event);
    if (attempt.acquired === undefined) return this.#find("order", event.at, `${what} without a lock`);
    switch (event.event) {
      case "seen":
        return this.#onSeen(attempt, event);
      case "lost":
        return this.#onLost(attempt, event);
      case "released":
      case "renewed":
        return this.#onEnded(attempt, event);
      case "releasing":
      case "renewing":
        attempt.begun = event;
        if (event.event === "releasing") attempt.overAt ??= event.at;
        return undefined;
      default:
        return undefined;
    }
  }

  /** What should have come before the end and did not. */
  end(): void {
    const { endAt } = this.#options;
    for (const { asked, acquired, begun, isAnswered, overAt, until } of this.attempts.values()) {
      const { call, process } = asked;
      const isDue = (from: number, at: number): boolean => {
        const dueAt = this.#absences.dueAt(process, from, at) + this.#slack;
        return dueAt < Math.min(endAt, this.#absences.killedAt(process));
      };
      if (!isAnswered && isDue(asked.at, asked.dueAt)) {
        this.#find("late", asked.dueAt, `${call}: never answered`);
      }
      if (begun !== undefined && isDue(begun.at, begun.dueAt)) {
        this.#find("late", begun.dueAt, `${call}: ${begun.event} never ended`);
      }
      if (acquired === undefined || overAt !== undefined) continue;
      const lossDue = this.#absences.lossDueAt(process, until) + this.#slack;
      if (lossDue < Math.min(endAt, this.#absences.killedAt(process))) {
        this.#find("loss", until, `${call}: its lease ended, and it was not told`);
      }
    }
  }

  #onAsked(asked: AskedEvent): void {
    if (this.attempts.has(asked.call)) return this.#find("order", asked.at, `${asked.call}: asked twice`);
    this.attempts.set(asked.call, {
      asked,
      acquired: undefined,
      until: Number.NEGATIVE_INFINITY,
      overAt: undefined,
      lostAt: undefined,
      isAnswered: false,
      begun: undefined,
    });
  }

  #onAnswered(attempt: Attempt, event: AcquiredEvent | FailedEvent): void {
    const { asked } = attempt;
    if (attempt.isAnswered) this.#find("order", event.at, `${event.call}: answered twice`);
    attempt.isAnswered = true;
    this.#checkDue(asked, event.at, `${event.event} later than due`);
    if (event.event === "failed") return;
    attempt.acquired = event;
    attempt.until = event.until;
    const { remainingMin = 0 } = asked;
    const remaining = event.until - event.at;
    if (remaining < remainingMin || remaining <= 0) {
      const message = `${event.call}: ${remaining} left of its lease, ${remainingMin} needed`;
      this.#find("remaining", event.at, message);
    }
  }

  #onSeen(attempt: Attempt, event: SeenEvent): void {
    if (event.until <= event.at) return;
    const { call, at } = event;
    if (attempt.overAt !== undefined && attempt.overAt < at) {
      this.#find("revived", at, `${call}: held again, it was over at ${attempt.overAt}`);
    } else if (attempt.until < at) {
      this.#find("revived", at, `${call}: held again, its lease ended at ${attempt.until}`);
    }
    attempt.until = event.until;
  }

  #onLost(attempt: Attempt, event: LostEvent): void {
    const { asked, until } = attempt;
    attempt.overAt ??= event.at;
    attempt.lostAt = event.at;
    const dueAt = this.#absences.lossDueAt(asked.process, until) + this.#slack;
    if (event.at > dueAt) {
      const message = `${event.call}: told of its loss at ${event.at}, its lease ended at ${until}`;
      this.#find("loss", event.at, message);
    }
  }

  #onEnded(attempt: Attempt, event: EndedEvent): void {
    const { begun } = attempt;
    const wanted = event.event === "released" ? "releasing" : "renewing";
    if (begun?.event !== wanted) {
      return this.#find("order", event.at, `${event.call}: ${event.event} was not asked for`);
    }
    attempt.begun = undefined;
    this.#checkDue({ ...begun, process: attempt.asked.process }, event.at, `${event.event} later than due`);
    const isOver = attempt.lostAt !== undefined || attempt.until < event.at;
    if (event.event === "renewed" && event.isConfirmed && isOver) {
      this.#find("revived", event.at, `${event.call}: renewed after its lease ended at ${attempt.until}`);
    }
  }

  #checkDue(
    { call, process, at, dueAt }: { call: string; process: string; at: number; dueAt: number },
    endedAt: number,
    what: string,
  ): void {
    const due = this.#absences.dueAt(process, at, dueAt) + this.#slack;
    if (endedAt > due) this.#find("late", endedAt, `${call}: ${what}: begun at ${at}, due at ${due}`);
  }

  #find(rule: Rule, at: number, message: string): void {
    this.findings.push({ rule, at, message });
  }
}

/** From the answer to the earliest of the told deadline, release, loss, and somebody's forced release. */
function holdsOf({ asked, acquired, until, overAt }: Attempt, forced: readonly ForcedEvent[]): Hold[] {
  if (acquired === undefined) return [];
  const { call, process, mode, permits, at: askedAt } = asked;
  const end = Math.min(until, overAt ?? until);
  return asked.resources.map((resource) => {
    // An attempt that was under way while the lock was taken away may have lost votes as well.
    const cuts = forced.filter((one) => one.resource === resource && one.until >= askedAt && one.at <= end);
    const to = Math.max(acquired.at, Math.min(end, ...cuts.map(({ at }) => at)));
    const { token, permit } = acquired;
    const space = `${mode === "read" || mode === "write" ? "read-write" : mode} ${JSON.stringify(resource)}`;
    const isForced = cuts.length > 0;
    const own = { call, process, resource, isForced, mode, permits, token, askedAt, from: acquired.at, to };
    return { ...own, space: permit === undefined ? space : `${space} ${permit}` };
  });
}

function grouped(holds: readonly Hold[], by: (hold: Hold) => string): Hold[][] {
  const groups = new Map<string, Hold[]>();
  for (const hold of holds) {
    const group = groups.get(by(hold));
    if (group === undefined) groups.set(by(hold), [hold]);
    else group.push(hold);
  }
  return [...groups.values()];
}

/** L1 and L10: two at the same time, unless both read. One may begin at the instant at which one ends. */
function overlaps(holds: readonly Hold[]): Finding[] {
  const findings: Finding[] = [];
  let active: Hold[] = [];
  for (const hold of inOrder(holds)) {
    active = active.filter(({ to }) => to > hold.from);
    for (const other of active) {
      if (hold.to <= hold.from || (hold.mode === "read" && other.mode === "read")) continue;
      const message = `${hold.space} is held twice: ${told(other)} and ${told(hold)}`;
      findings.push({ rule: "overlap", at: hold.from, message });
    }
    active.push(hold);
  }
  return findings;
}

/** L10: never more than n, whatever the numbers of the permits. */
function permitCounts(holds: readonly Hold[]): Finding[] {
  const findings: Finding[] = [];
  let active: Hold[] = [];
  for (const hold of inOrder(holds)) {
    active = active.filter(({ to }) => to > hold.from);
    active.push(hold);
    const most = hold.permits ?? 1;
    if (active.length <= most || hold.to <= hold.from) continue;
    const message = `${hold.resource}: ${active.length} of ${most} permits: ${active.map(told).join(", ")}`;
    findings.push({ rule: "permits", at: hold.from, message });
  }
  return findings;
}

/**
 * L2. All but readers have the order of acquiring, and what certainly came earlier has the lower token.
 * The order is open among readers that are under way together, and where a lock was taken away by hand
 * while it was being acquired.
 */
function tokens(holds: readonly Hold[], order: "acquired" | "asked"): Finding[] {
  const findings: Finding[] = [];
  const ordered = inOrder(holds);
  const seen = new Map<number, Hold>();
  // Each keeps the highest of all up to a hold, with the time of that hold.
  const everyone: Hold[] = [];
  const all: Hold[] = [];
  const others: Hold[] = [];
  const check = (before: Hold | undefined, hold: Hold): void => {
    if (before === undefined || before.token < hold.token) return;
    const message = `${hold.space}: the token fell from ${told(before)} to ${told(hold)}`;
    findings.push({ rule: "token", at: hold.from, message });
  };
  for (const hold of ordered) {
    const same = seen.get(hold.token);
    // Readers that asked at the same time may have the same one.
    if (same !== undefined && (same.mode !== "read" || hold.mode !== "read")) {
      const message = `${hold.space}: one token twice: ${told(same)} and ${told(hold)}`;
      findings.push({ rule: "token", at: hold.from, message });
    } else {
      const isOpen = order === "asked" || hold.isForced;
      if (!isOpen) check((hold.mode === "read" ? others : all).at(-1), hold);
      check(everyone.findLast(({ from }) => from < hold.askedAt), hold);
    }
    seen.set(hold.token, hold);
    pushHighest(everyone, hold);
    if (hold.isForced) continue;
    pushHighest(all, hold);
    if (hold.mode !== "read") pushHighest(others, hold);
  }
  return findings;
}

function pushHighest(highest: Hold[], hold: Hold): void {
  const last = highest.at(-1);
  highest.push(last !== undefined && last.token > hold.token ? { ...last, from: hold.from } : hold);
}

function inOrder(holds: readonly Hold[]): Hold[] {
  return holds.toSorted((a, b) => a.from - b.from);
}

function told({ call, process, token, from, to }: Hold): string {
  return `${call} of ${process} (token ${token}, from ${from} to ${to})`;
}
