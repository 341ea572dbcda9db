/**
 * Clients of the simulation: each does one operation after the other, at whatever peer it believes in, and
 * writes down when it asked, when it was answered and what. A command that got no answer is proposed again
 * under the same stamp, at another peer; when its time is over its outcome is unknown. Values are unique.
 */
import {
  type Command,
  encodeCommand,
  type MetaStore,
  type Outcome,
  type Stamp,
} from "../../src/meta/index.ts";
import { describe, type KeyValueOp } from "../support/linear/key-value.ts";
import type { Operation } from "../support/linear/history.ts";
import type { SimPeer } from "./peer.ts";
import type { World } from "./world.ts";

export interface ClientPlan {
  readonly keys: readonly string[];
  readonly thinkMs: readonly [low: number, high: number];
  readonly wayMs: readonly [low: number, high: number];
  /** No answer for so long: another peer is asked. */
  readonly retryMs: number;
  /** An operation without an answer for so long has an unknown outcome. */
  readonly giveUpMs: number;
  /** Whether commands carry stamps and are proposed again. */
  readonly hasSession: boolean;
}

/** When a command was first applied, by the world's count of events, and what came of it. */
export interface Execution {
  readonly at: number;
  readonly outcome: Outcome;
}

/** What a client asks for, and how it is written down. */
interface Asked {
  readonly op: KeyValueOp;
  readonly command: Command | undefined;
}

export class Client {
  readonly name: number;
  readonly history: Operation<KeyValueOp>[] = [];
  /** Where in the history the operations of unknown outcome stand, and the commands that they were. */
  readonly #open: { readonly at: number; readonly data: Uint8Array }[] = [];
  readonly #world: World;
  readonly #plan: ClientPlan;
  /** Peers that may be asked. */
  readonly #peers: () => readonly SimPeer[];
  /** The revision that this client last saw a key at, and that of what it does not know. */
  readonly #seen = new Map<string, number>();
  #favourite: SimPeer | undefined;
  #session = 0;
  #sequence = 0;
  #values = 0;
  #isStopped = false;
  #isBusy = false;
  retries = 0;

  constructor(name: number, world: World, plan: ClientPlan, peers: () => readonly SimPeer[]) {
    this.name = name;
    this.#world = world;
    this.#plan = plan;
    this.#peers = peers;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** How many operations were answered. */
  get answered(): number {
    return this.history.reduce((sum, { returnedAt }) => sum + (returnedAt === undefined ? 0 : 1), 0);
  }

  /**
   * The history with nothing unknown in it, since a simulation sees what no client can: a command that was
   * applied had its effect by then, and one that never was had none. What was answered stays as it is.
   */
  resolved(executionOf: (data: Uint8Array) => Execution | undefined): readonly Operation<KeyValueOp>[] {
    const known = new Map<number, Operation<KeyValueOp> | undefined>();
    for (const { at, data } of this.#open) {
      const operation = this.history[at] as Operation<KeyValueOp>;
      const execution = executionOf(data);
      known.set(
        at,
        execution && {
          ...operation,
          returnedAt: execution.at,
          op: this.#changeAnswer(operation.op, execution.outcome),
        },
      );
    }
    const resolved = this.history.map((operation, at) => (known.has(at) ? known.get(at) : operation));
    return resolved.filter((operation) => operation !== undefined);
  }

  start(): void {
    this.#isStopped = false;
    this.#think();
  }

  /** Finishes what it is at, and rests. */
  stop(): void {
    this.#isStopped = true;
  }

  #think(): void {
    const [low, high] = this.#plan.thinkMs;
    this.#world.after(this.#world.between(low, high), () => {
      this.#isBusy = !this.#isStopped;
      if (this.#isStopped) return;
      if (this.#plan.hasSession && this.#session === 0) this.#openSession();
      else this.#operate();
    });
  }

  #openSession(): void {
    const call = new Call(this.#world, this.#plan, this.#choosePeer, encodeCommand({ type: "openSession" }));
    call.run((outcome) => {
      if (outcome?.answer?.type === "session") {
        this.#session = outcome.answer.session;
        this.#sequence = 0;
      }
      this.#think();
    });
  }

