/**
 * A client that lives on leases: it is granted one, puts a key under it, renews it for a while, and then
 * revokes it or falls silent, so that leases end in every way. Its keys are its own: what it does is judged
 * by `LeaseChecks`, not with the other clients' histories.
 */
import { type Command, encodeCommand, type Outcome } from "../../src/meta/index.ts";
import type { SimPeer } from "./peer.ts";
import type { World } from "./world.ts";

export interface LeaseHolderPlan {
  readonly ttlMs: readonly [low: number, high: number];
  readonly renewals: readonly [low: number, high: number];
}

const RETRY_MS = 300;

export class LeaseHolder {
  readonly #world: World;
  readonly #plan: LeaseHolderPlan;
  readonly #peers: () => readonly SimPeer[];
  #isStopped = false;

  constructor(world: World, plan: LeaseHolderPlan, peers: () => readonly SimPeer[]) {
    this.#world = world;
    this.#plan = plan;
    this.#peers = peers;
  }

  start(): void {
    const ttlMs = this.#world.between(...this.#plan.ttlMs);
    this.#ask({ type: "grantLease", ttlMs }, (outcome) => {
      const { answer } = outcome;
      if (answer?.type !== "lease") return this.#rest();
      const { lease } = answer;
      const key = `lease/${lease}`;
      this.#ask({ type: "put", key, value: new Uint8Array(1), lease }, () => {
        this.#renew(lease, ttlMs, this.#world.between(...this.#plan.renewals));
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
  }

  #renew(lease: number, ttlMs: number, left: number): void {
    if (left === 0) {
      if (this.#world.chance(0.5)) this.#rest();
      else this.#ask({ type: "revokeLease", lease }, () => this.#rest());
      return;
    }
    // Now and then only just in time, or too late.
    this.#world.after(this.#world.between(Math.floor(ttlMs / 3), Math.floor(ttlMs * 1.1)), () => {
      this.#ask({ type: "renewLease", lease }, ({ ok }) => {
        if (ok) this.#renew(lease, ttlMs, left - 1);
        else this.#rest();
      });
    });
  }

  #rest(): void {
    this.#world.after(this.#world.between(100, 800), () => this.start());
  }

  /** Asks one peer after the other; commands without a stamp, so one that was lost is just asked anew. */
  #ask(command: Command, done: (outcome: Outcome) => void): void {
    let isDone = false;
    const attempt = () => {
      if (isDone || this.#isStopped) return;
      // Other bytes each time: without a stamp it is another command.
      const data = encodeCommand(command);
      this.#world.pick(this.#peers()).command(data, false, (outcome) => {
        if (isDone || typeof outcome === "string") return;
        isDone = true;
        done(outcome);
      });
      this.#world.after(RETRY_MS, attempt);
    };
    attempt();
  }
}
