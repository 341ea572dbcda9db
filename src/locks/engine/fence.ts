/**
 * What this client knows of the instances' fence counters, and the tokens that it proposes. A guess: a wrong
 * one costs a second trip and nothing else, for the token that counts is the one a quorum has stored.
 */
import type { Clock } from "../../env/index.ts";
import { COUNTER_COUNT } from "../resources.ts";

export class Fence {
  readonly #clock: Clock;
  readonly #aheadMaxUs: number;
  readonly #known = new Float64Array(COUNTER_COUNT);

  /** `aheadMaxMs`: instances store no token that is further ahead of their clocks. */
  constructor(clock: Clock, aheadMaxMs: number) {
    this.#clock = clock;
    this.#aheadMaxUs = aheadMaxMs * 1000;
  }

  /** Above what is known, and probably above what others drew: the wall clock in microseconds. */
  propose(counters: readonly number[]): number {
    // Below a millisecond the wall clock says nothing; the other clock keeps two clients apart there.
    let proposal = this.#clock.wallNow() * 1000 + (Math.floor(this.#clock.now() * 1000) % 1000);
    // What nobody would store anyway may come from a wall clock that was wrong for a while.
    const most = proposal + this.#aheadMaxUs;
    for (const counter of counters) {
      const known = this.#known[counter] as number;
      if (known < most) proposal = Math.max(proposal, known + 1);
    }
    for (const counter of counters) this.#known[counter] = proposal;
    return proposal;
  }

  learn(counters: readonly number[], value: number): void {
    for (const counter of counters) {
      if (value > (this.#known[counter] as number)) this.#known[counter] = value;
    }
  }
}
