/**
 * Durations in milliseconds, kept by Node's own HDR histogram at microsecond resolution.
 * Memory is bounded whatever is recorded; quantiles are exact to three digits.
 */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

export interface HistogramSnapshot {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const MICROSECONDS = 1000;
const MICROSECONDS_MAX = 3_600_000_000;

export class Histogram {
  readonly #recorded: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: MICROSECONDS_MAX,
    figures: 3,
  });

  /** Values below a microsecond count as one, values above an hour as an hour. */
  record(ms: number): void {
    this.#recorded.record(Math.min(MICROSECONDS_MAX, Math.max(1, Math.round(ms * MICROSECONDS))));
  }

  snapshot(): HistogramSnapshot {
    const { count, min, mean, max } = this.#recorded;
    if (count === 0) return { count: 0, minMs: 0, meanMs: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 };
    return {
      count,
      minMs: min / MICROSECONDS,
      meanMs: mean / MICROSECONDS,
      p50Ms: this.#recorded.percentile(50) / MICROSECONDS,
      p99Ms: this.#recorded.percentile(99) / MICROSECONDS,
      maxMs: max / MICROSECONDS,
    };
  }

  reset(): void {
    this.#recorded.reset();
  }
}
