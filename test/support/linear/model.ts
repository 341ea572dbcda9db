/**
 * What a checker must know of the thing that is checked. Its one idea: a model says once, for the
 * operations of one partition, what they mean (`begin`), and the search then speaks of operations by
 * their numbers only, so that its inner loop touches small integers and whatever state the model likes.
 * A state is immutable: `step` returns another one, or the same one when nothing changed.
 */
import type { Operation } from "./history.ts";

export interface Model<State, Op> {
  /**
   * The keys that an operation reads or writes. Two operations without a common key must commute: in
   * either order both are allowed or both refused, with the same state after them.
   */
  keysOf(op: Op): readonly string[];
  /** Whether it can never change the state: such an operation of unknown outcome is left out. */
  isRead(op: Op): boolean;
  /** One line; the answer of an operation that has not returned does not count. */
  describe(op: Op, hasReturned: boolean): string;
  /** The meaning of operations that share keys with no others; they come in the order of their calls. */
  begin(operations: readonly Operation<Op>[]): Machine<State>;
}

/** An automaton over the operations 0, 1, ... of one partition. */
export interface Machine<State> {
  readonly initial: State;
  /**
   * The state after the operation, answered as it was; undefined if it cannot be answered so in `state`.
   * An operation of unknown outcome takes effect; if it has none in `state`, undefined or the same state.
   */
  step(state: State, at: number): State | undefined;
  /**
   * Whether the operation, answered as it was, changes no state at all: not this one, nor any other in
   * which it is allowed. (A put that finds its own value there changes nothing now, but might later.)
   */
  isPure(at: number): boolean;
  /** Equal states allow the same futures. */
  isEqual(a: State, b: State): boolean;
  /** A whole number; equal for equal states. */
  hash(state: State): number;
  /**
   * A guess, lower comes earlier: which of the operations that may come next is tried first. It decides
   * how long a search takes and never what it finds.
   */
  rankOf?(at: number): number;
  /**
   * What the answers themselves tell of the order: of two operations that share a key the one with the
   * lower number came first, unless the second one is pure. Infinity: not known. Orders that contradict
   * it need not be found.
   */
  orderOf?(at: number): number;
  /** The lowest number that it can have if it comes next; asked where `orderOf` is Infinity. */
  orderFrom?(at: number, state: State): number;
  /**
   * Of operations of unknown outcome: equal numbers mean that `step` does the same for both in every
   * state. Of such twins the one called first is used first.
   */
  effectOf?(at: number): number;
}
