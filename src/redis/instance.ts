/**
 * One Redis server as the rest of the package sees it: commands with a deadline, scripts by SHA, health.
 * Every call settles once, with a reply or with an error that says whether the command may have run.
 * Nothing is queued while the server is away and nothing is sent twice, so a failed call never runs later.
 *
 * The circuit opens when a command missed its deadline and the server said nothing at all in the
 * meantime, and closes with the first reply; while it is open, calls fail at once and only our own PING
 * asks. Silence is the measure because it cannot be confused: a slow command keeps others waiting too.
 */
import type { Redis } from "ioredis";

import { type Env, systemEnv, type Timer, WAIT_MS_MAX } from "../env/index.ts";
import { CoterieError, throwIfAborted } from "../errors.ts";
import { Counters, Histogram, publish } from "../observe/index.ts";
import { numberField, readOptions } from "../options.ts";
import { abortWith, type CallOptions, invalidCall, NO_OPTIONS } from "./calls.ts";
import {
  type Argument,
  commandSpec,
  type CommandSpec,
  type Encoded,
  needsOwnConnection,
  type Reply,
  type SentArgument,
} from "./commands.ts";
import { addressOf, type InstanceInput, readTarget, type Target } from "./connect.ts";
import { Deadlines } from "./deadlines.ts";
import {
  cannotEncode,
  circuitOpen,
  closedError,
  isUnknownScript,
  plainMessage,
  replyFailure,
  unanswered,
  unreachable,
} from "./failures.ts";
import { checkKeyCount, evalsOf, type Script } from "./script.ts";
import {
  type CircuitState,
  type CloseOptions,
  INSTANCE_COUNTERS,
  type InstanceSettings,
  type InstanceState,
  type InstanceStatus,
} from "./status.ts";
import { coalesceWrites } from "./stream/coalesce.ts";
import { readReplies } from "./stream/replies.ts";
import { commandQueueOf, queuedBytesOf, socketOf } from "./stream/socket.ts";
import { Subscriber } from "./subscriber.ts";
import { type CommandOwner, countArguments, isReplyError, Promised } from "./wire.ts";
import { type Outcome, WireCommand } from "./wire.ts";

const PING = commandSpec("ping");
const CLOSE_SHAPE = { graceMs: numberField(1000, { min: 0, max: WAIT_MS_MAX }) };
/** A PING unanswered and nothing heard for as long as this many checks: the connection itself is suspect. */
const SILENT_CHECKS_MAX = 4;

export class Instance implements CommandOwner {
  readonly id: string;
  readonly weight: number;
  readonly zone: string | undefined;
  /**
   * Our own ioredis client, for what has no method here. Its commands have no deadline, and they share the
   * connection: no MULTI, SUBSCRIBE or SELECT on it, and do not close it.
   */
  readonly client: Redis;

  readonly #env: Env;
  readonly #settings: InstanceSettings;
  readonly #deadlines: Deadlines;
  #state: InstanceState = "connecting";
  #circuit: CircuitState = "closed";
  #circuitSince = 0;
  /** How much the server had said during this handshake, and since when no more. */
  #handshakeBytes = 0;
  #handshakeHeardAt = 0;
  #check: Timer | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #probe: WireCommand | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;
  #onDrained: (() => void) | undefined;
  #inFlight = 0;
  #subscriber: Subscriber | undefined;
  readonly #listeners = new Set<() => void>();
  /** Grows with everything that the server says: the measure of silence. */
  #heard = 0;
  #heardAt = 0;
  /** False where the connection's stream cannot be reached: then only replies are heard. */
  #listens = false;
  /** What was waiting to be sent at the last health check. */
  #queuedBefore = 0;
  #probes = 0;
  readonly #counters = new Counters(INSTANCE_COUNTERS);
  readonly #roundTrips = new Histogram();
  #lastError: string | undefined;
  #runId: string | undefined;
  #redisVersion: string | undefined;

