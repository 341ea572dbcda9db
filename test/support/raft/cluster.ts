/**
 * The peers of a transcript and the network between them, as verbs. Everything that happens is said as a
 * line: `->` a message is sent, `=>` a command delivers it, `-x` it is lost. Peers act in the order of their
 * ids, messages arrive in the order in which they were sent, so that a transcript never varies.
 */
import { configOf, type Message, type Raft } from "../../../src/raft/index.ts";
import { describeMessage } from "./describe.ts";
import { type Filter, Network } from "./network.ts";
import { type PeerOptions, ScenarioPeer } from "./peer.ts";

const ROUNDS_MAX = 200;

/** A mistake in a transcript; the runner adds where it stands. */
export class ScenarioError extends Error {}

export class Cluster {
  readonly #peers: ScenarioPeer[] = [];
  readonly #network = new Network();
  #lines: string[] = [];

  get peers(): readonly ScenarioPeer[] {
    return this.#peers;
  }

  get inFlight(): readonly Message[] {
    return this.#network.inFlight;
  }

  /** What was said since the last call. */
  takeLines(): readonly string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  say(line: string): void {
    this.#lines.push(line);
  }

  /** Peers with the next ids; they know no group when `isEmpty`, else they found one. */
  addPeers(count: number, learners: readonly number[], isEmpty: boolean, options: PeerOptions): void {
    const ids = Array.from({ length: count }, (_, at) => this.#peers.length + 1 + at);
    const voters = ids.filter((id) => !learners.includes(id));
    const founders = isEmpty ? undefined : configOf(voters, learners);
    for (const id of ids) {
      const peer = new ScenarioPeer(id, founders, options, {
        say: (line) => this.say(line),
        send: (message) => this.#send(message),
      });
      this.#peers.push(peer);
    }
  }

  peer(id: number): ScenarioPeer {
    const peer = this.#peers[id - 1];
    if (peer === undefined) throw new ScenarioError(`there is no peer ${id}`);
    return peer;
  }

  core(id: number): Raft {
    const { core } = this.peer(id);
    if (core === undefined) throw new ScenarioError(`peer ${id} is down`);
    return core;
  }

  /** Delivers, and says so. */
  deliver(filter: Filter): void {
    this.core(filter.to);
    const messages = this.#network.take(filter);
    if (messages.length === 0) this.say(`nothing arrives at ${filter.to}`);
    for (const message of messages) {
      this.say(`${message.from} => ${message.to} ${describeMessage(message)}`);
      this.#step(message);
    }
  }

  drop(filter: Filter): void {
    const messages = this.#network.take(filter);
    if (messages.length === 0) this.say(`nothing was on its way to ${filter.to}`);
    this.#sayLost(messages);
  }

  delay(filter: Filter): void {
    for (const message of this.#network.delay(filter)) this.#sayMoved(message, "is late");
  }

  duplicate(filter: Filter): void {
    for (const message of this.#network.duplicate(filter)) this.#sayMoved(message, "comes twice");
  }

  partition(groups: readonly (readonly number[])[]): void {
    this.#sayLost(this.#network.partition(groups));
  }

  heal(): void {
    this.#network.heal();
  }

  crash(id: number): void {
    this.core(id);
    this.peer(id).crash();
    this.#sayLost(this.#network.setDown(id, true));
  }

  restart(id: number): void {
    const peer = this.peer(id);
    if (peer.core !== undefined) throw new ScenarioError(`peer ${id} is not down`);
    this.#network.setDown(id, false);
    peer.restart();
  }

  /** Until these peers have nothing to do: Readys, messages, writes, entries, round by round. */
  stabilize(ids: readonly number[]): void {
    const peers = ids.length === 0 ? this.#peers : ids.map((id) => this.peer(id));
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (!this.#runRound(peers)) return;
    }
    throw new ScenarioError(`the peers are still busy after ${ROUNDS_MAX} rounds`);
  }

  #runRound(peers: readonly ScenarioPeer[]): boolean {
    let isBusy = false;
    const each = (act: (peer: ScenarioPeer, core: Raft) => boolean): void => {
      for (const peer of peers) if (peer.core !== undefined && act(peer, peer.core)) isBusy = true;
    };
    each((peer, core) => {
      if (!core.hasReady()) return false;
      peer.handleReady(core);
      return true;
    });
    each(({ id }) => {
      if (!this.#network.hasFor(id)) return false;
      for (const message of this.#network.take({ to: id })) this.#step(message);
      return true;
    });
    each((peer, core) => {
      const { hasWrite } = peer;
      while (peer.hasWrite) peer.persist(core);
      return hasWrite;
    });
    each((peer, core) => {
      const { hasApply } = peer;
      while (peer.hasApply) peer.apply(core);
      return hasApply;
    });
    return isBusy;
  }

  #send(message: Message): void {
    const isLost = !this.#network.send(message);
    this.say(`${message.from} ${isLost ? "-x" : "->"} ${message.to} ${describeMessage(message)}`);
  }

  #step(message: Message): void {
    const { type, from, to, term } = message;
    const refusal = this.core(to).step(message);
    if (refusal !== undefined) this.say(`${to} refuses ${type} of term ${term} from ${from}: ${refusal}`);
  }

  #sayMoved(message: Message, how: string): void {
    this.say(`${message.from} -> ${message.to} ${describeMessage(message)} (${how})`);
  }

  #sayLost(messages: readonly Message[]): void {
    for (const message of messages) this.say(`${message.from} -x ${message.to} ${describeMessage(message)}`);
  }
}
