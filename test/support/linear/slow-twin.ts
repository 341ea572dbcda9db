/**
 * The checkers' slow, obvious twin for histories of a few operations: every order that the intervals
 * allow, with and without each operation of unknown outcome, executed on a plain map. It shares nothing
 * with the search: no partitions, no memo, no rules, and its own idea of what each operation means.
 */
import { type Operation, precedes } from "./history.ts";
import type { Expected, Found, KeyValueOp, Write } from "./key-value.ts";

interface Store {
  readonly cells: ReadonlyMap<string, Required<Found>>;
  readonly revision: number;
}

/** Whether some order explains all answers, revisions included where they are told. */
export function isLinearizableSlowly(operations: readonly Operation<KeyValueOp>[]): boolean {
  return hasOrder({ cells: new Map(), revision: 0 }, operations);
}

function hasOrder(store: Store, left: readonly Operation<KeyValueOp>[]): boolean {
  if (left.every(({ returnedAt }) => returnedAt === undefined)) return true;
  return left.some((operation) => {
    if (left.some((other) => precedes(other, operation))) return false;
    const next = execute(store, operation);
    return (
      next !== undefined &&
      hasOrder(
        next,
        left.filter((other) => other !== operation),
      )
    );
  });
}

/** The store afterwards; undefined if it would have answered otherwise. */
function execute(store: Store, { returnedAt, op }: Operation<KeyValueOp>): Store | undefined {
  const isAnyAnswer = returnedAt === undefined;
  const next = nextOf(store, op);
  const told = op.answer?.revision;
  if (!isAnyAnswer && told !== undefined && told !== next.revision) return undefined;
  return isAnyAnswer || isRightAnswer(store, op) ? next : undefined;
}

function nextOf(store: Store, op: KeyValueOp): Store {
  switch (op.kind) {
    case "get":
    case "range":
      return store;
    case "put":
      return write(store, [op]);
    case "delete":
      return write(store, [{ key: op.key, value: undefined }]);
    case "compareAndPut":
      return holds(store, op.key, op.expected) ? write(store, [op]) : store;
    case "transaction":
    default:
      return op.compares.every(({ key, expected }) => holds(store, key, expected))
        ? write(store, op.writes)
        : store;
  }
}

function isRightAnswer(store: Store, op: KeyValueOp): boolean {
  switch (op.kind) {
    case "get":
      return isSame(store, op.key, op.answer?.found);
    case "range": {
      const found = op.answer?.found ?? [];
      const isAll = op.keys.every((key) =>
        isSame(
          store,
          key,
          found.find((one) => one.key === key),
        ),
      );
      return isAll && found.every(({ key }) => op.keys.includes(key));
    }
    case "put":
      return true;
    case "delete":
      return op.answer?.existed === store.cells.has(op.key);
    case "compareAndPut":
      return op.answer?.isDone === holds(store, op.key, op.expected);
    case "transaction":
    default:
      return op.answer?.isDone === op.compares.every(({ key, expected }) => holds(store, key, expected));
  }
}

function isSame({ cells }: Store, key: string, found: Found | undefined): boolean {
  const cell = cells.get(key);
  if (cell === undefined || found === undefined) return cell === found;
  return cell.value === found.value && (found.revision ?? cell.revision) === cell.revision;
}

function holds({ cells }: Store, key: string, expected: Expected): boolean {
  const cell = cells.get(key);
  if (expected === "absent") return cell === undefined;
  if (expected === "present") return cell !== undefined;
  return "value" in expected ? cell?.value === expected.value : (cell?.revision ?? 0) === expected.revision;
}

function write(store: Store, writes: readonly Write[]): Store {
  const changes = writes.filter(({ key, value }) => value !== undefined || store.cells.has(key));
  if (changes.length === 0) return store;
  const revision = store.revision + 1;
  const cells = new Map(store.cells);
  for (const { key, value } of changes) {
    if (value === undefined) cells.delete(key);
    else cells.set(key, { value, revision });
  }
  return { cells, revision };
}
