/**
 * The arithmetic of leases. A lease counts from before the first byte was sent, on the steady clock, and
 * what the clocks of holder and instance may drift apart in that time is taken off, so that it is over here
 * before it is over there. Pure; all values are milliseconds.
 */

/** How much faster an instance's clock may run than ours. */
const DRIFT_RATIO = 0.01;
/** For the resolution of clocks and expiries. */
const DRIFT_MS = 2;
/** An acquired lock has at least this part of its lease left, or it was not acquired. */
const REMAINING_RATIO_MIN = 0.25;

/** What is taken off a lease of this length. */
export function driftAllowance(leaseMs: number): number {
  return leaseMs * DRIFT_RATIO + DRIFT_MS;
}

/** When a lease that was asked for at `sentAt` is over for its holder. */
export function leaseEnd(sentAt: number, leaseMs: number): number {
  return sentAt + leaseMs - driftAllowance(leaseMs);
}

/** What must be left of a lease when it is handed out. */
export function remainingMin(leaseMs: number): number {
  return leaseMs * REMAINING_RATIO_MIN;
}

/**
 * When the renewal of a lease begins: at a third of it, less up to a tenth of that. `spread`, from 0 to 1, is
 * each lock's own, so that many that were acquired together are not renewed together for ever.
 */
export function renewalStart(sentAt: number, leaseMs: number, spread: number): number {
  return sentAt + (leaseMs / 3) * (1 - spread / 10);
}

/** When the next try begins, after one that failed. */
export function renewalRetry(now: number, leaseMs: number): number {
  return now + Math.max(2, leaseMs / 20);
}

/** When the holder is told that its lock is lost: early enough for a late timer. */
export function lossAt(end: number, leaseMs: number): number {
  return end - Math.min(5, leaseMs / 20);
}