  constructor(target: Target, settings: InstanceSettings, env: Env = systemEnv) {
    this.id = target.id;
    this.weight = target.weight;
    this.zone = target.zone;
    this.client = target.client;
    this.#settings = settings;
    this.#env = env;
    this.#deadlines = new Deadlines(env, (command) => this.#expire(command));
    this.client.on("error", (error: unknown) => {
      this.#lastError = plainMessage(error);
    });
    this.client.on("connect", () => this.#onConnection());
    this.client.on("ready", () => this.#becomeReady());
    this.client.on("close", () => this.#becomeLost());
  }

  get state(): InstanceState {
    return this.#state;
  }

  get circuit(): CircuitState {
    return this.#circuit;
  }

  /** How often it connected: another number than before means that a cursor or a cache is void. */
  get connections(): number {
    return this.#counters.get("connected");
  }

  /** True when a call would be sent now rather than refused at once. */
  get available(): boolean {
    return this.#state === "ready" && this.#circuit === "closed";
  }

  /**
   * Starts connecting, and goes on trying for as long as the instance is open. Resolves when the first
   * attempt is decided, either way, within `connectDeadlineMs`.
   */
  async open(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal, `opening instance "${this.id}"`);
    const { healthMs, connectDeadlineMs } = this.#settings;
    this.#check = this.#env.timers.every(healthMs / 4, () => this.#checkHealth());
    const decided = new AbortController();
    const bounds = signal === undefined ? decided.signal : AbortSignal.any([decided.signal, signal]);
    this.client.connect().then(
      () => decided.abort(),
      (error: unknown) => {
        this.#lastError ??= plainMessage(error);
        decided.abort();
      },
    );
    await this.#env.clock.sleep(connectDeadlineMs, bounds).catch((error: unknown) => {
      if (!decided.signal.aborted) throw error;
    });
  }

  /** Sends one command. Refuses those that would block or change the shared connection. */
  call(name: string, args: readonly Argument[], options: CallOptions = NO_OPTIONS): Promise<Reply> {
    const spec = commandSpec(name);
    if (needsOwnConnection(spec, args)) {
      return Promise.reject(
        new CoterieError(
          "INVALID_ARGUMENT",
          `${spec.name.toUpperCase()} blocks or changes a connection that others share; ` +
            "give it a client of its own",
          { details: { command: spec.name } },
        ),
      );
    }
    return this.send(spec, args, options);
  }

