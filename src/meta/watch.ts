/**
 * Reading the history for a watch: the events after a revision, in order, each revision whole. A watch that
 * goes on from the revision of its last answer never misses and never repeats one; if it was away for
 * longer than events are remembered, it is told so and must read the keys anew.
 */
import { CoterieError, quote } from "../errors.ts";
import { type Bounds, boundsOf, requireRange } from "./key-range.ts";
import type { WatchEvent } from "./outcome.ts";
import type { State } from "./state/state.ts";

export interface EventsOptions {
  /** Only events of keys that begin with it; not together with `from` and `to`. Default: all keys. */
  readonly prefix?: string | undefined;
  /** Only events of keys from this one on. */
  readonly from?: string | undefined;
  /** Only events of keys before this one; together with `from`. */
  readonly to?: string | undefined;
  /** The answer ends with the revision that brings it to so many events, from 1. Default: no bound. */
  readonly limit?: number | undefined;
}

export interface Events {
  readonly events: readonly WatchEvent[];
  /** All events up to this revision are in this answer or before it: what to ask from the next time. */
  readonly revision: number;
  /** True when the limit left events out that were asked for. */
  readonly more: boolean;
}

/** Throws COMPACTED and INVALID_ARGUMENT. */
export function readEvents(state: State, since: number, options: EventsOptions): Events {
  const bounds = readOptions(since, options);
  const { history } = state;
  const { compactedRevision } = history;
  if (since < compactedRevision) throw compacted(since, state);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const events: WatchEvent[] = [];
  for (let i = history.indexAfter(since); i < history.count; i++) {
    const event = history.at(i);
    if (!isWithin(event.key, bounds)) continue;
    const last = events.at(-1);
    if (last !== undefined && events.length >= limit && event.revision !== last.revision) {
      return { events, revision: last.revision, more: true };
    }
    events.push(event);
  }
  return { events, revision: Math.max(since, state.revision), more: false };
}

function compacted(since: number, { history, revision }: State): CoterieError {
  const { compactedRevision } = history;
  const message = `events after revision ${since} are forgotten, up to revision ${compactedRevision}`;
  return new CoterieError("COMPACTED", message, { details: { since, compactedRevision, revision } });
}

function readOptions(since: number, options: EventsOptions): Bounds | undefined {
  const { limit, ...range } = options;
  if (!Number.isSafeInteger(since) || since < 0) {
    throw invalid(`a revision must be a whole number from 0, got ${quote(since)}`);
  }
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
    throw invalid(`limit must be from 1, got ${quote(limit)}`);
  }
  if (Object.values(range).every((value) => value === undefined)) return undefined;
  requireRange("meta events", range);
  return boundsOf(range);
}

function invalid(message: string): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `meta events: ${message}`);
}

function isWithin(key: string, bounds: Bounds | undefined): boolean {
  return bounds === undefined || (key >= bounds.from && (bounds.to === undefined || key < bounds.to));
}