  #operate(): void {
    const { op, command } = this.#choose();
    const calledAt = this.#world.events;
    if (command === undefined) this.#read(op, calledAt);
    else this.#change(op, command, calledAt);
  }

  #read(op: KeyValueOp, calledAt: number): void {
    const take = (store: MetaStore) => this.#readAnswer(op, store);
    const call = new ReadCall(this.#world, this.#plan, this.#choosePeer, take);
    call.run((answered) => {
      // A read without an answer says nothing.
      if (answered !== undefined) this.#note(calledAt, true, answered);
      this.#think();
    });
  }

  #change(op: KeyValueOp, plain: Command, calledAt: number): void {
    const command = this.#session === 0 ? plain : { ...plain, stamp: this.#nextStamp() };
    const data = encodeCommand(command);
    const call = new Call(this.#world, this.#plan, this.#choosePeer, data);
    call.run((outcome, mayHaveHappened) => {
      this.retries += Math.max(call.attempts - 1, 0);
      const code = outcome?.refusal?.code;
      if (code === "SESSION_UNKNOWN" || code === "SEQUENCE_DISCARDED") this.#session = 0;
      const isKnown = outcome !== undefined && (outcome.ok || code === "CONDITION_FAILED");
      if (isKnown) this.#note(calledAt, true, this.#changeAnswer(op, outcome));
      // A session that is forgotten may have done it before.
      else if (mayHaveHappened) {
        this.#open.push({ at: this.history.length, data });
        this.#note(calledAt, false, op);
      }
      this.#think();
    });
  }

  #note(calledAt: number, isKnown: boolean, op: KeyValueOp): void {
    const returnedAt = isKnown ? this.#world.events : undefined;
    this.history.push({ client: this.name, calledAt, returnedAt, op });
    const line = () => `client ${this.name}: ${describe(op, isKnown)}`;
    this.#world.note(20, this.name, isKnown ? 1 : 0, line);
  }

  #nextStamp(): Stamp {
    this.#sequence += 1;
    return { session: this.#session, sequence: this.#sequence, firstWanted: this.#sequence };
  }

  #choose(): Asked {
    const { keys } = this.#plan;
    const key = this.#world.pick(keys);
    const draw = this.#world.random.below(100);
    if (draw < 35) return { op: { kind: "get", key }, command: undefined };
    if (draw < 42) return { op: { kind: "range", keys }, command: undefined };
    if (draw < 50) return { op: { kind: "delete", key }, command: { type: "delete", key } };
    this.#values += 1;
    const value = `${this.name}.${this.#values}`;
    const bytes = bytesOf(value);
    if (draw < 75) return { op: { kind: "put", key, value }, command: { type: "put", key, value: bytes } };
    const revision = this.#seen.get(key) ?? 0;
    const expected = revision === 0 ? "absent" : { revision };
    if (draw < 90) {
      const command: Command = { type: "put", key, value: bytes, ifRevision: revision };
      return { op: { kind: "compareAndPut", key, expected, value }, command };
    }
    const other = this.#world.pick(keys.filter((one) => one !== key));
    const command: Command = {
      type: "transaction",
      compares: [{ target: "revision", key, operator: "=", operand: revision }],
      thenOps: [key, other].map((one) => ({ type: "put", key: one, value: bytes })),
      elseOps: [],
    };
    const writes = [key, other].map((one) => ({ key: one, value }));
    return { op: { kind: "transaction", compares: [{ key, expected }], writes }, command };
  }

  #readAnswer(op: KeyValueOp, store: MetaStore): KeyValueOp {
    if (op.kind === "get") {
      const record = store.get(op.key);
      this.#seen.set(op.key, record?.revision ?? 0);
      const found = record && { value: textOf(record.value), revision: record.revision };
      return { ...op, answer: { found, revision: store.revision } };
    }
    if (op.kind !== "range") return op;
    const { records } = store.range({ prefix: "key" });
    const found = records.map(({ key, value, revision }) => ({ key, value: textOf(value), revision }));
    return { ...op, answer: { found, revision: store.revision } };
  }

  #changeAnswer(op: KeyValueOp, { ok, answer, revision, refusal }: Outcome): KeyValueOp {
    if (op.kind === "put") {
      this.#seen.set(op.key, revision);
      return { ...op, answer: { revision } };
    }
    if (op.kind === "delete") {
      const existed = answer?.type === "delete" && answer.deletedCount > 0;
      return { ...op, answer: { existed, revision } };
    }
    if (op.kind === "transaction") {
      const isDone = answer?.type === "transaction" && answer.succeeded;
      return { ...op, answer: { isDone, revision } };
    }
    if (op.kind !== "compareAndPut") return op;
    this.#seen.set(op.key, ok ? revision : (refusal?.received ?? 0));
    return { ...op, answer: { isDone: ok, revision } };
  }

  /** Mostly the peer that answered last, now and then another; always another after a silence. */
  readonly #choosePeer = (isRetry: boolean): SimPeer => {
    const stay = !isRetry && this.#favourite !== undefined && this.#world.chance(0.8);
    if (!stay) this.#favourite = this.#world.pick(this.#peers());
    return this.#favourite as SimPeer;
  };
}

