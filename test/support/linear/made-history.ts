/**
 * Histories that are right by construction: a store in which each operation takes effect at one moment,
 * and clients that see its call some time before and its return some time after. Its one idea: the
 * moments are drawn first, the operations are executed in their order, and the moments are then thrown
 * away. An unknown outcome took effect at any time after its call, or never.
 */
import type { Random } from "../../../src/index.ts";
import type { Operation } from "./history.ts";
import type { Expected, Found, KeyValueOp, Value, Write } from "./key-value.ts";

type Kind = KeyValueOp["kind"];

export interface MadeHistoryOptions {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** How often each kind is drawn, relative to the others. */
  readonly weights: Readonly<Partial<Record<Kind, number>>>;
  /** Of a thousand operations, how many have an unknown outcome. Default 0. */
  readonly unknownPerMille?: number;
  /** How long an operation takes on each side of its moment, at most. Default 20. */
  readonly spreadMax?: number;
  /** How long after its call one of unknown outcome takes effect, at most. Default 20 spreads. */
  readonly lateMax?: number;
  /** Answers carry revisions. Default false. */
  readonly hasRevisions?: boolean;
}

interface Moment {
  readonly client: number;
  readonly calledAt: number;
  readonly returnedAt: number | undefined;
  readonly at: number;
  readonly isNever: boolean;
}

export function madeHistory(random: Random, options: MadeHistoryOptions): Operation<KeyValueOp>[] {
  const store = new MadeStore(random, options);
  const moments = momentsOf(random, options).toSorted((a, b) => a.at - b.at);
  return moments.map(({ client, calledAt, returnedAt, isNever }) => {
    const call = store.draw();
    const op = isNever ? call : store.execute(call);
    if (returnedAt !== undefined) return { client, calledAt, returnedAt, op };
    const { answer: _, ...unanswered } = op;
    return { client, calledAt, returnedAt, op: unanswered };
  });
}

function momentsOf(random: Random, options: MadeHistoryOptions): Moment[] {
  const { operations, clients, unknownPerMille = 0, spreadMax = 20, lateMax = 20 * spreadMax } = options;
  const now = Array.from({ length: clients }, () => random.below(spreadMax + 1));
  return Array.from({ length: operations }, (_, nth) => {
    const client = nth % clients;
    const calledAt = now[client]! + random.below(3);
    const isUnknown = random.below(1000) < unknownPerMille;
    const at = calledAt + random.below((isUnknown ? lateMax : spreadMax) + 1);
    const returnedAt = isUnknown ? undefined : at + random.below(spreadMax + 1);
    now[client] = returnedAt ?? calledAt + spreadMax;
    return { client, calledAt, returnedAt, at, isNever: isUnknown && random.below(2) === 0 };
  });
}

class MadeStore {
  readonly #random: Random;
  readonly #options: MadeHistoryOptions;
  readonly #kinds: Kind[];
  readonly #cells = new Map<string, Required<Found>>();
  #revision = 0;
  #valueCount = 0;

  constructor(random: Random, options: MadeHistoryOptions) {
    this.#random = random;
    this.#options = options;
    this.#kinds = Object.entries(options.weights).flatMap(([kind, weight]) =>
      Array.from({ length: weight }, () => kind as Kind),
    );
  }

  /** An operation without its answer. */
  draw(): KeyValueOp {
    const kind = this.#kinds[this.#random.below(this.#kinds.length)]!;
    const key = this.#drawKey();
    switch (kind) {
      case "get":
      case "delete":
        return { kind, key };
      case "put":
        return { kind, key, value: this.#drawValue() };
      case "compareAndPut":
        return { kind, key, expected: this.#drawExpected(key), value: this.#drawValue() };
      case "range":
        return { kind, keys: this.#drawKeys() };
      case "transaction":
      default:
        return {
          kind,
          compares: this.#drawKeys()
            .slice(1)
            .map((one) => ({ key: one, expected: this.#drawExpected(one) })),
          writes: this.#drawKeys().map((one) => ({
            key: one,
            value: this.#random.below(4) === 0 ? undefined : this.#drawValue(),
          })),
        };
    }
  }

  /** The operation with its answer. */
  execute(op: KeyValueOp): KeyValueOp {
    switch (op.kind) {
      case "get":
        return { ...op, answer: { found: this.#find(op.key), ...this.#told(this.#revision) } };
      case "range": {
        const found = op.keys.flatMap((key) => {
          const one = this.#find(key);
          return one === undefined ? [] : [{ key, ...one }];
        });
        return { ...op, answer: { found, ...this.#told(this.#revision) } };
      }
      case "put":
        return { ...op, answer: this.#write([op]) };
      case "delete": {
        const existed = this.#cells.has(op.key);
        return { ...op, answer: { existed, ...this.#write([{ key: op.key, value: undefined }]) } };
      }
      case "compareAndPut": {
        const isDone = this.#holds(op.key, op.expected);
        return { ...op, answer: { isDone, ...this.#write(isDone ? [op] : []) } };
      }
      case "transaction":
      default: {
        const isDone = op.compares.every(({ key, expected }) => this.#holds(key, expected));
        return { ...op, answer: { isDone, ...this.#write(isDone ? op.writes : []) } };
      }
    }
  }

  #write(writes: readonly Write[]): { revision?: number } {
    const changes = writes.filter(({ key, value }) => value !== undefined || this.#cells.has(key));
    if (changes.length > 0) this.#revision++;
    for (const { key, value } of changes) {
      if (value === undefined) this.#cells.delete(key);
      else this.#cells.set(key, { value, revision: this.#revision });
    }
    return this.#told(this.#revision);
  }

  #find(key: string): Found | undefined {
    const cell = this.#cells.get(key);
    return cell === undefined ? undefined : { value: cell.value, ...this.#told(cell.revision) };
  }

  #told(revision: number): { revision?: number } {
    return this.#options.hasRevisions === true ? { revision } : {};
  }

  #holds(key: string, expected: Expected): boolean {
    const cell = this.#cells.get(key);
    if (expected === "absent") return cell === undefined;
    if (expected === "present") return cell !== undefined;
    return "value" in expected ? cell?.value === expected.value : (cell?.revision ?? 0) === expected.revision;
  }

  #drawKey(): string {
    return `k${this.#random.below(this.#options.keys)}`;
  }

  #drawKeys(): string[] {
    return [...new Set([this.#drawKey(), this.#drawKey(), this.#drawKey()])];
  }

  #drawValue(): Value {
    this.#valueCount++;
    return this.#valueCount % 2 === 0 ? this.#valueCount : `v${this.#valueCount}`;
  }

  /** Mostly what is there, sometimes what another key has or nobody wrote. */
  #drawExpected(key: string): Expected {
    const there = this.#cells.get(this.#random.below(4) === 0 ? this.#drawKey() : key);
    const drawn = this.#random.below(8);
    if (drawn === 0) return "present";
    if (drawn === 1 || there === undefined) return "absent";
    if (drawn < 4 && this.#options.hasRevisions === true) return { revision: there.revision };
    return { value: there.value };
  }
}
