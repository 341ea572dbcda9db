/**
 * Damages a history a little: an answer that another operation had, an outcome turned round, a value that
 * nobody wrote, an interval made shorter. What comes out may still be right; who is to judge needs both.
 */
import type { Random } from "../../../src/index.ts";
import type { Operation } from "./history.ts";
import type { Found, KeyValueOp, Value } from "./key-value.ts";

/** The same history with `count` operations changed at random. */
export function damaged(
  random: Random,
  operations: readonly Operation<KeyValueOp>[],
  count: number,
): Operation<KeyValueOp>[] {
  const history = [...operations];
  const values: Value[] = ["nobody wrote this", ...operations.flatMap(({ op }) => valuesOf(op))];
  for (let nth = 0; nth < count && history.length > 0; nth++) {
    const at = random.below(history.length);
    const operation = history[at]!;
    history[at] =
      random.below(4) === 0
        ? shortened(random, operation)
        : { ...operation, op: turned(random, operation.op, values) };
  }
  return history;
}

function shortened(random: Random, operation: Operation<KeyValueOp>): Operation<KeyValueOp> {
  const { calledAt, returnedAt } = operation;
  if (returnedAt === undefined) return { ...operation, calledAt: calledAt + random.below(20) };
  const at = calledAt + random.below(returnedAt - calledAt + 1);
  return { ...operation, calledAt: at, returnedAt: at + random.below(returnedAt - at + 1) };
}

function turned(random: Random, op: KeyValueOp, values: readonly Value[]): KeyValueOp {
  const other = (): Found | undefined =>
    random.below(4) === 0 ? undefined : { value: values[random.below(values.length)]! };
  if (op.answer === undefined) return op;
  switch (op.kind) {
    case "get":
      return { ...op, answer: { ...op.answer, found: other() } };
    case "range": {
      const key = op.keys[random.below(op.keys.length)]!;
      const found = op.answer.found.filter((one) => one.key !== key);
      const one = other();
      return {
        ...op,
        answer: { ...op.answer, found: one === undefined ? found : [...found, { key, ...one }] },
      };
    }
    case "delete":
      return { ...op, answer: { ...op.answer, existed: !op.answer.existed } };
    case "compareAndPut":
      return { ...op, answer: { ...op.answer, isDone: !op.answer.isDone } };
    case "transaction":
      return { ...op, answer: { ...op.answer, isDone: !op.answer.isDone } };
    case "put":
    default:
      if (op.answer.revision === undefined) return op;
      return { ...op, answer: { revision: random.below(8) } };
  }
}

function valuesOf(op: KeyValueOp): Value[] {
  if (op.kind === "put" || op.kind === "compareAndPut") return [op.value];
  if (op.kind !== "transaction") return [];
  return op.writes.flatMap(({ value }) => (value === undefined ? [] : [value]));
}
