/**
 * Something that is done again and again: when asked, and after a pause. At most one round at a time; being
 * asked during a round means one more after it. A round that fails is followed by a growing pause, never by
 * another at once, so nothing can spin. It must never reject.
 */
import type { Env, Timer } from "../../env/index.ts";

const BACKOFF_MS_MAX = 2000;

export interface Round {
  /** False while there is nobody to ask; then no round starts, and no timer waits for one. */
  mayRun(): boolean;
  run(): Promise<void>;
  onFailure(error: unknown): void;
  /** After each round, whatever came of it. */
  onDone(): void;
  /** Milliseconds until the next round by itself, after one that did not fail. */
  pauseMs(): number;
}

export class Rounds {
  readonly #env: Env;
  readonly #round: Round;
  #running: Promise<void> | undefined;
  #again = false;
  #failures = 0;
  #closed = false;
  #timer: Timer | undefined;

  constructor(env: Env, round: Round) {
    this.#env = env;
    this.#round = round;
  }

  /** A round now, or one more after the one that runs. */
  ask(): void {
    if (this.#closed || !this.#round.mayRun()) return;
    this.#timer?.cancel();
    if (this.#running === undefined) this.#running = this.#run();
    else this.#again = true;
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when no round runs. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#round.run();
        this.#failures = 0;
      } catch (error) {
        this.#failures += 1;
        this.#round.onFailure(error);
      }
      this.#round.onDone();
    } while (this.#again && this.#failures === 0 && !this.#closed);
    this.#running = undefined;
    if (this.#closed || !this.#round.mayRun()) return;
    this.#timer = this.#env.timers.after(this.#pauseMs(), () => this.ask());
  }

  #pauseMs(): number {
    if (this.#failures === 0) return this.#round.pauseMs();
    const backoffMs = Math.min(BACKOFF_MS_MAX, 25 * 2 ** Math.min(this.#failures, 10));
    return backoffMs * (0.5 + this.#env.random.fraction() / 2);
  }
}
