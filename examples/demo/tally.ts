/**
 * What the load generator saw, counted. Its one idea: an answer is judged by what the client can know (the
 * owner that the processes agreed on, the last value that was acknowledged) and counted by when it was
 * asked and answered, so that what the demo claims about an outage is about requests inside it.
 * Pure: no clock, no network.
 */

/** `changing` is while a Redis is being killed or started, when either outcome is right. */
export type Phase = "before" | "changing" | "outage" | "after";

/** One answer as the client got it. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string;
  readonly body: string;
}

export interface Sample {
  /** Which process was asked. */
  readonly app: string;
  /** The shard that owns the item, as the processes agreed. */
  readonly owner: string;
  readonly askedIn: Phase;
  readonly answeredIn: Phase;
  /** Or why there was none. */
  readonly answer: Answer | Error;
  /** For a read: the last version whose write was acknowledged, and the last that was tried. */
  readonly versions?: { readonly acknowledged: number; readonly tried: number };
}

export type Verdict = "served" | "refused" | "wrong";

export type Counts = Readonly<Record<Verdict, number>>;

export interface TallySnapshot {
  /** By phase, then by shard. A request that was asked in one phase and answered in another is `changing`. */
  readonly phases: Readonly<Record<Phase, Readonly<Record<string, Counts>>>>;
  /** Requests that each process served. */
  readonly served: Readonly<Record<string, number>>;
  /** The first few wrong answers, in words. */
  readonly wrongs: readonly string[];
}

const WRONGS_KEPT = 5;

export class Tally {
  readonly #phases: Record<Phase, Record<string, Record<Verdict, number>>> = {
    before: {},
    changing: {},
    outage: {},
    after: {},
  };
  readonly #served: Record<string, number> = {};
  readonly #wrongs: string[] = [];

  add(sample: Sample): Verdict {
    const problem = judge(sample);
    const verdict = problem === undefined ? (isServed(sample) ? "served" : "refused") : "wrong";
    const phase = sample.askedIn === sample.answeredIn ? sample.askedIn : "changing";
    this.#phases[phase][sample.owner] ??= { served: 0, refused: 0, wrong: 0 };
    (this.#phases[phase][sample.owner] as Record<Verdict, number>)[verdict] += 1;
    if (verdict === "served") this.#served[sample.app] = (this.#served[sample.app] ?? 0) + 1;
    const isKept = problem !== undefined && this.#wrongs.length < WRONGS_KEPT;
    if (isKept) this.#wrongs.push(`${sample.app}: ${problem}`);
    return verdict;
  }

  snapshot(): TallySnapshot {
    return structuredClone({ phases: this.#phases, served: this.#served, wrongs: this.#wrongs });
  }
}

/** Why the answer is wrong; undefined when it is a right one, be it served or refused. */
function judge(sample: Sample): string | undefined {
  const { answer } = sample;
  if (answer instanceof Error) return `no answer (${answer.message})`;
  if (isServed(sample)) return judgeServed(answer, sample);
  if (answer.status === 503) return judgeRefusal(answer);
  return `status ${answer.status}`;
}

function judgeServed({ body }: Answer, { owner, versions }: Sample): string | undefined {
  const { shard, value } = parse(body);
  if (shard !== owner) return `served by ${String(shard)}, but the owner is ${owner}`;
  if (versions === undefined) return undefined;
  const version = typeof value === "string" ? Number(value) : Number.NaN;
  if (version >= versions.acknowledged && version <= versions.tried) return undefined;
  const { acknowledged, tried } = versions;
  return `read ${String(value)}, but ${acknowledged} was acknowledged and ${tried} tried last`;
}

/** RFC 9457, and the header that says when to ask again. */
function judgeRefusal({ contentType, retryAfter, body }: Answer): string | undefined {
  if (!contentType.startsWith("application/problem+json")) return `503 as ${contentType}`;
  if (!/^[1-9]\d*$/.test(retryAfter)) return `503 with Retry-After "${retryAfter}"`;
  const { type, title, status, detail, code } = parse(body);
  if (status !== 503) return `503 whose body says ${String(status)}`;
  return [type, title, detail, code].every((text) => typeof text === "string")
    ? undefined
    : "503 without a member";
}

function isServed({ answer }: Sample): boolean {
  return !(answer instanceof Error) && answer.status >= 200 && answer.status < 300;
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch (error) {
    return { unreadable: error };
  }
}
