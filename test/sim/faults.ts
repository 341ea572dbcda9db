/**
 * What goes wrong in a run. Each fault begins, lasts, and ends by itself; several may be at work at once.
 * A fault counts only when it met something: a cut that no message wanted to pass shows nothing.
 */
import type { Network } from "./network.ts";
import type { Operator } from "./operator.ts";
import type { SimPeer } from "./peer.ts";
import type { World } from "./world.ts";

export const FAULTS = [
  "crash",
  "crashAll",
  "pause",
  "isolate",
  "isolateOneWay",
  "split",
  "cutWay",
  "syncFails",
  "wipe",
] as const;

/** Cuts that come at the worst moment rather than at any. */
export type AmbushName = "newLeader" | "change";

export type FaultName = (typeof FAULTS)[number];

/** These count when they end, and only if they met something. */
const COUNTED_LATER: ReadonlySet<FaultName> = new Set<FaultName>([
  "isolate",
  "isolateOneWay",
  "split",
  "cutWay",
  "syncFails",
]);

/** A way that messages take. */
type Way = [from: number, to: number];

export interface FaultPlan {
  /** Between the beginnings of two faults. */
  readonly everyMs: readonly [low: number, high: number];
  readonly lastsMs: readonly [low: number, high: number];
  readonly kinds: readonly FaultName[];
  /** How often a leader is cut off as soon as it is elected, and a change of members as it is proposed. */
  readonly ambushRatio: number;
}

export interface Stage {
  readonly world: World;
  readonly network: Network;
  readonly operator: Operator;
  /** Peers that are in the group, or were. */
  peers(): readonly SimPeer[];
}

export class Faults {
  readonly #stage: Stage;
  readonly #plan: FaultPlan;
  #isStopped = false;
  /** Ends of faults that are at work. */
  readonly #open = new Set<() => void>();
  readonly counts = new Map<FaultName | AmbushName, number>();

  constructor(stage: Stage, plan: FaultPlan) {
    this.#stage = stage;
    this.#plan = plan;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  start(): void {
    const { world } = this.#stage;
    const [low, high] = this.#plan.everyMs;
    const next = () => {
      if (this.#isStopped) return;
      this.#begin(world.pick(this.#plan.kinds));
      world.after(world.between(low, high), next);
    };
    if (this.#plan.kinds.length > 0) world.after(world.between(low, high), next);
  }

  /** A new leader reaches one other alone, or nobody, or is gone soon: its first entries do not get far. */
  leaderElected(leader: SimPeer): void {
    const { world } = this.#stage;
    if (this.#isStopped || !world.chance(this.#plan.ambushRatio)) return;
    const others = this.#ids().filter((id) => id !== leader.id);
    const friends = world.chance(0.3) ? [] : [world.pick(others)];
    world.after(world.between(0, 25), () => {
      if (this.#isStopped) return;
      if (world.chance(0.4)) this.#crash([leader]);
      else this.#split("newLeader", [leader.id, ...friends]);
    });
  }

  /**
   * A joint configuration is in force at its leader, which keeps just enough of the voters to come and loses
   * the majority of those before: what the one half decides now, the other must not decide otherwise.
   */
  changeApplied(leader: SimPeer): void {
    const { world } = this.#stage;
    const { voters, outgoing } = leader.raft.config;
    if (this.#isStopped || outgoing.length === 0 || !world.chance(this.#plan.ambushRatio)) return;
    const newcomers = voters.filter((id) => !outgoing.includes(id));
    const others = world.shuffled(voters.filter((id) => outgoing.includes(id) && id !== leader.id));
    const side = [leader.id, ...newcomers];
    const isEnough = () => voters.filter((id) => side.includes(id)).length * 2 > voters.length;
    while (!isEnough() && others.length > 0) side.push(others.pop() as number);
    this.#split("change", side);
  }

  /** Ends all that is at work; nothing new begins. */
  stop(): void {
    this.#isStopped = true;
    for (const end of this.#open) end();
  }

  #begin(name: FaultName): void {
    const { world, operator } = this.#stage;
    const running = this.#stage.peers().filter((peer) => peer.state === "up");
    if (running.length === 0) return;
    const peer = this.#target(running);
    world.note(40, peer.id, name.length, () => `fault: ${name} (peer ${peer.id})`);
    if (name === "crash") this.#crash([peer]);
    else if (name === "crashAll") this.#crash(running);
    else if (name === "pause") this.#pause(peer);
    else if (name === "syncFails") this.#failSync(peer);
    else if (name !== "wipe") this.#cut(name, peer);
    else if (!operator.maybeWipe()) return;
    if (!COUNTED_LATER.has(name)) this.#count(name);
  }

  #pause(peer: SimPeer): void {
    peer.pause();
    this.#later(() => peer.resume());
  }

  #failSync(peer: SimPeer): void {
    peer.disk.failsNextSync = true;
    const before = peer.disk.met.failed;
    this.#later(() => {
      peer.disk.failsNextSync = false;
      if (peer.disk.met.failed > before) this.#count("syncFails");
      this.#restart(peer);
    });
  }

  /** The leader is hit as often as all others together. */
  #target(running: readonly SimPeer[]): SimPeer {
    const { world } = this.#stage;
    const leaders = running.filter((peer) => peer.raft.role === "leader");
    return leaders.length > 0 && world.chance(0.5) ? world.pick(leaders) : world.pick(running);
  }

  #crash(peers: readonly SimPeer[]): void {
    for (const peer of peers) {
      peer.crash();
      this.#later(() => this.#restart(peer));
    }
  }

  #restart(peer: SimPeer): void {
    if (peer.state === "down" && !this.#stage.operator.isGone(peer.id)) peer.start();
  }

  #cut(name: FaultName, peer: SimPeer): void {
    const { world } = this.#stage;
    const ids = this.#ids();
    const others = ids.filter((id) => id !== peer.id);
    if (name === "isolate") {
      this.#split(name, [peer.id]);
    } else if (name === "split") {
      this.#split(name, world.shuffled(ids).slice(0, world.between(1, Math.max(ids.length - 1, 1))));
    } else if (name === "isolateOneWay") {
      const isDeaf = world.chance(0.5);
      this.#cutWays(
        name,
        others.map((id) => (isDeaf ? [id, peer.id] : [peer.id, id])),
      );
    } else {
      this.#cutWays(
        name,
        world
          .shuffled(others)
          .slice(0, 2)
          .map((id) => [peer.id, id]),
      );
    }
  }

  /** Nothing passes between these and all others. */
  #split(name: FaultName | AmbushName, side: readonly number[]): void {
    const others = this.#ids().filter((id) => !side.includes(id));
    const ways = side.flatMap((id) =>
      others.flatMap((other): Way[] => [
        [id, other],
        [other, id],
      ]),
    );
    this.#cutWays(name, ways);
  }

  #cutWays(name: FaultName | AmbushName, ways: readonly Way[]): void {
    const { network } = this.#stage;
    const before = network.met.cut;
    for (const [from, to] of ways) network.cut(from, to);
    this.#later(() => {
      for (const [from, to] of ways) network.heal(from, to);
      if (network.met.cut > before) this.#count(name);
    });
  }

  #ids(): number[] {
    return this.#stage.peers().map(({ id }) => id);
  }

  #later(end: () => void): void {
    const { world } = this.#stage;
    const once = () => {
      if (this.#open.delete(once)) end();
    };
    this.#open.add(once);
    const [low, high] = this.#plan.lastsMs;
    world.after(world.between(low, high), once);
  }

  #count(name: FaultName | AmbushName): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
