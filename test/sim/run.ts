/**
 * One run: a group of real cores and real state machines, clients, an operator and faults, in virtual time.
 * After the faults are over the group must get going again: one leader, everybody up to date, every client
 * answered. Then the histories are judged.
 */
import { MetaStore } from "../../src/meta/index.ts";
import { configOf, isMember, type Message, type Snapshot } from "../../src/raft/index.ts";
import { checkLinearizable } from "../support/linear/check.ts";
import type { Operation } from "../support/linear/history.ts";
import type { KeyValueOp } from "../support/linear/key-value.ts";
import { KEY_VALUE_MODEL } from "../support/linear/key-value-model.ts";
import { checkRevisionOrder } from "../support/linear/revision-order.ts";
import { Checks } from "./checks.ts";
import { Client } from "./client.ts";
import { Disk } from "./disk.ts";
import { Faults } from "./faults.ts";
import { LeaseHolder } from "./lease-holder.ts";
import { Network } from "./network.ts";
import { Operator } from "./operator.ts";
import { SimPeer } from "./peer.ts";
import { CALM_NETWORK, type RunPlan } from "./plan.ts";
import { Violation } from "./violation.ts";
import { type Narrator, World } from "./world.ts";

export interface RunResult {
  readonly seed: number;
  readonly traceHash: string;
  /** Undefined when everything held. */
  readonly violation: { readonly promise: string; readonly text: string } | undefined;
  readonly operations: number;
  readonly unknown: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly events: number;
  readonly messages: number;
  readonly terms: number;
  readonly entries: number;
}

/** Between two looks at whether the group is in order again. */
const LOOK_MS = 100;

class Run {
  readonly #plan: RunPlan;
  readonly world: World;
  readonly checks: Checks;
  readonly network: Network;
  readonly faults: Faults;
  readonly operator: Operator;
  readonly clients: readonly Client[];
  readonly #leaseHolder: LeaseHolder;
  readonly #peers = new Map<number, SimPeer>();
  /** Ids of those who are, or were, in the group; whom clients and faults know. */
  #list: readonly SimPeer[] = [];

