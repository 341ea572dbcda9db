/**
 * One Redis as the lock group sees it, over the simulated network: the shape and the manners of the real
 * Instance. Every call settles once within its deadline; nothing is queued and nothing sent twice; silence
 * opens the circuit, and whatever the server says closes it.
 */
import { CoterieError, type ErrorCode } from "../../../src/errors.ts";
import { Histogram } from "../../../src/observe/index.ts";
import type { MemberInstance } from "../../../src/locks/group/instance.ts";
import { commandSpec, Encoded } from "../../../src/redis/index.ts";
import type { Argument, CallOptions, InstanceStatus, Outcome, Reply } from "../../../src/redis/index.ts";
import type { Script, SentArgument } from "../../../src/redis/index.ts";
import type { Timer } from "../../../src/env/index.ts";
import { Line, type LinePorts } from "./line.ts";
import { ErrorReply, type RawReply } from "./lua/engine.ts";
import { bytesOf, plain } from "./redis/compare.ts";
import { SimSubscriber } from "./subscriber.ts";

/** A deadline that is noticed this late waits once more: the answer may be there already. */
const LATE_MS = 10;
const GRACE_MS = 20;
const SILENT_CHECKS_MAX = 4;
const ZERO_COUNTERS = { sent: 0, replied: 0, missed: 0, lost: 0, connected: 0, scriptsSent: 0 };
const NO_ROUND_TRIPS = new Histogram().snapshot();

/** Of a command or script, what is said of it. */
interface What {
  readonly name: string;
  readonly readOnly: boolean;
  readonly words: readonly string[];
}

interface Call {
  readonly name: string;
  readonly readOnly: boolean;
  readonly sentAt: number;
  readonly deadlineMs: number;
  readonly heardBefore: number;
  readonly settle: (reply: RawReply | CoterieError) => void;
  graced: boolean;
  timer: Timer | undefined;
  isSettled: boolean;
}

export class SimInstance implements MemberInstance {
  readonly id: string;
  /** Commands that were sent, and those that nobody answered in time: what a fault must have met. */
  sent = 0;
  missed = 0;
  lost = 0;
  readonly #line: Line;
  readonly #calls = new Set<Call>();
  readonly #listeners = new Set<() => void>();
  #circuit: "closed" | "open" = "closed";
  #heard = 0;
  #heardAt = 0;
  #probe: Timer | undefined;
  #isProbing = false;
  #isClosed = false;
  #subscriber: SimSubscriber | undefined;

