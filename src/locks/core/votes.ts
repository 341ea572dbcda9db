/**
 * Counting votes. Each instance has one vote with three outcomes; a quorum is more than half of all, so
 * any two share an instance, and everything that locks promise rests on that. Pure.
 */

/** Granted, refused because another holder has it, or unreachable: no answer that counts. */
export type Vote = "granted" | "refused" | "unreachable";

/** How many of `count` make a majority. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** One instance's grant. */
export class Grant {
  /** When the command was sent that was granted. */
  readonly sentAt: number;
  /** The proposal, when the instance stored it; else undefined. */
  readonly stored: number | undefined;
  /** The highest token that the instance knows of for this resource. */
  readonly counter: number;

  constructor(sentAt: number, stored: number | undefined, counter: number) {
    this.sentAt = sentAt;
    this.stored = stored;
    this.counter = counter;
  }
}

/**
 * From when the lease of a quorum counts: any `quorum` grants will do, so the latest ones are taken, and
 * among them the one that was asked for first. Undefined without a quorum.
 */
export function leaseStart(grants: readonly Grant[], quorum: number): number | undefined {
  // The largest value that a quorum reaches. Few values, nearly always one and the same: no need to sort.
  let start: number | undefined;
  for (const { sentAt } of grants) {
    if (start !== undefined && sentAt <= start) continue;
    let reached = 0;
    for (const other of grants) if (other.sentAt >= sentAt) reached += 1;
    if (reached >= quorum) start = sentAt;
  }
  return start;
}

/**
 * The fencing token, when a quorum stored the same proposal. Else what the counters of a quorum must be
 * raised to before it is the token: above all that was answered.
 */
export type TokenDecision = { readonly token: number } | { readonly raiseTo: number };

export function decideToken(grants: readonly Grant[], quorum: number): TokenDecision {
  let highest = 0;
  for (const { stored, counter } of grants) {
    highest = Math.max(highest, counter);
    if (stored === undefined) continue;
    let alike = 0;
    for (const other of grants) if (other.stored === stored) alike += 1;
    if (alike >= quorum) return { token: stored };
  }
  return { raiseTo: highest + 1 };
}
