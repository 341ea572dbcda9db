/**
 * A rejection in a few lines that a reader can check by eye: the operation, why, and what ran beside it.
 * Times stand as [called, returned]; a question mark is an unknown outcome. Operations of unknown outcome
 * stay open for ever, so the list of those is cut first.
 */
import { type Operation, precedes } from "./history.ts";
import type { Model } from "./model.ts";

type Words<Op> = Pick<Model<unknown, Op>, "describe" | "keysOf">;

const CONCURRENT_MAX = 30;
const BEFORE_MAX = 6;

function describeOperation<Op>(words: Words<Op>, operation: Operation<Op>): string {
  const { client, calledAt, returnedAt, op } = operation;
  const what = words.describe(op, returnedAt !== undefined);
  return `client ${client} [${calledAt}, ${returnedAt ?? "?"}] ${what}`;
}

export interface Finding<Op> {
  /** What cannot be placed. */
  readonly operation: Operation<Op>;
  readonly why?: string;
  /** Where to look for what is concurrent with it. */
  readonly among: readonly Operation<Op>[];
  /** What was placed before it, in order, as far as it is known. */
  readonly before?: readonly Operation<Op>[];
}

export function explain<Op>(words: Words<Op>, finding: Finding<Op>): string {
  const { operation, why, among, before = [] } = finding;
  const keys = new Set(words.keysOf(operation.op));
  const isNear = (other: Operation<Op>) => words.keysOf(other.op).some((key) => keys.has(key));
  // What an order ends with may be a guess that led nowhere; without it it is an order as well.
  const last = before.findLastIndex(({ returnedAt }) => returnedAt !== undefined);
  const placed = before
    .slice(0, last + 1)
    .filter(isNear)
    .slice(-BEFORE_MAX);
  const concurrent = among.filter(
    (other) =>
      other !== operation && !precedes(other, operation) && !precedes(operation, other) && isNear(other),
  );
  const known = concurrent.filter(({ returnedAt }) => returnedAt !== undefined);
  const unknown = concurrent.filter(({ returnedAt }) => returnedAt === undefined);
  const shown = [...known, ...unknown].slice(0, CONCURRENT_MAX);
  const left = concurrent.length - shown.length;
  return [
    `cannot be placed: ${describeOperation(words, operation)}`,
    ...(why === undefined ? [] : [`because ${why}`]),
    ...section(words, "the longest order found ends with:", placed),
    ...(shown.length === 0 ? ["nothing on its keys is concurrent with it"] : []),
    ...section(words, "concurrent with it:", shown),
    ...(left > 0 ? [`  and ${left} more, of unknown outcome or later in the list`] : []),
  ].join("\n");
}

function section<Op>(words: Words<Op>, title: string, operations: readonly Operation<Op>[]): string[] {
  if (operations.length === 0) return [];
  return [title, ...operations.map((one) => `  ${describeOperation(words, one)}`)];
}
