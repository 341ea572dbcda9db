/**
 * Splits a history into parts that can be checked one by one: a history is linearizable if and only if
 * each of its parts is (Herlihy and Wing 1990, locality). Its one idea: keys that one operation touches
 * together belong together (union-find), and everything else is apart. Operations of unknown outcome
 * that never change anything are dropped first: without them nothing else is allowed or refused.
 */
import { byCall, type Operation } from "./history.ts";
import type { Model } from "./model.ts";

export interface Partition<Op> {
  /** In the order of their calls. */
  readonly operations: Operation<Op>[];
  /** The keys of each, as numbers from 0. */
  readonly keys: (readonly number[])[];
  keyCount: number;
}

export function partitionsOf<State, Op>(
  model: Model<State, Op>,
  operations: readonly Operation<Op>[],
): Partition<Op>[] {
  const groups = new KeyGroups();
  const places = byCall(operations).filter((at) => {
    const { returnedAt, op } = operations[at]!;
    return returnedAt !== undefined || !model.isRead(op);
  });
  const keys = places.map((at) => groups.join(model.keysOf(operations[at]!.op)));
  const partitions = new Map<number, Partition<Op>>();
  const numbers: number[] = [];
  for (const [nth, at] of places.entries()) {
    const root = groups.rootOf(keys[nth]![0] ?? 0);
    let partition = partitions.get(root);
    if (partition === undefined)
      partitions.set(root, (partition = { operations: [], keys: [], keyCount: 0 }));
    partition.operations.push(operations[at]!);
    partition.keys.push(renumbered(keys[nth]!, numbers, partition));
  }
  return [...partitions.values()];
}

/** The keys' numbers within the partition; a list of one stays cheap. */
function renumbered(
  keys: readonly number[],
  numbers: number[],
  partition: { keyCount: number },
): readonly number[] {
  return keys.map((key) => (numbers[key] ??= partition.keyCount++));
}

/** Union-find over keys, with path halving. */
class KeyGroups {
  readonly #numbers = new Map<string, number>();
  readonly #parents: number[] = [];

  /** The keys' numbers; from now on they are of one group. Operations without keys share the empty one. */
  join(keys: readonly string[]): number[] {
    const numbers = keys.length === 0 ? [this.#numberOf("")] : keys.map((key) => this.#numberOf(key));
    const first = this.rootOf(numbers[0]!);
    for (const number of numbers) this.#parents[this.rootOf(number)] = first;
    return numbers;
  }

  rootOf(number: number): number {
    const parents = this.#parents;
    let at = number;
    while (parents[at] !== at) at = parents[at] = parents[parents[at]!]!;
    return at;
  }

  #numberOf(key: string): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#parents.length;
      this.#numbers.set(key, number);
      this.#parents.push(number);
    }
    return number;
  }
}
