/**
 * What is known of one server's clock, from its TIME in replies. An exchange sent at local `a`, answered
 * with `s` and received at `b` says that the server's clock is ahead of ours by between `s - b` and
 * `s - a`. Two such spans that do not meet, drift allowed for, prove that one of the clocks leapt; a slow
 * event loop widens a span and so never accuses anybody.
 *
 * Spans are kept of the last exchange, which sees small leaps, and of a period of up to a quarter of the
 * window, which sees a clock that runs at another speed. It must never judge over more than the window:
 * whoever was away for longer cannot know what happened.
 */
import { invariant } from "../../invariant.ts";

/** How far two sound clocks may drift apart: this part of the window, and a little for rounding. */
const DRIFT_RATIO = 0.01;
const DRIFT_US = 2000;

/** A server's clock moved against ours by between these two, in microseconds; below 0 is backwards. */
export interface Leap {
  readonly leastUs: number;
  readonly mostUs: number;
}

/** How far ahead of our monotonic clock the server's is: at least `low`, at most `high`, since `fromMs`. */
interface Span {
  readonly fromMs: number;
  readonly lowUs: number;
  readonly highUs: number;
}

export class ServerClock {
  readonly #windowMsMax: number;
  #last: Span | undefined;
  #period: Span | undefined;

  constructor(windowMsMax: number) {
    this.#windowMsMax = windowMsMax;
  }

  /** False until the first exchange, and after `drop`. */
  get isKnown(): boolean {
    return this.#last !== undefined;
  }

  /**
   * Takes one exchange in: the server's TIME in microseconds, sent and received at local milliseconds.
   * Returns the leap that it proves; after one, only this exchange is remembered.
   */
  hear(serverUs: number, sentMs: number, receivedMs: number): Leap | undefined {
    invariant(sentMs <= receivedMs, "a reply comes after its command", { sentMs, receivedMs });
    const heard: Span = {
      fromMs: sentMs,
      lowUs: serverUs - receivedMs * 1000,
      highUs: serverUs - sentMs * 1000,
    };
    const leap =
      this.#leapSince(this.#last, heard, receivedMs) ?? this.#leapSince(this.#period, heard, receivedMs);
    if (leap !== undefined) this.drop();
    this.#last = heard;
    const isOver = this.#period === undefined || receivedMs - this.#period.fromMs > this.#windowMsMax / 4;
    this.#period = this.#period === undefined || isOver ? heard : meet(this.#period, heard);
    return leap;
  }

  /** Forgets everything: our own clock cannot be trusted over what was remembered. */
  drop(): void {
    this.#last = undefined;
    this.#period = undefined;
  }

  /** The server's clock at local time `atMs`, in microseconds: not later than it is, if no clock drifts. */
  least(atMs: number): number {
    return this.#best().lowUs + atMs * 1000;
  }

  /** The best guess of the same. */
  guess(atMs: number): number {
    const { lowUs, highUs } = this.#best();
    return (lowUs + highUs) / 2 + atMs * 1000;
  }

  /** The narrowest span that the last exchange does not contradict. */
  #best(): Span {
    invariant(this.#last !== undefined && this.#period !== undefined, "the server's clock has been heard");
    const both = meet(this.#period, this.#last);
    return both.lowUs <= both.highUs ? both : this.#last;
  }

  #leapSince(before: Span | undefined, heard: Span, receivedMs: number): Leap | undefined {
    if (before === undefined) return undefined;
    const windowMs = receivedMs - before.fromMs;
    if (windowMs > this.#windowMsMax) return undefined;
    const driftUs = windowMs * 1000 * DRIFT_RATIO + DRIFT_US;
    const isBack = heard.highUs < before.lowUs - driftUs;
    const isForward = heard.lowUs > before.highUs + driftUs;
    if (!isBack && !isForward) return undefined;
    // A period's bounds may have drifted past each other by less than is allowed for.
    const bounds = [heard.lowUs - before.highUs, heard.highUs - before.lowUs] as const;
    return { leastUs: Math.min(...bounds), mostUs: Math.max(...bounds) };
  }
}

function meet(one: Span, other: Span): Span {
  return {
    fromMs: Math.min(one.fromMs, other.fromMs),
    lowUs: Math.max(one.lowUs, other.lowUs),
    highUs: Math.min(one.highUs, other.highUs),
  };
}

/** True when the leaps of several servers may be one and the same: then it was our clock that stood still. */
export function areAlike(leaps: readonly Leap[]): boolean {
  const leastUs = Math.max(...leaps.map((leap) => leap.leastUs));
  const mostUs = Math.min(...leaps.map((leap) => leap.mostUs));
  return leaps.length > 1 && leastUs <= mostUs + DRIFT_US;
}

/** Steps of the boot clock where the system has no finer one, and where it has. */
const BOOT_STEP_COARSE_MS = 1000;
const BOOT_STEP_MS = 10;
const SAMPLES_MAX = 16;

/**
 * Whether our own process stood still: the boot clock counts what a suspended machine slept, the monotonic
 * one does not. The boot clock is coarse, on some systems whole seconds, so small differences say nothing.
 */
export class SleepWatch {
  readonly #samples: { readonly atMs: number; readonly aheadMs: number }[] = [];
  #stepMs = BOOT_STEP_COARSE_MS;

  /** Notes both clocks; to be called every few seconds. */
  look(nowMs: number, bootMs: number): void {
    // One reading off the full second shows that the clock is the fine one.
    if (Math.round(bootMs) % BOOT_STEP_COARSE_MS !== 0) this.#stepMs = BOOT_STEP_MS;
    this.#samples.push({ atMs: nowMs, aheadMs: bootMs - nowMs });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** True when the machine slept, or one of our clocks was moved, since `sinceMs` or shortly before. */
  hasSlept(sinceMs: number, nowMs: number, bootMs: number): boolean {
    this.look(nowMs, bootMs);
    const aheadMs = bootMs - nowMs;
    const first = this.#samples.findLastIndex(({ atMs }) => atMs <= sinceMs);
    return this.#samples
      .slice(Math.max(0, first))
      .some((sample) => {
        const driftMs = (nowMs - sample.atMs) * DRIFT_RATIO;
        return Math.abs(aheadMs - sample.aheadMs) > 2 * this.#stepMs + driftMs;
      });
  }
}
