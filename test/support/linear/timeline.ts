/**
 * The intervals of one partition as arrays of numbers. Its one idea: a slot. While an operation of known
 * outcome is open (called, not returned) it has a slot that no other open operation has, so "which of the
 * open ones are placed" is a few bits, however long the history is. An operation of unknown outcome stays
 * open for ever and has a bit of its own, in another set of bits.
 */
import type { Operation } from "./history.ts";

export interface Timeline {
  readonly size: number;
  readonly calledAt: Float64Array;
  /** Infinity: the outcome is unknown. */
  readonly returnedAt: Float64Array;
  /** The operations of known outcome, by their returns. */
  readonly returns: Int32Array;
  /** Of known outcome: the slot. Of unknown outcome: its number among those, from 0. */
  readonly slots: Int32Array;
  readonly slotCount: number;
  readonly unknownCount: number;
}

/** Of operations in the order of their calls. */
export function timelineOf<Op>(operations: readonly Operation<Op>[]): Timeline {
  const size = operations.length;
  const calledAt = new Float64Array(size);
  const returnedAt = new Float64Array(size);
  let knownCount = 0;
  for (let at = 0; at < size; at++) {
    const operation = operations[at]!;
    calledAt[at] = operation.calledAt;
    returnedAt[at] = operation.returnedAt ?? Infinity;
    if (operation.returnedAt !== undefined) knownCount++;
  }
  const returns = new Int32Array(knownCount);
  for (let at = 0, next = 0; at < size; at++) if (returnedAt[at] !== Infinity) returns[next++] = at;
  returns.sort((a, b) => returnedAt[a]! - returnedAt[b]! || a - b);
  const slots = new Int32Array(size);
  const slotCount = giveSlots(slots, calledAt, returnedAt, returns);
  return { size, calledAt, returnedAt, returns, slots, slotCount, unknownCount: size - knownCount };
}

/** A slot is free again for calls that are later than the return, not for calls of the same time. */
function giveSlots(
  slots: Int32Array,
  calledAt: Float64Array,
  returnedAt: Float64Array,
  returns: Int32Array,
): number {
  const free: number[] = [];
  let slotCount = 0;
  let unknownCount = 0;
  let returned = 0;
  for (let at = 0; at < slots.length; at++) {
    if (returnedAt[at] === Infinity) {
      slots[at] = unknownCount++;
      continue;
    }
    while (returnedAt[returns[returned]!]! < calledAt[at]!) free.push(slots[returns[returned++]!]!);
    slots[at] = free.pop() ?? slotCount++;
  }
  return slotCount;
}
