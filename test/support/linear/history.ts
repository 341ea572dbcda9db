/**
 * A history as clients saw it, and what a checker says of it. Its one idea: an operation is an interval
 * of one clock that all clients share (virtual time, or a counter of events), and nothing but these
 * intervals orders operations: not the client, not the place in the list. An operation whose return is
 * smaller than another's call precedes it; **equal times mean concurrent**. What is known not to have
 * happened (refused before it was sent) is left out by the caller.
 */

/** One call of a client. */
export interface Operation<Op> {
  readonly client: string | number;
  readonly calledAt: number;
  /** undefined: the outcome is unknown. It took effect at some time after `calledAt`, or never does. */
  readonly returnedAt: number | undefined;
  readonly op: Op;
}

/** Three outcomes, never a boolean: what was not decided within the bound has not passed. */
export type Verdict<Op> =
  | { readonly outcome: "accepted"; readonly steps: number }
  | {
      readonly outcome: "rejected";
      readonly steps: number;
      /** The first operation that cannot be placed. */
      readonly operation: Operation<Op>;
      /** Several lines: it, why, and the operations that are concurrent with it. */
      readonly explanation: string;
    }
  | { readonly outcome: "undecided"; readonly steps: number; readonly explanation: string };

/** Whether `a` was over before `b` began. */
export function precedes<Op>(a: Operation<Op>, b: Operation<Op>): boolean {
  return a.returnedAt !== undefined && a.returnedAt < b.calledAt;
}

/** Throws a RangeError for times that are none: that is the harness's fault, not the store's. */
export function requireTimes<Op>(operations: readonly Operation<Op>[]): void {
  for (const { client, calledAt, returnedAt } of operations) {
    if (!Number.isFinite(calledAt) || (returnedAt !== undefined && !(returnedAt >= calledAt))) {
      throw new RangeError(`client ${client}: an operation lasts from ${calledAt} to ${returnedAt}`);
    }
  }
}

/** The places of operations in `operations`, by their calls; the list's order decides between equals. */
export function byCall<Op>(operations: readonly Operation<Op>[]): number[] {
  return operations
    .map((_, at) => at)
    .toSorted((a, b) => operations[a]!.calledAt - operations[b]!.calledAt || a - b);
}