  constructor(plan: RunPlan, narrator: Narrator | undefined) {
    this.#plan = plan;
    this.world = new World(plan.seed, narrator);
    this.checks = new Checks(this.#peers);
    this.network = new Network(this.world, plan.network, (message) =>
      this.#peers.get(message.to)?.receive(message),
    );
    this.operator = new Operator(this.world, plan.operator, {
      peers: this.#peers,
      hire: () => this.#hire(),
    });
    const peers = () => this.#list;
    const { world, network, operator } = this;
    this.faults = new Faults({ world, network, operator, peers }, plan.faults);
    this.#leaseHolder = new LeaseHolder(world, plan.leases, peers);
    this.clients = plan.clients.map((client, at) => new Client(at + 1, this.world, client, peers));
  }

  get peers(): readonly SimPeer[] {
    return this.#list;
  }

  play(): void {
    this.#found();
    for (const client of this.clients) client.start();
    this.#leaseHolder.start();
    this.operator.start();
    this.faults.start();
    this.world.runUntil(this.#plan.runMs);
    this.#recover();
  }

  /** The first peers start with a snapshot that names them, so that whoever joins later gets it too. */
  #found(): void {
    const { peers, peer } = this.#plan;
    const config = configOf(Array.from({ length: peers }, (_, at) => at + 1));
    const store = new MetaStore(peer.store);
    store.apply({ index: 1, term: 1, data: new Uint8Array(0) });
    const parts = [...store.snapshot({ chunkBytes: peer.snapshotPartBytes })];
    const snapshot: Snapshot = { index: 1, term: 1, config, parts };
    for (const id of config.voters) {
      const disk = new Disk(this.world, this.#plan.disk);
      disk.log.write({ hardState: { term: 1, votedFor: 0, commitIndex: 1 }, entries: [], snapshot });
      this.#add(id, disk);
    }
  }

  #hire(): SimPeer {
    return this.#add(this.#peers.size + 1, new Disk(this.world, this.#plan.disk));
  }

  #add(id: number, disk: Disk): SimPeer {
    const peer = new SimPeer(id, disk, this.#plan.peer, {
      world: this.world,
      checks: this.checks,
      send: (message: Message) => this.network.send(message),
      configured: (one) => {
        this.operator.configured(one);
        if (one.raft.role === "leader") this.faults.changeApplied(one);
      },
      elected: (one) => {
        this.faults.leaderElected(one);
        this.operator.leaderElected();
      },
    });
    this.#peers.set(id, peer);
    this.#list = [...this.#peers.values()];
    peer.start();
    return peer;
  }

  /** All faults are over: the group must be in order within a bounded time. */
  #recover(): void {
    this.world.note(50, 0, 0, () => "all faults are over");
    this.faults.stop();
    this.operator.stop();
    this.network.become(CALM_NETWORK);
    const dead = this.#leftDead();
    dead?.crash();
    for (const peer of this.#list) {
      if (peer.state === "paused") peer.resume();
      if (peer.state === "down" && peer !== dead && !this.operator.isGone(peer.id)) peer.start();
    }
    const endsAtMs = this.world.nowMs + this.#plan.calmMs;
    const answeredBefore = this.clients.map((client) => client.answered);
    let problem: string | undefined = "nobody looked";
    while (problem !== undefined) {
      if (this.world.nowMs >= endsAtMs) throw new Violation("liveness", problem);
      this.operator.mend();
      this.world.runUntil(this.world.nowMs + LOOK_MS);
      problem = this.#problem(answeredBefore);
    }
    this.#leaseHolder.stop();
    for (const client of this.clients) client.stop();
    let left: string | undefined = "nobody looked";
    while (left !== undefined) {
      if (this.world.nowMs >= endsAtMs) throw new Violation("liveness", left);
      this.world.runUntil(this.world.nowMs + LOOK_MS);
      left = this.#unfinished();
    }
  }

  /** When nobody asks for anything any more, everybody has everything. */
  #unfinished(): string | undefined {
    const busy = this.clients.find((client) => client.isBusy);
    if (busy !== undefined) return `client ${busy.name} is never answered`;
    const leader = this.#leader();
    if (leader === undefined) return "there is no leader";
    const { config, lastIndex } = leader.raft;
    for (const peer of this.#list) {
      if (!isMember(config, peer.id) || peer.state === "down") continue;
      const { appliedIndex } = peer.store;
      if (appliedIndex !== lastIndex) return `peer ${peer.id} applied ${appliedIndex} of ${lastIndex}`;
      const { uncommittedBytes } = peer.raft.status();
      if (uncommittedBytes > 0)
        return `peer ${peer.id} still counts ${uncommittedBytes} bytes as uncommitted`;
    }
    return undefined;
  }

  /** A leader that was cut off or removed may not know it yet: the one of the highest term. */
  #leader(): SimPeer | undefined {
    return this.#list
      .filter(({ state, raft, id }) => state === "up" && raft.role === "leader" && isMember(raft.config, id))
      .toSorted((a, b) => b.raft.term - a.raft.term)[0];
  }

  /** Now and then one voter stays away: a majority, of both halves if there are two, is enough. */
  #leftDead(): SimPeer | undefined {
    if (this.operator.hasGone || this.world.chance(0.5)) return undefined;
    const [latest] = this.#list.toSorted((a, b) => b.raft.commitIndex - a.raft.commitIndex);
    return this.#peers.get(this.world.pick(latest?.raft.config.voters ?? []));
  }

  #problem(answeredBefore: readonly number[]): string | undefined {
    const leader = this.#leader();
    if (leader === undefined) return "there is no leader";
    const { config, commitIndex, term } = leader.raft;
    if (config.outgoing.length > 0) return "the configuration is joint";
    for (const peer of this.#list) {
      if (!isMember(config, peer.id)) continue;
      if (this.operator.isGone(peer.id)) return `peer ${peer.id} is gone and not replaced`;
      if (peer.state === "down") continue;
      if (peer.raft.term !== term)
        return `peer ${peer.id} is in term ${peer.raft.term}, the leader in ${term}`;
      if (peer.store.appliedIndex + 50 < commitIndex) {
        return `peer ${peer.id} applied ${peer.store.appliedIndex} of ${commitIndex}`;
      }
    }
    const waiting = this.clients.find((client, at) => client.answered < (answeredBefore[at] as number) + 2);
    return waiting === undefined ? undefined : `client ${waiting.name} waits for answers`;
  }

  /** R9, R10: the answers are those of one store that does one thing after the other. */
  judge(): void {
    this.checks.finish(this.#list.filter((peer) => peer.state === "up"));
    const history = this.clients.flatMap((client) =>
      client.resolved((data) => this.checks.executionOf(data)),
    );
    const verdicts = [checkRevisionOrder(history), checkLinearizable(KEY_VALUE_MODEL, history)];
    for (const verdict of verdicts) {
      if (verdict.outcome === "accepted") continue;
      throw new Violation("R9", `${verdict.outcome}\n${verdict.explanation}`);
    }
  }

  result(violation: RunResult["violation"]): RunResult {
    const history: Operation<KeyValueOp>[] = this.clients.flatMap((client) => client.history);
    const { met } = this.network;
    const faults = new Map<string, number>(this.faults.counts);
    faults.set("lost", met.lost).set("repeated", met.repeated).set("slow", met.slow).set("cut", met.cut);
    faults.set(
      "torn",
      this.#list.reduce((sum, peer) => sum + peer.disk.met.torn, 0),
    );
    faults.set(
      "unsynced",
      this.#list.reduce((sum, peer) => sum + peer.disk.met.unsynced, 0),
    );
    for (const [order, count] of Object.entries(this.operator.done)) faults.set(order, count);
    for (const [end, count] of Object.entries(this.checks.leases.counts)) faults.set(`leases ${end}`, count);
    return {
      seed: this.#plan.seed,
      traceHash: this.world.traceHash,
      violation,
      operations: history.length,
      unknown: history.filter(({ returnedAt }) => returnedAt === undefined).length,
      faults,
      events: this.world.events,
      messages: this.network.sent,
      terms: this.checks.terms,
      entries: this.checks.committedTo,
    };
  }
}

/** Plays a plan to its end, or to the first violation. */
export function runPlan(plan: RunPlan, narrator?: Narrator): RunResult {
  const run = new Run(plan, narrator);
  try {
    run.play();
    run.judge();
    return run.result(undefined);
  } catch (error) {
    // A broken invariant of the core is a violation like any other; it names itself.
    const promise = error instanceof Violation ? error.promise : "invariant";
    const text = error instanceof Violation ? error.message : String((error as Error).stack);
    return run.result({ promise, text });
  }
}
