/**
 * From what lock programs say to a history that can be judged (`lock-history.ts`): whose call it was, when
 * it was due, and when its process did not run.
 */
import type { LockEvent, WorkKind } from "./lock-events.ts";
import type { HistoryEvent, LockMode } from "./lock-history.ts";

/** An event and who said it. */
export type Told = LockEvent & { readonly process: string };

/** All that was said so far, in the order in which it was heard. */
export class Tellings {
  readonly all: Told[] = [];
  readonly #byEvent = new Map<string, Told[]>();

  add(told: Told): void {
    this.all.push(told);
    const alike = this.#byEvent.get(told.event);
    if (alike === undefined) this.#byEvent.set(told.event, [told]);
    else alike.push(told);
  }

  of<Name extends LockEvent["event"]>(event: Name): readonly Extract<Told, { readonly event: Name }>[] {
    return (this.#byEvent.get(event) ?? []) as Extract<Told, { readonly event: Name }>[];
  }

  /** How many of these there were since then. */
  count(event: LockEvent["event"], since: number): number {
    return this.of(event).filter(({ at }) => at >= since).length;
  }
}

/** What a call may take, in milliseconds. */
export interface Bounds {
  /** Beyond the wait for other holders. */
  readonly acquireMs: number;
  readonly releaseMs: number;
}

/** What is done in the first moments after a stall was done before anybody could notice the stall. */
const AWAKE_MICROS_MAX = 20_000;

const MODES: Readonly<Record<WorkKind, LockMode>> = {
  lock: "lock",
  permit: "permit",
  reader: "read",
  writer: "write",
};

export function historyOf(told: readonly Told[], bounds: Bounds): HistoryEvent[] {
  return told.flatMap((event) => {
    const happened = toHistory(event.event === "acquired" ? answerTold(event, told) : event, bounds);
    return happened === undefined ? [] : [happened];
  });
}

type Acquired = Extract<Told, { readonly event: "acquired" }>;

/**
 * A process can be stopped between the answer and its first look at it, which then finds the lease over.
 * The answer came before the stall, and what was left is not known: the least is taken.
 */
function answerTold(acquired: Acquired, told: readonly Told[]): Acquired {
  const { process, hold, at, until } = acquired;
  if (until > at) return acquired;
  const own = told.filter((event) => event.process === process);
  const asked = own.find((event) => event.event === "asked" && event.hold === hold);
  const stall = own.find(
    (event) => event.event === "stalled" && event.at < at && at < event.until + AWAKE_MICROS_MAX,
  );
  if (asked === undefined || stall === undefined) return acquired;
  const answeredAt = Math.max(asked.at, stall.at) + 1;
  return { ...acquired, at: answeredAt, until: answeredAt + 1 };
}

function toHistory(event: Told, { acquireMs, releaseMs }: Bounds): HistoryEvent | undefined {
  const { at, process } = event;
  if (event.event === "stalled") return { event: "stalled", process, at, until: event.until };
  if (!("hold" in event)) return undefined;
  const call = `${process} ${event.hold}`;
  switch (event.event) {
    case "asked": {
      const { resources, kind, waitMs, permits } = event;
      const dueAt = at + (waitMs + acquireMs) * 1000;
      const size = permits === undefined ? {} : { permits };
      return { event: "asked", call, process, resources, mode: MODES[kind], at, dueAt, ...size };
    }
    case "acquired": {
      const { until, token, permit } = event;
      return { event: "acquired", call, at, until, token, ...(permit === undefined ? {} : { permit }) };
    }
    case "failed":
      return { event: "failed", call, at, code: event.code };
    case "seen":
      return { event: "seen", call, at, until: event.until };
    case "releasing":
      return { event: "releasing", call, at, dueAt: at + releaseMs * 1000 };
    case "released":
      return { event: "released", call, at, isConfirmed: event.confirmed };
    case "lost":
      return { event: "lost", call, at };
    default:
      return undefined;
  }
}
