/**
 * The operations of a key-value store with revisions, as a client saw them, and what each means. Its one
 * idea: every operation is the same four things (`effectsOf`): what it says it read, what it compares,
 * what it writes if the compares hold, and whether they did; the checkers know nothing else. Revisions are
 * optional everywhere. A store's revision grows by one or more with each command that changes something;
 * all writes of one command have the same; a command that changes nothing answers with the latest one.
 */
import type { Operation } from "./history.ts";

export type Value = string | number;

/** What a key must be like for a write; revision 0 is that of a key that is absent. */
export type Expected = { readonly value: Value } | { readonly revision: number } | "absent" | "present";

export interface Compare {
  readonly key: string;
  readonly expected: Expected;
}

/** undefined deletes the key; that of an absent key changes nothing. */
export interface Write {
  readonly key: string;
  readonly value: Value | undefined;
}

/** A key that was there. */
export interface Found {
  readonly value: Value;
  /** The revision of the write that put it there. */
  readonly revision?: number;
}

/** The store's revision: of the command itself if it changed something, otherwise as of its execution. */
interface Answered {
  readonly revision?: number;
}

interface ReadAnswer extends Answered {
  readonly found: Found | undefined;
}

interface RangeAnswer extends Answered {
  readonly found: readonly (Found & { readonly key: string })[];
}

interface DeleteAnswer extends Answered {
  readonly existed: boolean;
}

interface WriteAnswer extends Answered {
  /** Whether the compares held. */
  readonly isDone: boolean;
}

/**
 * An operation that returned has an answer; that of one that did not is ignored. Values are unique: no
 * two operations write the same one to a key (the search needs it for speed only, `revision-order.ts`
 * says where it cannot do without).
 */
export type KeyValueOp =
  | { readonly kind: "get"; readonly key: string; readonly answer?: ReadAnswer }
  | { readonly kind: "range"; readonly keys: readonly string[]; readonly answer?: RangeAnswer }
  | { readonly kind: "put"; readonly key: string; readonly value: Value; readonly answer?: Answered }
  | { readonly kind: "delete"; readonly key: string; readonly answer?: DeleteAnswer }
  | {
      readonly kind: "compareAndPut";
      readonly key: string;
      readonly expected: Expected;
      readonly value: Value;
      readonly answer?: WriteAnswer;
    }
  | {
      readonly kind: "transaction";
      readonly compares: readonly Compare[];
      /** Of different keys. */
      readonly writes: readonly Write[];
      readonly answer?: WriteAnswer;
    };

export interface Effects {
  readonly reads: readonly { readonly key: string; readonly found: Found | undefined }[];
  readonly compares: readonly Compare[];
  readonly writes: readonly Write[];
  /** "impossible": no store answers so. A range found what it did not ask for, or a key twice. */
  readonly outcome: "done" | "refused" | "unknown" | "impossible";
  readonly revision: number | undefined;
}

const NONE: readonly never[] = [];

export function effectsOf({ client, calledAt, returnedAt, op }: Operation<KeyValueOp>): Effects {
  if (returnedAt === undefined)
    return { ...actionsOf(op), reads: NONE, outcome: "unknown", revision: undefined };
  if (op.answer === undefined && op.kind !== "put") {
    throw new RangeError(`client ${client}: the ${op.kind} called at ${calledAt} returned without an answer`);
  }
  const { compares, writes } = actionsOf(op);
  const outcome = isImpossible(op) ? "impossible" : isDone(op) ? "done" : "refused";
  return { reads: readsOf(op), compares, writes, outcome, revision: op.answer?.revision };
}

export function keysOf(op: KeyValueOp): readonly string[] {
  if (op.kind === "range") return op.keys;
  if (op.kind !== "transaction") return [op.key];
  return [...op.compares.map(({ key }) => key), ...op.writes.map(({ key }) => key)];
}

export function isRead(op: KeyValueOp): boolean {
  return op.kind === "get" || op.kind === "range" || (op.kind === "transaction" && op.writes.length === 0);
}

export function describe(op: KeyValueOp, hasReturned: boolean): string {
  return `${describeCall(op)} -> ${hasReturned ? describeAnswer(op) : "?"}`;
}

function actionsOf(op: KeyValueOp): Pick<Effects, "compares" | "writes"> {
  switch (op.kind) {
    case "get":
    case "range":
      return { compares: NONE, writes: NONE };
    case "put":
      return { compares: NONE, writes: [{ key: op.key, value: op.value }] };
    case "delete":
      return {
        compares: [{ key: op.key, expected: "present" }],
        writes: [{ key: op.key, value: undefined }],
      };
    case "compareAndPut":
      return {
        compares: [{ key: op.key, expected: op.expected }],
        writes: [{ key: op.key, value: op.value }],
      };
    case "transaction":
    default:
      return { compares: op.compares, writes: op.writes };
  }
}

function isDone(op: KeyValueOp): boolean {
  if (op.kind === "delete") return op.answer?.existed === true;
  if (op.kind === "compareAndPut" || op.kind === "transaction") return op.answer?.isDone === true;
  return true;
}

function isImpossible(op: KeyValueOp): boolean {
  if (op.kind !== "range" || op.answer === undefined) return false;
  const found = op.answer.found.map(({ key }) => key);
  return new Set(found).size < found.length || found.some((key) => !op.keys.includes(key));
}

function readsOf(op: KeyValueOp): Effects["reads"] {
  if (op.kind === "get") return [{ key: op.key, found: op.answer?.found }];
  if (op.kind !== "range") return NONE;
  const found = op.answer?.found ?? NONE;
  return op.keys.map((key) => ({ key, found: found.find((one) => one.key === key) }));
}

function describeCall(op: KeyValueOp): string {
  switch (op.kind) {
    case "get":
    case "delete":
      return `${op.kind} ${op.key}`;
    case "range":
      return `range ${op.keys.join(" ")}`;
    case "put":
      return `put ${op.key} = ${op.value}`;
    case "compareAndPut":
      return `put ${op.key} = ${op.value} if ${describeExpected(op.expected)}`;
    case "transaction":
    default: {
      const compares = op.compares.map(({ key, expected }) => `${key} is ${describeExpected(expected)}`);
      const writes = op.writes.map(({ key, value }) =>
        value === undefined ? `no ${key}` : `${key} = ${value}`,
      );
      return `transaction ${writes.join(", ")} if ${compares.join(" and ") || "nothing"}`;
    }
  }
}

function describeExpected(expected: Expected): string {
  if (typeof expected === "string") return expected;
  return "value" in expected ? `${expected.value}` : `at revision ${expected.revision}`;
}

function describeAnswer(op: KeyValueOp): string {
  if (op.answer === undefined) return "done";
  const at = op.answer.revision === undefined ? "" : ` @${op.answer.revision}`;
  if (op.kind === "get") return `${describeFound(op.answer.found)}${at}`;
  if (op.kind === "range") {
    const found = op.answer.found.map((one) => `${one.key} = ${describeFound(one)}`);
    return `${found.join(", ") || "nothing"}${at}`;
  }
  if (op.kind === "delete") return `${op.answer.existed ? "deleted" : "was absent"}${at}`;
  return `${isDone(op) ? "done" : "refused"}${at}`;
}

function describeFound(found: Found | undefined): string {
  if (found === undefined) return "absent";
  return found.revision === undefined ? `${found.value}` : `${found.value} of @${found.revision}`;
}