  /** Runs a script by its SHA, sending the source when the server does not know it. */
  async run(
    script: Script,
    keys: readonly SentArgument[],
    args: readonly SentArgument[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<Reply> {
    checkKeyCount(script, keys.length);
    const startedAt = this.#env.clock.now();
    const rest = [countArguments(keys), ...keys, ...args];
    const [bySha, bySource] = evalsOf(script);
    try {
      return await this.send(bySha, [script.sha, ...rest], options);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      this.#counters.add("scriptsSent");
      const allowedMs = options.deadlineMs ?? this.#settings.deadlineMs;
      const deadlineMs = Math.max(1, allowedMs - (this.#env.clock.now() - startedAt));
      return this.send(bySource, [script.source, ...rest], { ...options, deadlineMs });
    }
  }

  /** `run` for what is in RESP, without what promises cost; `outcome` hears later, never within this call. */
  evaluate(script: Script, keys: Encoded, args: Encoded, deadlineMs: number, outcome: Outcome): void {
    checkKeyCount(script, keys.count);
    const refusal = this.refusal();
    if (refusal !== undefined) return process.nextTick(() => outcome.fail(refusal));
    const startedAt = this.#env.clock.now();
    const [bySha, bySource] = evalsOf(script);
    const send = (spec: CommandSpec, text: string, ms: number, to: Outcome): void =>
      this.#dispatch(new WireCommand(this, spec, [text, keys.count, keys, args], false, to), ms);
    const fail = (error: Error): void => {
      if (!isUnknownScript(error)) return outcome.fail(error);
      this.#counters.add("scriptsSent");
      const leftMs = Math.max(1, deadlineMs - (this.#env.clock.now() - startedAt));
      send(bySource, script.source, leftMs, outcome);
    };
    send(bySha, script.sha, deadlineMs, { succeed: (reply) => outcome.succeed(reply), fail });
  }

  /** `call` for a command that is known to be safe on a shared connection: the hot path. */
  send(spec: CommandSpec, args: readonly SentArgument[], options: CallOptions = NO_OPTIONS): Promise<Reply> {
    const refusal = invalidCall(spec, args, options) ?? this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const outcome = new Promised();
    let command: WireCommand;
    try {
      command = new WireCommand(this, spec, args, options.reply === "bytes", outcome);
    } catch (error) {
      return Promise.reject(cannotEncode(spec, error));
    }
    if (options.signal !== undefined) abortWith(command, options.signal, outcome.promise);
    this.#dispatch(command, options.deadlineMs ?? this.#settings.deadlineMs);
    return outcome.promise;
  }

  /** Why a call made now would not be sent; undefined when it would be. */
  refusal(): CoterieError | undefined {
    if (this.#closing) return closedError(this.id);
    if (this.#state !== "ready") return unreachable(this.id, this.#state, this.#lastError);
    const { healthMs, inFlightMax } = this.#settings;
    if (this.#circuit === "open") {
      return circuitOpen(this.id, this.#env.clock.now() - this.#circuitSince, healthMs);
    }
    if (this.#inFlight < inFlightMax) return undefined;
    return new CoterieError(
      "OVERLOADED",
      `instance "${this.id}" has ${this.#inFlight} commands in flight, ${inFlightMax} are allowed`,
      { details: { instance: this.id, inFlightMax } },
    );
  }

  status(): InstanceStatus {
    return {
      id: this.id,
      address: addressOf(this.client),
      state: this.#state,
      circuit: this.#circuit,
      roundTrip: this.#roundTrips.snapshot(),
      lastError: this.#lastError,
      runId: this.#runId,
      redisVersion: this.#redisVersion,
      inFlight: this.#inFlight,
      counters: this.#counters.snapshot(),
    };
  }

  /** Calls back whenever `available` or `connections` may have changed; returns how to stop that. */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** The messages of channels, over a second connection: made on the first call, closed with the instance. */
  subscriber(): Subscriber {
    if (this.#subscriber !== undefined) return this.#subscriber;
    this.#subscriber = new Subscriber(this.id, this.client, this.#settings, this.#env);
    if (this.#closing) this.#subscriber.destroy();
    return this.#subscriber;
  }

  /** Refuses new calls, waits up to `graceMs` (default 1,000) for those in flight, and cuts. */
  async close(options: CloseOptions = {}): Promise<void> {
    const { graceMs } = readOptions("close", options, CLOSE_SHAPE);
    this.#closed ??= this.#close(graceMs);
    await this.#closed;
  }

  /** Cuts the connection now; calls in flight fail with an error that says whether they may have run. */
  destroy(): void {
    if (this.#state === "closed") return;
    this.#closing = true;
    this.#check?.cancel();
    this.#subscriber?.destroy();
    this.#becomeState("closed");
    this.client.disconnect();
    this.#deadlines.close();
  }

  // CommandOwner

  onReply(command: WireCommand): void {
    this.#counters.add("replied");
    if (!this.#listens) this.#hear();
    if (command === this.#probe) {
      this.#roundTrips.record(this.#env.clock.now() - this.#checkedAt);
      this.#probe = undefined;
    }
  }

  onDone(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onDrained?.();
  }

  toError(command: WireCommand, error: unknown): Error {
    if (isReplyError(error)) return replyFailure(this.id, command.name, error);
    if (!command.written) return unreachable(this.id, this.#state, this.#lastError ?? plainMessage(error));
    this.#counters.add("lost");
    return unanswered(this.id, command, "the connection was lost", { reason: "connection" });
  }

  async #close(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.#inFlight > 0 && this.#state !== "closed") {
      const drained = new AbortController();
      this.#onDrained = () => drained.abort();
      await this.#env.clock.sleep(graceMs, drained.signal).catch((error: unknown) => {
        if (!CoterieError.is(error, "ABORTED")) throw error;
      });
    }
    this.destroy();
  }

  #dispatch(command: WireCommand, deadlineMs: number): void {
    this.#inFlight += 1;
    this.#counters.add("sent");
    command.heardBefore = this.#heard;
    this.client.sendCommand(command as never);
    if (!command.settled) this.#deadlines.add(command, deadlineMs);
  }

  #expire(command: WireCommand): void {
    this.#counters.add("missed");
    const isSilent = command.heardBefore === this.#heard && !this.#isSending();
    if (isSilent && this.#state === "ready") this.#becomeCircuit("open");
    command.settleWith(
      unanswered(this.id, command, "its deadline passed", { reason: "deadline" }),
    );
  }

  #onConnection(): void {
    this.#handshakeBytes = 0;
    this.#handshakeHeardAt = this.#env.clock.now();
    const socket = socketOf(this.client);
    if (socket !== undefined) coalesceWrites(socket);
  }

  /** Hears whenever the server says anything, and reads replies where that is possible. */
  #listen(): void {
    const socket = socketOf(this.client);
    const queue = commandQueueOf(this.client);
    this.#listens = socket !== undefined;
    if (socket === undefined) return;
    if (queue !== undefined) readReplies(socket, queue, (error) => this.#becomeBroken(plainMessage(error)));
    socket.on("data", () => this.#hear());
  }

  #hear(): void {
    this.#heard += 1;
    this.#heardAt = this.#env.clock.now();
    if (this.#circuit === "open") this.#becomeCircuit("closed");
  }

  /** True while the server takes what we send, slowly: then it cannot have answered yet. */
  #isSending(): boolean {
    const queuedBytes = queuedBytesOf(this.client);
    return queuedBytes > 0 && queuedBytes !== this.#queuedBefore;
  }

  /** What was heard on this connection, or was not, makes it useless: take another. */
  #becomeBroken(why: string): void {
    this.#lastError = why;
    this.client.disconnect(true);
  }

  #becomeReady(): void {
    if (this.#closing) return;
    this.#listen();
    this.#lastError = undefined;
    this.#probe = undefined;
    this.#becomeCircuit("closed");
    this.#counters.add("connected");
    this.#becomeState("ready");
    void this.#identify();
  }

  #becomeLost(): void {
    this.#probe = undefined;
    if (this.#state !== "closed") this.#becomeState("reconnecting");
  }

  #becomeState(to: InstanceState): void {
    const from = this.#state;
    if (from === to) return;
    this.#state = to;
    publish("coterie:instance:state", { instance: this.id, from, to, error: this.#lastError });
    this.#tell();
  }

  #becomeCircuit(to: CircuitState): void {
    const from = this.#circuit;
    if (from === to) return;
    this.#circuit = to;
    this.#circuitSince = this.#env.clock.now();
    publish("coterie:shard:circuit", { instance: this.id, from, to });
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Asks who answers: another run id than before means that what it held may be gone. */
  async #identify(): Promise<void> {
    try {
      const info = String(await this.send(commandSpec("info"), ["server"]));
      const runId = /^run_id:(\w+)/m.exec(info)?.[1];
      const runIdBefore = this.#runId;
      this.#redisVersion = /^redis_version:(\S+)/m.exec(info)?.[1];
      this.#runId = runId;
      if (runId !== undefined && runIdBefore !== undefined && runId !== runIdBefore) {
        publish("coterie:instance:restarted", { instance: this.id, runId, runIdBefore });
      }
    } catch (error) {
      // A user without the right to INFO is well served all the same.
      if (!CoterieError.is(error, "REPLY_ERROR")) this.#lastError = plainMessage(error);
    }
  }

  #checkHealth(): void {
    const now = this.#env.clock.now();
    const isSending = this.#isSending();
    this.#queuedBefore = queuedBytesOf(this.client);
    const { healthMs, connectDeadlineMs } = this.#settings;
    if (this.#state === "ready") {
      const silentMs = now - Math.max(this.#checkedAt, this.#heardAt);
      if (this.#probe === undefined) {
        if (this.#circuit === "open" || now - this.#checkedAt >= healthMs) this.#ping(now);
      } else if (silentMs >= SILENT_CHECKS_MAX * healthMs && !isSending) {
        this.#becomeBroken("the connection fell silent");
      }
      return;
    }
    if (this.client.status === "end") {
      this.client.connect().catch((error: unknown) => {
        this.#lastError = plainMessage(error);
      });
      return;
    }
    if (this.client.status === "connect") this.#checkHandshake(now, connectDeadlineMs);
  }

  /** A server that took the connection and then says nothing: ioredis would wait for ever. */
  #checkHandshake(now: number, connectDeadlineMs: number): void {
    const bytes = socketOf(this.client)?.bytesRead ?? 0;
    if (bytes !== this.#handshakeBytes) {
      this.#handshakeBytes = bytes;
      this.#handshakeHeardAt = now;
    } else if (now - this.#handshakeHeardAt > connectDeadlineMs) {
      this.#becomeBroken("the handshake got no answer");
    }
  }

  #checkNonce(isOurs: boolean): void {
    if (!isOurs) this.#becomeBroken("replies are out of step with commands");
  }

  /** At most one PING is on its way; it counts as answered whenever its reply comes. */
  #ping(now: number): void {
    this.#checkedAt = now;
    this.#probes += 1;
    const nonce = `coterie:${this.#probes}`;
    const outcome = new Promised();
    const probe = new WireCommand(this, PING, [nonce], false, outcome);
    this.#probe = probe;
    this.#dispatch(probe, this.#settings.deadlineMs);
    outcome.promise.then(
      (reply) => this.#checkNonce(reply === nonce),
      (error: unknown) => {
        this.#lastError = plainMessage(error);
      },
    );
  }
}

/** Checks the input and makes the instance; it connects when it is opened. */
export function createInstance(
  place: string,
  input: InstanceInput,
  settings: InstanceSettings,
  env: Env = systemEnv,
): Instance {
  return new Instance(readTarget(place, input, settings.connectDeadlineMs), settings, env);
}