  constructor(ports: LinePorts) {
    this.id = ports.server.id;
    this.#line = new Line(
      ports,
      () => this.#onReady(),
      () => this.#onLost(),
    );
  }

  get connections(): number {
    return this.#line.connections;
  }

  get available(): boolean {
    return !this.#isClosed && this.#line.isReady && this.#circuit === "closed";
  }

  get line(): Line {
    return this.#line;
  }

  async open(signal?: AbortSignal): Promise<void> {
    this.#line.connect();
    const decided = new AbortController();
    const stop = this.onChange(() => decided.abort());
    const bounds = signal === undefined ? decided.signal : AbortSignal.any([signal, decided.signal]);
    const { process, settings } = this.#line.ports;
    await process.env.clock.sleep(settings.connectDeadlineMs, bounds).catch((error: unknown) => {
      if (!decided.signal.aborted) throw error;
    });
    stop();
  }

  async close(): Promise<void> {
    this.destroy();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#probe?.cancel();
    this.#line.close();
    this.#subscriber?.destroy();
    this.#failAll();
    this.#tell();
  }

  refusal(): CoterieError | undefined {
    if (this.#isClosed) return this.#error("CLOSED", "is closed");
    if (!this.#line.isReady) return this.#error("UNREACHABLE", "cannot be reached");
    return this.#circuit === "open" ? this.#error("CIRCUIT_OPEN", "does not answer") : undefined;
  }

  status(): InstanceStatus {
    return {
      id: this.id,
      address: this.id,
      state: this.#isClosed ? "closed" : this.#line.isReady ? "ready" : "reconnecting",
      circuit: this.#circuit,
      roundTrip: NO_ROUND_TRIPS,
      lastError: undefined,
      runId: undefined,
      redisVersion: undefined,
      inFlight: this.#calls.size,
      counters: { ...ZERO_COUNTERS, sent: this.sent, missed: this.missed, lost: this.lost },
    };
  }

  call(name: string, args: readonly Argument[], options: CallOptions = {}): Promise<Reply> {
    const { server } = this.#line.ports;
    const words = [name, ...args.map(bytes)];
    const { readOnly } = commandSpec(name);
    return this.#send({ name, readOnly, words }, () => server.redis.execute(words), options);
  }

  async run(
    script: Script,
    keys: readonly SentArgument[],
    args: readonly SentArgument[],
    options: CallOptions = {},
  ): Promise<Reply> {
    const { process, server, settings } = this.#line.ports;
    const deadlineMs = options.deadlineMs ?? settings.deadlineMs;
    const [keyBytes, argBytes] = [apart(keys), apart(args)];
    const run = (hasSource: boolean) => (): RawReply =>
      server.redis.run(script, keyBytes, argBytes, hasSource);
    const startedAt = process.now();
    const { name, readOnly } = script;
    const what = { name, readOnly, words: [...keyBytes, ...argBytes] };
    try {
      return await this.#send(what, run(false), { ...options, deadlineMs });
    } catch (error) {
      if (!CoterieError.is(error, "REPLY_ERROR") || !error.message.includes("NOSCRIPT")) throw error;
      const leftMs = Math.max(1, deadlineMs - (process.now() - startedAt));
      return this.#send(what, run(true), { ...options, deadlineMs: leftMs });
    }
  }

  evaluate(script: Script, keys: Encoded, args: Encoded, deadlineMs: number, outcome: Outcome): void {
    this.run(script, [keys], [args], { deadlineMs }).then(
      (reply) => outcome.succeed(reply),
      (error: Error) => outcome.fail(error),
    );
  }

  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  subscriber(): SimSubscriber {
    this.#subscriber ??= new SimSubscriber(this.#line.ports);
    return this.#subscriber;
  }

  #send({ name, readOnly, words }: What, run: () => RawReply, options: CallOptions): Promise<Reply> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const { process, settings } = this.#line.ports;
    const deadlineMs = options.deadlineMs ?? settings.deadlineMs;
    return new Promise((resolve, reject) => {
      const call: Call = {
        name,
        readOnly,
        sentAt: process.now(),
        deadlineMs,
        heardBefore: this.#heard,
        graced: false,
        timer: undefined,
        isSettled: false,
        settle: (reply) => {
          if (call.isSettled) return;
          call.isSettled = true;
          call.timer?.cancel();
          this.#calls.delete(call);
          if (CoterieError.is(reply)) reject(reply);
          else if (reply instanceof ErrorReply) {
            reject(this.#error("REPLY_ERROR", `refused ${name}: ${reply.text}`));
          } else resolve(plain(reply));
        },
      };
      this.sent += 1;
      this.#calls.add(call);
      this.#watch(call, deadlineMs);
      this.#line.send(name, words, run, (reply) => {
        this.#hear();
        call.settle(reply);
      });
    });
  }

  #watch(call: Call, ms: number): void {
    const { process } = this.#line.ports;
    const dueAt = process.now() + ms;
    call.timer = process.env.timers.after(ms, () => {
      if (process.now() - dueAt > LATE_MS && !call.graced) {
        call.graced = true;
        this.#watch(call, GRACE_MS);
      } else {
        this.#expire(call);
      }
    });
  }

  #expire(call: Call): void {
    this.missed += 1;
    if (call.heardBefore === this.#heard && this.#line.isReady) this.#becomeCircuit("open");
    call.settle(this.#unanswered(call, "its deadline passed"));
  }

  #hear(): void {
    this.#heard += 1;
    this.#heardAt = this.#line.ports.process.now();
    this.#becomeCircuit("closed");
  }

  #becomeCircuit(to: "closed" | "open"): void {
    if (this.#circuit === to) return;
    this.#circuit = to;
    this.#probe?.cancel();
    this.#isProbing = false;
    const { process, settings } = this.#line.ports;
    if (to === "open") this.#probe = process.env.timers.every(settings.healthMs / 4, () => this.#check());
    this.#tell();
  }

  /** While the circuit is open our own PING asks; after long silence the connection itself is given up. */
  #check(): void {
    const { process, server, settings } = this.#line.ports;
    if (!this.#line.isReady) return;
    if (process.now() - this.#heardAt >= SILENT_CHECKS_MAX * settings.healthMs) return this.#line.giveUp();
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#line.send("ping", [], () => server.redis.execute(["PING"]), () => this.#hear());
  }

  #onReady(): void {
    this.#heardAt = this.#line.ports.process.now();
    this.#heard += 1;
    this.#becomeCircuit("closed");
    this.#tell();
  }

  #onLost(): void {
    this.#failAll();
    this.#tell();
  }

  #failAll(): void {
    for (const call of this.#calls) {
      this.lost += 1;
      call.settle(this.#unanswered(call, "the connection was lost"));
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #unanswered(call: Call, why: string): CoterieError {
    return this.#error(call.readOnly ? "NO_ANSWER" : "MAYBE_APPLIED", `did not answer ${call.name}: ${why}`);
  }

  #error(code: ErrorCode, what: string): CoterieError {
    return new CoterieError(code, `instance "${this.id}" ${what}`, { details: { instance: this.id } });
  }
}

function bytes(argument: Argument): string {
  if (typeof argument === "string") return bytesOf(argument);
  return typeof argument === "number" ? String(argument) : Buffer.from(argument).toString("latin1");
}

/** Each argument by itself, as the bytes that the server sees. */
function apart(args: readonly SentArgument[]): string[] {
  const all: string[] = [];
  for (const arg of args) {
    if (arg instanceof Encoded) all.push(...decode(arg));
    else all.push(bytes(arg));
  }
  return all;
}

/** The arguments, as bytes, that were put into RESP. */
function decode({ text }: Encoded): string[] {
  const left = bytesOf(text);
  const all: string[] = [];
  for (let at = 0; at < left.length; ) {
    const start = left.indexOf("\r\n", at) + 2;
    const end = start + Number(left.slice(at + 1, start - 2));
    all.push(left.slice(start, end));
    at = end + 2;
  }
  return all;
}
