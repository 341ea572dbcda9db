/**
 * Which instances are asked first. A quorum is enough, so a lock that nobody is in the way of asks just that
 * many; the others are spares, asked as soon as one of the first refuses, fails, or takes several times as
 * long as calls do, and told of the lock when it is kept for longer than that. The first are the same for all
 * locks for a while, so that many share few and large calls; the wall clock moves on, the same for all
 * processes, so that those who want one lock mostly meet. Who is slow or away is not among the first.
 */
import type { Member } from "../group/index.ts";
import type { Exchange } from "./exchange.ts";

/** A spare is asked after so many times what a call usually takes. */
const PATIENCE = 3;
/** An instance is slow when its calls take so many times what the others' do. */
const SLOW_RATIO = 4;
const SLOW_MS_MIN = 1;
const DELAY_MS_MAX = 100;
/** Now and then all are asked at once: else nothing more would be known of one that was slow. */
const ALL_MS = 100;
/** What calls take, and who is away, is looked at again after so long. */
const LOOK_MS = 5;
/** For so long all begin with the same instance. */
const TURN_MS = 100;

export interface FirstAskedSettings {
  readonly quorum: number;
  /** The shortest delay; 0 asks all at once. */
  readonly spareMs: number;
  /** So many other acquires must be on their way. */
  readonly spareFrom: number;
}

export class FirstAsked {
  readonly #members: readonly Member[];
  readonly #exchanges: readonly Exchange[];
  readonly #settings: FirstAskedSettings;
  #picked: readonly boolean[] | undefined;
  #delayMs: number;
  #lookAt = Number.NEGATIVE_INFINITY;
  #allAt = Number.NEGATIVE_INFINITY;

  constructor(members: readonly Member[], exchanges: readonly Exchange[], settings: FirstAskedSettings) {
    this.#members = members;
    this.#exchanges = exchanges;
    this.#settings = settings;
    this.#delayMs = settings.spareMs;
  }

  /** How long the spares are left alone, in milliseconds; as `pick` last saw it. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /**
   * By place in the group: true for those that are asked first. Undefined when all are, as while few other
   * acquires are `pending`: then the fastest quorum is worth more than what the others cost.
   */
  pick(pending: number, now: number, wallMs: number): readonly boolean[] | undefined {
    const { quorum, spareMs, spareFrom } = this.#settings;
    if (quorum === this.#members.length || spareMs === 0 || pending < spareFrom) return undefined;
    if (now >= this.#allAt) {
      this.#allAt = now + ALL_MS;
      return undefined;
    }
    if (now >= this.#lookAt) this.#look(now, wallMs);
    return this.#picked;
  }

  #look(now: number, wallMs: number): void {
    this.#lookAt = now + LOOK_MS;
    const times = this.#exchanges.map(({ callMs }) => callMs);
    const usual = times.toSorted((a, b) => a - b)[times.length >> 1] as number;
    const { quorum, spareMs } = this.#settings;
    this.#delayMs = Math.max(spareMs, Math.min(DELAY_MS_MAX, PATIENCE * usual));
    const size = this.#members.length;
    const start = Math.floor(wallMs / TURN_MS);
    const picked = times.map(() => false);
    let missing = quorum;
    for (let step = 0; step < size && missing > 0; step += 1) {
      const at = (start + step) % size;
      const isSlow = (times[at] as number) > SLOW_RATIO * usual + SLOW_MS_MIN;
      if (isSlow || this.#members[at]?.boot === undefined) continue;
      picked[at] = true;
      missing -= 1;
    }
    this.#picked = missing === 0 ? picked : undefined;
  }
}
