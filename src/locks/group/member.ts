/**
 * One instance as a member of the lock group: may a lock script be sent to it now, and what is its clock?
 * Each connection begins with a handshake, and whatever puts the boot record in doubt begins one again; a
 * look every few seconds notices what nobody told. All that is learnt holds for that connection alone.
 *
 * It must never let anything be sent on a connection whose server and record it has not seen, and it never
 * trusts a wait that another clock counted.
 */
import type { Env } from "../../env/index.ts";
import { CoterieError } from "../../errors.ts";
import { publish } from "../../observe/index.ts";
import { ServerClock } from "../core/server-clock.ts";
import {
  type BootRecord,
  type BootState,
  type BootVerdict,
  encodeBoot,
  judgeBoot,
  mismatch,
  Quarantine,
  reasonFor,
} from "./boot.ts";
import { type Facts, refused, sameServer, unfit, unsettled, warningsOf } from "./facts.ts";
import type { MemberHost } from "./host.ts";
import type { MemberInstance } from "./instance.ts";
import { Link, type Look, type Swap } from "./link.ts";
import { Rounds } from "./rounds.ts";
import type { MemberState, MemberStatus } from "./status.ts";

/** Changes that one look may lead to; more would mean that somebody else changes the record all the time. */
const STEPS_MAX = 6;
const LOOK_MS_MAX = 5000;
/** A server's own words are asked for again this often: somebody may have set an eviction policy. */
const FACTS_MS = 30_000;

export class Member {
  readonly id: string;
  /** Its place in the group. */
  readonly at: number;
  readonly instance: MemberInstance;
  readonly #host: MemberHost;
  readonly #env: Env;
  readonly #clock: ServerClock;
  readonly #listeners = new Set<() => void>();
  readonly #stopListening: () => void;
  #closed = false;

  #link: Link | undefined;
  #facts: Facts | undefined;
  #factsAt = 0;
  #text: string | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #verdict: BootVerdict | undefined;
  #refused: CoterieError | undefined;
  /** What scripts compare; undefined unless everything is well. */
  #boot: string | undefined;
  readonly #quarantine: Quarantine;
  #why: string | undefined;
  #lastState: MemberState = "connecting";
  #lastError: CoterieError | undefined;

  /** The nonce of the membership in which its clock seemed to leap; another one clears it. */
  #suspectUnder: string | undefined;
  /** The others' clocks went on as ours did, so its own has leapt. */
  #isAccused = false;
  #leaps = 0;
  /** It was a replica under this run id, and what it holds may come from another server. */
  #replicaUnder: string | undefined;

  readonly #rounds: Rounds;