/** Elsewhere: another copy of the same proposal may have been taken. */
type Refused = "refused" | "refusedElsewhere";

type ChoosePeer = (isRetry: boolean) => SimPeer;

/** One thing that is asked for until it is answered or its time is over. */
abstract class Asking<Answer> {
  readonly world: World;
  readonly #plan: ClientPlan;
  readonly #choosePeer: ChoosePeer;
  readonly #endsAtMs: number;
  #done: ((answer: Answer | undefined, mayHaveHappened: boolean) => void) | undefined;
  /** Grows with each time of asking: the silence of an earlier one is of no interest. */
  #attempts = 0;
  /** Between a refusal and the next attempt. */
  #isResting = false;
  /** Whether some peer took it, or may have. */
  #isOut = false;

  constructor(world: World, plan: ClientPlan, choosePeer: ChoosePeer) {
    this.world = world;
    this.#plan = plan;
    this.#choosePeer = choosePeer;
    this.#endsAtMs = world.nowMs + plan.giveUpMs;
  }

  get attempts(): number {
    return this.#attempts;
  }

  run(done: (answer: Answer | undefined, mayHaveHappened: boolean) => void): void {
    this.#done = done;
    this.#try();
  }

  /** Asks this peer. */
  protected abstract ask(peer: SimPeer, done: (answer: Answer | Refused) => void): void;

  /** Whether it may be asked for again although it may have happened. */
  protected abstract readonly mayRepeat: boolean;

  #try(): void {
    this.#attempts += 1;
    const attempt = this.#attempts;
    const peer = this.#choosePeer(attempt > 1);
    this.#travel(() => {
      if (this.#done === undefined) return;
      const wasOut = this.#isOut;
      this.#isOut = true;
      this.ask(peer, (answer) => {
        // A refusal in the same breath says that this time it did not happen.
        if (answer === "refused" && this.#attempts === attempt) this.#isOut = wasOut;
        this.#travel(() => this.#answered(attempt, answer));
      });
    });
    this.world.after(this.#plan.retryMs, () => this.#silence(attempt));
  }

  #answered(attempt: number, answer: Answer | Refused): void {
    if (this.#done === undefined) return;
    if (answer !== "refused" && answer !== "refusedElsewhere") this.#finish(answer);
    else if (attempt === this.#attempts && !this.#isResting) this.#again();
  }

  #silence(attempt: number): void {
    if (this.#done !== undefined && attempt === this.#attempts && !this.#isResting) this.#again();
  }

  #again(): void {
    const isOver = this.world.nowMs >= this.#endsAtMs || (this.#isOut && !this.mayRepeat);
    if (isOver) {
      this.#finish(undefined);
      return;
    }
    this.#isResting = true;
    this.world.after(this.world.between(5, 60), () => {
      this.#isResting = false;
      if (this.#done !== undefined) this.#try();
    });
  }

  #finish(answer: Answer | undefined): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(answer, this.#isOut);
  }

  #travel(act: () => void): void {
    const [low, high] = this.#plan.wayMs;
    this.world.after(this.world.between(low, high), act);
  }
}

class Call extends Asking<Outcome> {
  readonly #data: Uint8Array;
  protected readonly mayRepeat: boolean;

  constructor(world: World, plan: ClientPlan, choosePeer: ChoosePeer, data: Uint8Array) {
    super(world, plan, choosePeer);
    this.#data = data;
    this.mayRepeat = plan.hasSession;
  }

  protected ask(peer: SimPeer, done: (answer: Outcome | Refused) => void): void {
    peer.command(this.#data, this.mayRepeat, done);
  }
}

/** The state is read at the peer, in the moment in which it says so. */
class ReadCall extends Asking<KeyValueOp> {
  readonly #take: (store: MetaStore) => KeyValueOp;
  protected readonly mayRepeat: boolean = true;

  constructor(
    world: World,
    plan: ClientPlan,
    choosePeer: ChoosePeer,
    take: (store: MetaStore) => KeyValueOp,
  ) {
    super(world, plan, choosePeer);
    this.#take = take;
  }

  protected ask(peer: SimPeer, done: (answer: KeyValueOp | Refused) => void): void {
    peer.read((store) => done(store === "refused" ? store : this.#take(store)));
  }
}

function bytesOf(value: string): Uint8Array {
  return Uint8Array.from(value, (char) => char.charCodeAt(0));
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
