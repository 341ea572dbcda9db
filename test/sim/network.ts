/**
 * The network between peers: it loses, repeats, delays and reorders, and cuts ways in one direction. A
 * message that was held by a slow way arrives long after the world has moved on.
 */
import type { Message } from "../../src/raft/index.ts";
import type { World } from "./world.ts";

export interface NetworkPlan {
  readonly lossRatio: number;
  readonly repeatRatio: number;
  readonly delayMs: readonly [low: number, high: number];
  /** Of this share of messages the delay is drawn from a longer span. */
  readonly slowRatio: number;
  readonly slowMs: readonly [low: number, high: number];
}

export class Network {
  readonly #world: World;
  #plan: NetworkPlan;
  /** Ways that are cut, as `from * 2^16 + to`, and by how many faults. */
  readonly #cuts = new Map<number, number>();
  readonly #deliver: (message: Message) => void;
  /** Messages that a cut, a loss, a repetition or a long delay has met. */
  readonly met = { cut: 0, lost: 0, repeated: 0, slow: 0 };
  sent = 0;

  constructor(world: World, plan: NetworkPlan, deliver: (message: Message) => void) {
    this.#world = world;
    this.#plan = plan;
    this.#deliver = deliver;
  }

  /** From now on as this plan says. */
  become(plan: NetworkPlan): void {
    this.#plan = plan;
  }

  cut(from: number, to: number): void {
    const way = wayOf(from, to);
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
  }

  heal(from: number, to: number): void {
    const way = wayOf(from, to);
    const left = (this.#cuts.get(way) ?? 1) - 1;
    if (left > 0) this.#cuts.set(way, left);
    else this.#cuts.delete(way);
  }

  send(message: Message): void {
    this.sent += 1;
    if (this.#cuts.size > 0 && this.#cuts.has(wayOf(message.from, message.to))) {
      this.met.cut += 1;
      return;
    }
    const draw = this.#world.random.fraction();
    const { lossRatio, repeatRatio } = this.#plan;
    if (draw < lossRatio) {
      this.met.lost += 1;
      return;
    }
    this.#carry(message);
    if (draw < lossRatio + repeatRatio) {
      this.met.repeated += 1;
      this.#carry(message);
    }
  }

  #carry(message: Message): void {
    const { delayMs, slowMs, slowRatio } = this.#plan;
    const isSlow = slowRatio > 0 && this.#world.chance(slowRatio);
    if (isSlow) this.met.slow += 1;
    const [low, high] = isSlow ? slowMs : delayMs;
    this.#world.after(this.#world.between(low, high), () => {
      // A cut catches what is on its way as well.
      if (this.#cuts.size > 0 && this.#cuts.has(wayOf(message.from, message.to))) this.met.cut += 1;
      else this.#deliver(message);
    });
  }
}

function wayOf(from: number, to: number): number {
  return from * 2 ** 16 + to;
}
