/**
 * Whoever runs the group: changes its members under load, hands leadership around, and replaces a peer whose
 * disk is gone by a new one. It is careful as an operator would be: a wiped peer never comes back under its
 * old id, and no second voter is wiped while one is missing.
 */
import { type Config, type ConfigChange, isVoter, type Raft, votersOf } from "../../src/raft/index.ts";
import type { SimPeer } from "./peer.ts";
import type { World } from "./world.ts";

export interface OperatorPlan {
  /** Between two orders. 0: there is no operator. */
  readonly everyMs: readonly [low: number, high: number];
  readonly votersMin: number;
  readonly votersMax: number;
}

/** What an operator can do beside giving orders. */
export interface Workshop {
  readonly peers: ReadonlyMap<number, SimPeer>;
  /** Starts a peer with an empty disk under an id that was never used. */
  hire(): SimPeer;
}

type Order = "transfer" | "add" | "promote" | "remove" | "swap" | "demote";

export class Operator {
  readonly #world: World;
  readonly #plan: OperatorPlan;
  readonly #workshop: Workshop;
  /** Peers whose disks are gone and who are still members, as far as is known. */
  readonly #gone = new Set<number>();
  #isStopped = false;
  readonly done: Record<Order | "wipe" | "replace", number> = {
    transfer: 0,
    add: 0,
    promote: 0,
    remove: 0,
    swap: 0,
    demote: 0,
    wipe: 0,
    replace: 0,
  };

  constructor(world: World, plan: OperatorPlan, workshop: Workshop) {
    this.#world = world;
    this.#plan = plan;
    this.#workshop = workshop;
  }

  start(): void {
    const [low, high] = this.#plan.everyMs;
    if (high === 0) return;
    const next = () => {
      if (this.#isStopped) return;
      this.#order();
      this.#world.after(this.#world.between(low, high), next);
    };
    this.#world.after(this.#world.between(low, high), next);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Now and then a change is on the table before the new leader knows what is committed. */
  leaderElected(): void {
    if (this.#plan.everyMs[1] === 0) return;
    this.#world.after(this.#world.between(0, 20), () => {
      if (!this.#isStopped && this.#world.chance(0.2)) this.#order();
    });
  }

  /** Whether somebody is gone and not replaced. */
  get hasGone(): boolean {
    return this.#gone.size > 0;
  }

  isGone(peerId: number): boolean {
    return this.#gone.has(peerId);
  }

  /** Destroys a voter and its disk, if the group can bear it. Returns whether it did. */
  maybeWipe(): boolean {
    const leader = this.#leader();
    if (leader === undefined || this.#gone.size > 0) return false;
    const { config } = leader.raft;
    const voters = votersOf(config).filter((id) => this.#workshop.peers.get(id)?.state === "up");
    if (config.outgoing.length > 0 || config.voters.length < 3 || voters.length < config.voters.length)
      return false;
    const victim = this.#world.pick(config.voters);
    this.#gone.add(victim);
    this.done.wipe += 1;
    this.#world.note(30, victim, 0, () => `peer ${victim} is gone, and its disk`);
    this.#workshop.peers.get(victim)?.crash();
    return true;
  }

  /** Goes on until nobody who is gone is a member; for the end of a run. */
  mend(): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    const { config } = leader.raft;
    if (config.outgoing.length > 0) {
      // One that is to be left by itself is left by itself.
      if (!config.autoLeave) this.#propose(leader, { transition: "auto", changes: [] });
    } else if (this.#gone.size > 0) this.#replace(leader, config);
  }

  /** The configurations that are in force somewhere tell who is still missing. */
  configured(peer: SimPeer): void {
    const { config } = peer.raft;
    if (peer.raft.role !== "leader" || config.outgoing.length > 0) return;
    for (const id of this.#gone) {
      if (isVoter(config, id) || config.learners.includes(id)) continue;
      this.#gone.delete(id);
      this.done.replace += 1;
    }
  }

  #leader(): SimPeer | undefined {
    const leaders = [...this.#workshop.peers.values()].filter(
      (peer) => peer.state === "up" && peer.raft.role === "leader",
    );
    return leaders.toSorted((a, b) => b.raft.term - a.raft.term)[0];
  }

  #order(): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    const { config } = leader.raft;
    if (config.outgoing.length > 0) {
      if (!config.autoLeave) this.#propose(leader, { transition: "auto", changes: [] });
      return;
    }
    if (this.#gone.size > 0) {
      this.#replace(leader, config);
      return;
    }
    const order = this.#world.pick<Order>([
      "transfer",
      "transfer",
      "add",
      "promote",
      "remove",
      "swap",
      "demote",
    ]);
    this.#give(order, leader, config);
    // Two operators who do not know of each other: the second change comes before the first is applied.
    if (this.#world.chance(0.2)) this.#give(this.#world.pick(["remove", "swap", "add"]), leader, config);
  }

  #give(order: Order, leader: SimPeer, config: Config): void {
    const { votersMin, votersMax } = this.#plan;
    const { voters, learners } = config;
    const learner = learners.length > 0 ? this.#world.pick(learners) : undefined;
    const voter = this.#world.pick(voters);
    const transition = this.#world.pick(["auto", "auto", "implicit", "explicit"] as const);
    const change = (changes: ConfigChange["changes"]) => this.#propose(leader, { transition, changes });
    if (order === "transfer") {
      leader.order((raft: Raft) => raft.transferLeadership(voter));
    } else if (order === "add" && learners.length < 2) {
      change([{ kind: "addLearner", peerId: this.#workshop.hire().id }]);
    } else if (order === "promote" && learner !== undefined && voters.length < votersMax) {
      change([{ kind: "addVoter", peerId: learner }]);
    } else if (order === "remove" && voters.length > votersMin) {
      change([{ kind: "remove", peerId: voter }]);
    } else if (order === "swap" && learner !== undefined) {
      change([
        { kind: "addVoter", peerId: learner },
        { kind: "remove", peerId: voter },
      ]);
    } else if (order === "demote" && learner !== undefined) {
      change([
        { kind: "addVoter", peerId: learner },
        { kind: "addLearner", peerId: voter },
      ]);
    } else {
      return;
    }
    this.done[order] += 1;
  }

  /** A learner takes the place of who is gone; if there is none, one is hired first. */
  #replace(leader: SimPeer, { voters, learners }: Config): void {
    const [gone] = this.#gone;
    if (gone === undefined) return;
    const learner = learners.find((id) => this.#workshop.peers.get(id)?.state === "up");
    if (!voters.includes(gone)) {
      this.#propose(leader, { transition: "auto", changes: [{ kind: "remove", peerId: gone }] });
    } else if (learner === undefined) {
      const { id } = this.#workshop.hire();
      this.#propose(leader, { transition: "auto", changes: [{ kind: "addLearner", peerId: id }] });
    } else {
      const changes: ConfigChange["changes"] = [
        { kind: "addVoter", peerId: learner },
        { kind: "remove", peerId: gone },
      ];
      this.#propose(leader, { transition: "auto", changes });
    }
  }

  #propose(leader: SimPeer, change: ConfigChange): void {
    const { changes, transition } = change;
    const line = () =>
      `operator: ${transition} ${changes.map((one) => `${one.kind} ${one.peerId}`).join(", ")}`;
    this.#world.note(31, leader.id, changes.length, line);
    leader.order((raft) => raft.proposeChange(change));
  }
}