  constructor(instance: MemberInstance, at: number, host: MemberHost) {
    this.id = instance.id;
    this.at = at;
    this.instance = instance;
    this.#host = host;
    this.#env = host.env;
    this.#clock = new ServerClock(host.settings.leaseMsMax);
    this.#quarantine = new Quarantine(host.settings.leaseMsMax);
    this.#rounds = new Rounds(host.env, {
      mayRun: () => !this.#closed && instance.available,
      run: () => this.#pass(),
      onFailure: (error) => this.#note(error),
      onDone: () => this.#settle(),
      pauseMs: () => this.#pauseMs(),
    });
    this.#stopListening = instance.onChange(() => this.#onInstanceChange());
  }

  /** The record that every script compares; undefined while nothing may be sent. */
  get boot(): string | undefined {
    return this.#link?.isCurrent === true ? this.#boot : undefined;
  }

  /** Why nothing may be sent now; undefined when something may. */
  refusal(): CoterieError | undefined {
    const ofInstance = this.instance.refusal();
    if (ofInstance !== undefined) return ofInstance;
    if (this.boot !== undefined) return undefined;
    if (this.#refused !== undefined) return this.#refused;
    if (this.#state() === "connecting") return unsettled(this.id, this.#lastError);
    const retryAfterMs = Math.max(this.waitLeftMs, 1);
    const why = this.#reasonInWords();
    return new CoterieError("ABSTAINING", `instance "${this.id}" abstains: ${why}`, {
      details: { instance: this.id, reason: why, waitMs: this.waitLeftMs, retryAfterMs },
    });
  }

  /** The server's clock at local time `x`, in microseconds: not later than it really is. */
  serverTime(x: number): number {
    return this.#clock.least(x);
  }

  /** The best guess of the same, for the times of tickets; NaN while nothing was heard. */
  serverTimeGuess(x: number): number {
    return this.#clock.isKnown ? this.#clock.guess(x) : Number.NaN;
  }

  /**
   * Takes the TIME of a script's reply, sent at local `a` and received at `b`. False: it proves that the
   * server's clock leapt, or that we were suspended, so the reply must not be counted.
   */
  heard(serverUs: number, a: number, b: number): boolean {
    if (this.#closed) return false;
    const leap = this.#clock.hear(serverUs, a, b);
    if (leap === undefined) return this.#suspectUnder === undefined;
    if (this.#verdict?.is !== "member") return false;
    this.#leaps += 1;
    this.#suspectUnder = this.#verdict.record.nonce;
    this.#settle();
    this.#host.onLeap(this.at, leap);
    return false;
  }

  /** A script found another record than ours, or no primary: nothing is sent before we have looked again. */
  doubt(): void {
    this.#boot = undefined;
    this.#factsAt = Number.NEGATIVE_INFINITY;
    this.#tell();
    this.examine();
  }

  /** Calls back when it may have become usable or unusable; returns how to stop that. */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  status(): MemberStatus {
    const facts = this.#facts;
    const { clock } = this.#env;
    const offsetMs = Math.round(this.serverTimeGuess(clock.now()) / 1000 - clock.wallNow());
    const state = this.#state();
    const durable = this.record?.durable ?? false;
    return {
      id: this.id,
      address: this.instance.status().address,
      state,
      reason: state === "member" ? undefined : this.refusal()?.message,
      waitMs: state === "abstaining" ? this.waitLeftMs : 0,
      runId: facts?.runId,
      product: facts?.product,
      clockOffsetMs: Number.isNaN(offsetMs) ? undefined : offsetMs,
      leaps: this.#leaps,
      durable,
      warnings: facts === undefined ? [] : warningsOf(facts, this.#isDeclaredDurable(), durable),
    };
  }

  // For the group.

  /** The connection on which it was seen to be one of ours; undefined when there is none now. */
  get link(): Link | undefined {
    const { is = "foreign" } = this.#verdict ?? {};
    const isOurs = is !== "foreign" && this.#refused === undefined;
    return isOurs && this.instance.available && this.#link?.isCurrent === true ? this.#link : undefined;
  }

  /** What its record means, as last seen. */
  get verdict(): BootVerdict["is"] | undefined {
    return this.#verdict?.is;
  }

  get record(): BootRecord | undefined {
    return this.#verdict === undefined || this.#verdict.is === "absent" ? undefined : this.#verdict.record;
  }

  /** When the question was sent that its record was the answer to. */
  get lookedAtMs(): number {
    return this.#lookedAtMs;
  }

  get text(): string | null {
    return this.#text;
  }

  get runId(): string | undefined {
    return this.#link?.isCurrent === true ? this.#facts?.runId : undefined;
  }

  /** Milliseconds until old leases are over; 0 once they are, or when it does not wait for that. */
  get waitLeftMs(): number {
    return this.#quarantine.leftMs(this.#env.clock.now());
  }

  /** Why it does not vote, told by who knows. */
  explain(why: string): void {
    this.#why = why;
  }

  /** A record for this run of the server, with a fresh nonce unless one is given. */
  nextRecord(state: BootState, changes: Partial<BootRecord> = {}): BootRecord {
    const { settings, digest } = this.#host;
    return {
      leaseMsMax: settings.leaseMsMax,
      digest,
      id: this.id,
      runId: this.#facts?.runId ?? "",
      durable: false,
      nonce: this.#env.random.hex(8),
      state,
      ...changes,
    };
  }

  /** One exchange of clocks, now. False when the server did not answer or its clock leapt. */
  async isSteady(): Promise<boolean> {
    const { link } = this;
    if (link === undefined || !this.#clock.isKnown) return false;
    try {
      const { serverUs, sentMs, receivedMs } = await link.time();
      return this.heard(serverUs, sentMs, receivedMs);
    } catch (error) {
      this.#note(error);
      return false;
    }
  }

  /** The others' clocks agree with ours, so its own has leapt: it abstains until old leases are over. */
  accuse(): void {
    this.#isAccused = true;
    this.examine();
  }

  /** It was us: what we knew of its clock is void, and so is the suspicion. */
  absolve(): void {
    this.#clock.drop();
    this.#suspectUnder = undefined;
    this.#settle();
    this.examine();
  }

  /** Looks at the record, and does what it calls for. */
  examine(): void {
    this.#rounds.ask();
  }

  get isIdle(): boolean {
    return this.#rounds.isIdle;
  }

  /** What is known of others could not be noted on it; that is tried again after the next look. */
  onNoteFailed(error: unknown): void {
    if (CoterieError.is(error)) this.#lastError = error;
  }

  /** Resolves when nothing is being examined. */
  idle(): Promise<void> {
    return this.#rounds.idle();
  }

  close(): void {
    this.#closed = true;
    this.#boot = undefined;
    this.#rounds.close();
    this.#stopListening();
    this.#tell();
  }

  async #pass(): Promise<void> {
    const link = await this.#shakeHands();
    let found: Look | undefined = await link.look();
    for (let step = 0; found !== undefined && step < STEPS_MAX && !this.#closed; step += 1) {
      this.#take(link, found);
      found = await this.#act(link);
    }
  }

  /** Asks the server who it is, on a new connection and then from time to time. */
  async #shakeHands(): Promise<Link> {
    const { settings, keys } = this.#host;
    const now = this.#env.clock.now();
    const isNew = this.#link?.isCurrent !== true;
    let link = this.#link as Link;
    if (isNew || this.#refused !== undefined || now - this.#factsAt >= FACTS_MS) {
      if (isNew) link = new Link(this.instance, keys, settings.deadlineMs, this.#env.clock);
      this.#learn(link, await link.facts(), now);
    }
    const facts = this.#facts as Facts;
    const twin = this.#host.twinOf(this.at);
    const problem = unfit(this.id, facts) ?? (twin === undefined ? undefined : sameServer(this.id, twin));
    if (problem !== undefined) throw problem;
    return link;
  }

  #learn(link: Link, facts: Facts, now: number): void {
    const runIdBefore = this.#facts?.runId;
    const isAnotherRun = facts.runId !== runIdBefore;
    if (isAnotherRun && !this.#isDeclaredDurable()) this.#clock.drop();
    if (isAnotherRun || link !== this.#link) {
      this.#boot = undefined;
      this.#verdict = undefined;
    }
    this.#link = link;
    this.#facts = facts;
    this.#factsAt = now;
    if (facts.role !== "master") this.#replicaUnder = facts.runId;
  }

  /** What was found, on the connection on which it was found. */
  #take(link: Link, { record, serverUs, sentMs, receivedMs }: Look): void {
    if (!link.isCurrent || link !== this.#link) throw unsettled(this.id, this.#lastError);
    const { settings, digest } = this.#host;
    const own = { leaseMsMax: settings.leaseMsMax, digest, id: this.id };
    if (record !== this.#boot) this.#boot = undefined;
    this.#text = record;
    this.#lookedAtMs = sentMs;
    this.#verdict = judgeBoot(record, own, (this.#facts as Facts).runId);
    const { is } = this.#verdict;
    const isNew = this.#quarantine.observe(this.#verdict, receivedMs);
    if (isNew) this.#host.announce(this.at, this.waitLeftMs, this.#why ?? reasonFor(is));
    if (is === "member") {
      this.#why = undefined;
      if (this.#verdict.record.nonce !== this.#suspectUnder) {
        this.#suspectUnder = undefined;
        this.#isAccused = false;
      }
    }
    this.heard(serverUs, sentMs, receivedMs);
  }

  /** Does what the record calls for; what then stands there, or undefined when there is nothing to do. */
  async #act(link: Link): Promise<Look | undefined> {
    const verdict = this.#verdict as BootVerdict;
    this.#refused = undefined;
    switch (verdict.is) {
      case "foreign":
        throw await this.#mismatch(link, verdict.record);
      case "absent":
        await link.describe(this.#host.description);
        return this.#host.settings.assumeNew
          ? this.#swap(link, "new")
          : this.#swap(link, "abstaining", "it had no boot record: it is new, or was emptied");
      case "new":
        if (this.#host.settings.assumeNew) return this.#host.claim(this.at);
        return this.#swap(link, "abstaining", "it is new, or was emptied");
      case "restarted":
        return this.#afterRestart(link, verdict.record);
      case "leapt":
        if (this.waitLeftMs > 0) return undefined;
        await link.sweep(this.#text as string);
        return this.#swap(link, "member", undefined, { durable: verdict.record.durable });
      case "abstaining":
        return this.waitLeftMs > 0 ? undefined : this.#host.readmit(this.at);
      case "member":
        return this.#keep(link, verdict.record);
      default:
        return undefined;
    }
  }

  async #afterRestart(link: Link, record: BootRecord): Promise<Swap> {
    const wasDurable = record.state === "member" && record.durable && this.#isDeclaredDurable();
    const keeps = wasDurable && (await this.#isDurable(link)) === true;
    return keeps
      ? this.#swap(link, "member", undefined, { durable: true, nonce: record.nonce })
      : this.#swap(link, "abstaining", reasonFor("restarted"));
  }

  async #keep(link: Link, record: BootRecord): Promise<Swap | undefined> {
    const { durable, nonce } = record;
    if (this.#replicaUnder === record.runId) {
      this.#replicaUnder = undefined;
      return this.#swap(link, "abstaining", "it was a replica meanwhile, and may have forgotten locks");
    }
    if (this.#isAccused) return this.#swap(link, "leapt", reasonFor("leapt"), { durable });
    if (!this.#isDeclaredDurable()) return undefined;
    const isDurable = await this.#isDurable(link);
    if (isDurable === undefined || isDurable === durable) return undefined;
    return this.#swap(link, "member", undefined, { durable: isDurable, nonce });
  }

  async #swap(link: Link, state: BootState, why?: string, changes?: Partial<BootRecord>): Promise<Swap> {
    const swap = await link.swap(this.#text, encodeBoot(this.nextRecord(state, changes)));
    if (swap.done && why !== undefined) this.#why = why;
    return swap;
  }

  #isDeclaredDurable(): boolean {
    return this.#host.settings.durable.includes(this.id);
  }

  /** Undefined where the server does not let its settings be read. */
  async #isDurable(link: Link): Promise<boolean | undefined> {
    try {
      return await link.isDurable(this.#facts as Facts);
    } catch (error) {
      if (!CoterieError.is(error, "REPLY_ERROR")) throw error;
      this.#lastError = error;
      return undefined;
    }
  }

  async #mismatch(link: Link, record: BootRecord | undefined): Promise<CoterieError> {
    const { digest, description } = this.#host;
    if (record !== undefined && record.digest === digest && this.#host.isMember(record.id)) {
      return sameServer(this.id, record.id);
    }
    return mismatch({
      id: this.id,
      text: this.#text,
      record,
      registered: await link.description(),
      given: description,
      digest,
    });
  }

  #note(error: unknown): void {
    const failure = CoterieError.is(error)
      ? error
      : new CoterieError("INVARIANT", `instance "${this.id}": ${String(error)}`, { cause: error });
    this.#lastError = failure;
    const { code, details } = failure;
    if (code === "INSTANCE_REFUSED" || code === "CONFIG_MISMATCH") this.#refused = failure;
    if (code === "READONLY" && this.#facts !== undefined) this.#replicaUnder = this.#facts.runId;
    if (code === "REPLY_ERROR" && details["reply"] === "NOPERM") {
      this.#refused = refused(this.id, "rights", `its user lacks a right: ${failure.message}`);
    }
  }

  #onInstanceChange(): void {
    if (this.instance.available) this.examine();
    this.#settle();
    this.#tell();
  }

  /** Decides anew whether anything may be sent, and tells whom that concerns. */
  #settle(): void {
    const isUsable =
      !this.#closed &&
      this.link !== undefined &&
      this.#verdict?.is === "member" &&
      this.#suspectUnder === undefined &&
      this.#clock.isKnown;
    const boot = isUsable ? (this.#text as string) : undefined;
    const isSame = boot === this.#boot;
    this.#boot = boot;
    const state = this.#state();
    const from = this.#lastState;
    this.#lastState = state;
    if (state !== from) {
      const reason = state === "member" ? undefined : this.refusal()?.message;
      const { name } = this.#host.settings;
      publish("coterie:lock:member", { group: name, instance: this.id, from, to: state, reason });
    }
    if (!isSame || state !== from) this.#tell();
    this.#host.onSettled(this.at);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Milliseconds until the next look. */
  #pauseMs(): number {
    const { leaseMsMax } = this.#host.settings;
    const lookMs = Math.max(10, Math.min(LOOK_MS_MAX, leaseMsMax / 3));
    const pollMs = Math.max(20, Math.min(1000, leaseMsMax / 20));
    if (this.#refused !== undefined) return lookMs;
    if (this.#verdict?.is === "member") return lookMs;
    return this.waitLeftMs > 0 ? Math.min(pollMs, this.waitLeftMs) : pollMs;
  }

  #state(): MemberState {
    if (!this.instance.available) return this.instance.connections === 0 ? "connecting" : "unreachable";
    if (this.#refused !== undefined) return "refused";
    if (this.link === undefined) return "connecting";
    if (this.boot !== undefined) return "member";
    return this.#verdict?.is === "member" && this.#suspectUnder === undefined ? "connecting" : "abstaining";
  }

  #reasonInWords(): string {
    const seen = this.#suspectUnder === undefined ? this.#verdict?.is : "leapt";
    const why = this.#why ?? reasonFor(seen);
    const leftMs = this.waitLeftMs;
    return leftMs > 0 ? `${why}; old leases are over in ${leftMs} ms` : why;
  }
}
