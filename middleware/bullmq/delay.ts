/**
 * How long a job whose resource is in use stays away: twice as long each time, up to a bound, and by chance
 * between half of that and all of it, so that jobs that were sent away together do not come back together.
 */

export interface DelaySettings {
  readonly delayMs: number;
  readonly delayMsMax: number;
}

/** `starts` is how often the job was sent away before; `chance` is from 0 up to, not including, 1. */
export function delayMsFor(starts: number, { delayMs, delayMsMax }: DelaySettings, chance: number): number {
  const longest = Math.min(delayMsMax, delayMs * 2 ** Math.min(starts, 31));
  return Math.max(1, Math.round(longest * (0.5 + chance / 2)));
}

/** Starts of the job before this one that used up no attempt: it was sent away, or it stalled. */
export function uncountedStarts(job: {
  readonly attemptsStarted: number;
  readonly attemptsMade: number;
}): number {
  return Math.max(0, job.attemptsStarted - job.attemptsMade - 1);
}
