/**
 * The lock group: all its members in one order, and what can only be decided together. Who is new is asked
 * of the others; a clock that leapt is told from a process that slept by looking at the others' clocks; and
 * each is told of the others, so that none can come back empty and pass for new.
 */
import type { Env, Timer } from "../../env/index.ts";
import { CoterieError, quote } from "../../errors.ts";
import { publish } from "../../observe/index.ts";
import { invalidOption } from "../../options.ts";
import type { CloseOptions } from "../../redis/index.ts";
import { areAlike, type Leap, SleepWatch } from "../core/server-clock.ts";
import { Admission, knownValue } from "./admission.ts";
import { byCodeUnit, groupDigest } from "./boot.ts";
import type { MemberHost } from "./host.ts";
import type { MemberInstance } from "./instance.ts";
import { type GroupKeys, groupKeys, type Look } from "./link.ts";
import { Member } from "./member.ts";
import type { GroupSettings, GroupStatus } from "./status.ts";

/** Deadlines of commands for which the opening waits until it is decided who votes. */
const OPENING_DEADLINES = 5;
const SLEEP_LOOK_MS_MAX = 5000;

export class LockGroup implements MemberHost {
  /** In the order of their ids. */
  readonly members: readonly Member[];
  readonly quorum: number;
  readonly env: Env;
  readonly settings: GroupSettings;
  readonly digest: string;
  readonly keys: GroupKeys;
  readonly description: string;
  readonly #admission: Admission;
  readonly #noted: NotedOn[];
  readonly #seen: string[];
  #sleep = new SleepWatch();
  #sleepTimer: Timer | undefined;
  readonly #leaps = new Map<Member, Leap>();
  #isJudging = false;
  #announcedAll = false;
  #closed = false;

  constructor(instances: readonly MemberInstance[], settings: GroupSettings, env: Env) {
    const sorted = instances.toSorted((one, other) => byCodeUnit(one.id, other.id));
    const ids = sorted.map(({ id }) => id);
    checkIds(ids, settings.durable);
    this.env = env;
    this.settings = settings;
    this.quorum = Math.floor(ids.length / 2) + 1;
    this.digest = groupDigest(ids, settings.leaseMsMax);
    this.keys = groupKeys(settings.name);
    this.description = describeGroup(ids, settings.leaseMsMax);
    this.members = sorted.map((instance, at) => new Member(instance, at, this));
    this.#admission = new Admission(this.members, this.quorum, settings);
    this.#noted = ids.map(() => ({ on: "", sinceMs: 0, values: new Map<string, string>(), isNoting: false }));
    this.#seen = ids.map(() => "");
  }

  /**
   * Connects, and waits until it is decided who votes now. Rejects with UNREACHABLE when not one instance
   * answers, and with CONFIG_MISMATCH or INSTANCE_REFUSED when so many are refused that the others are no
   * quorum. Whoever is away is tried again for as long as the group is open.
   */
  async open(signal?: AbortSignal): Promise<void> {
    this.#lookAtSleep();
    const lookMs = Math.max(10, Math.min(SLEEP_LOOK_MS_MAX, this.settings.leaseMsMax / 3));
    this.#sleepTimer = this.env.timers.every(lookMs, () => this.#lookAtSleep());
    await Promise.all(this.members.map(({ instance }) => instance.open(signal)));
    // Those that were connected already had nothing to tell.
    for (const member of this.members) if (member.verdict === undefined) member.examine();
    const decided = new AbortController();
    const bounds = signal === undefined ? decided.signal : AbortSignal.any([decided.signal, signal]);
    void this.#allIdle().then(() => decided.abort());
    await this.env.clock
      .sleep(OPENING_DEADLINES * this.settings.deadlineMs, bounds)
      .catch((error: unknown) => {
        if (!decided.signal.aborted) throw error;
      });
    this.#requireEnough();
  }

  /** Declares these gone for good: what only they know is not waited for. Tokens then rest on clocks. */
  seedWithout(ids: readonly string[]): void {
    const unknown = ids.find((id) => !this.isMember(id));
    if (unknown !== undefined) {
      throw new CoterieError(
        "INVALID_ARGUMENT",
        `seedWithout: ${quote(unknown)} is not in the group ${this.description}`,
        { details: { id: unknown } },
      );
    }
    this.#admission.without(ids);
    for (const member of this.members) member.examine();
  }

  status(): GroupStatus {
    const { digest, members, quorum, settings } = this;
    return {
      name: settings.name,
      quorum,
      digest,
      leaseMsMax: settings.leaseMsMax,
      members: members.map((member) => member.status()),
    };
  }

  /** Stops looking, and closes every instance: up to `graceMs` for commands in flight. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#stop();
    await Promise.all(this.members.map(({ instance }) => instance.close(options)));
  }

  destroy(): void {
    this.#stop();
    for (const { instance } of this.members) instance.destroy();
  }

  // MemberHost

  isMember(id: string): boolean {
    return this.members.some((member) => member.id === id);
  }

  twinOf(at: number): string | undefined {
    const { runId } = this.#memberAt(at);
    const before = this.members.slice(0, at);
    return before.find((other) => other.link !== undefined && other.runId === runId)?.id;
  }

  claim(at: number): Promise<Look | undefined> {
    return this.#admission.claim(this.#memberAt(at));
  }

  readmit(at: number): Promise<Look | undefined> {
    return this.#admission.readmit(this.#memberAt(at));
  }

  announce(at: number, waitMs: number, reason: string): void {
    const { name, assumeNew } = this.settings;
    const { id } = this.#memberAt(at);
    const votes = this.members.some(({ verdict }) => verdict === "member" || verdict === "leapt");
    // Nobody votes: a first installation, or all lost their data. That is one wait, and told once.
    const isWhole = !votes && !assumeNew;
    if (isWhole && this.#announcedAll) return;
    this.#announcedAll ||= isWhole;
    publish("coterie:lock:abstaining", {
      group: name,
      instances: isWhole ? this.members.map((member) => member.id) : [id],
      waitMs,
      reason: isWhole
        ? "no instance of the group may vote yet: it is new, or all of them lost their data"
        : reason,
      option: isWhole ? "assumeNew" : undefined,
    });
  }

  onLeap(at: number, leap: Leap): void {
    this.#leaps.set(this.#memberAt(at), leap);
    if (this.#isJudging) return;
    this.#isJudging = true;
    void this.#judgeLeaps();
  }

  onSettled(at: number): void {
    if (this.#closed) return;
    const { verdict, text, link, runId } = this.#memberAt(at);
    const seen = [link?.connection, runId, verdict, text].join(" ");
    if (seen !== this.#seen[at]) {
      this.#seen[at] = seen;
      for (const other of this.members) {
        const waits = other.verdict === "new" || (other.verdict === "abstaining" && other.waitLeftMs === 0);
        const isTwin = runId !== undefined && other.runId === runId;
        if (other.at !== at && (waits || isTwin)) other.examine();
      }
    }
    for (const member of this.members) void this.#tellOfOthers(member);
  }

  /** Whose clock was it? Ours, when we slept or when all others seem to have leapt by the same. */
  async #judgeLeaps(): Promise<void> {
    const { clock } = this.env;
    const now = clock.now();
    let wasUs = this.#sleep.hasSlept(now - this.settings.leaseMsMax, now, clock.bootNow());
    if (!wasUs) {
      const others = this.members.filter((member) => !this.#leaps.has(member));
      const steady = await Promise.all(others.map((member) => member.isSteady()));
      wasUs = !steady.includes(true) && areAlike([...this.#leaps.values()]);
    }
    const leapt = [...this.#leaps.keys()];
    this.#leaps.clear();
    this.#isJudging = false;
    if (this.#closed) return;
    if (!wasUs) {
      for (const member of leapt) member.accuse();
      return;
    }
    this.#sleep = new SleepWatch();
    this.#lookAtSleep();
    for (const member of this.members) member.absolve();
  }

  /** Notes on one member who the others are, each time that changed or the member may have forgotten it. */
  async #tellOfOthers(member: Member): Promise<void> {
    const noted = this.#noted[member.at] as NotedOn;
    const { link, record, text } = member;
    if (link === undefined || record === undefined || text === null || noted.isNoting) return;
    const on = `${link.connection} ${record.nonce}`;
    if (noted.on !== on) {
      noted.on = on;
      noted.sinceMs = this.env.clock.now();
      noted.values.clear();
      // Whatever happened to it may have happened to all: nothing is noted that was seen before.
      for (const other of this.members) if (other !== member) other.examine();
    }
    const news = new Map<string, string>();
    for (const other of this.members) {
      const isFresh = other.boot !== undefined && other.lookedAtMs >= noted.sinceMs;
      if (other === member || !isFresh || other.record === undefined) continue;
      const value = knownValue(other.record);
      if (noted.values.get(other.id) !== value) news.set(other.id, value);
    }
    if (news.size === 0) return;
    noted.isNoting = true;
    try {
      const isNoted = await link.note(text, news);
      if (isNoted && noted.on === on) for (const [id, value] of news) noted.values.set(id, value);
    } catch (error) {
      member.onNoteFailed(error);
    } finally {
      noted.isNoting = false;
    }
  }

  async #allIdle(): Promise<void> {
    while (!this.#closed && this.members.some((member) => !member.isIdle)) {
      await Promise.all(this.members.map((member) => member.idle()));
    }
  }

  #requireEnough(): void {
    const refusals = this.members.map((member) => member.refusal());
    if (this.members.every(({ instance }) => !instance.available)) {
      const reasons = refusals.map((refusal) => refusal?.message).join("; ");
      throw new CoterieError("UNREACHABLE", `no instance of the lock group can be reached (${reasons})`, {
        details: { instances: this.status().members },
      });
    }
    const refused = refusals.filter(
      (refusal) => refusal?.code === "CONFIG_MISMATCH" || refusal?.code === "INSTANCE_REFUSED",
    );
    if (refused[0] !== undefined && this.members.length - refused.length < this.quorum) throw refused[0];
  }

  #memberAt(at: number): Member {
    return this.members[at] as Member;
  }

  #lookAtSleep(): void {
    const { clock } = this.env;
    this.#sleep.look(clock.now(), clock.bootNow());
  }

  #stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sleepTimer?.cancel();
    for (const member of this.members) member.close();
  }
}

/** What was noted on one member, on this connection and in this membership of its own. */
interface NotedOn {
  on: string;
  /** Since when; what was known of the others before may be void. */
  sinceMs: number;
  readonly values: Map<string, string>;
  isNoting: boolean;
}

/** The group as people read it, in errors and on each instance. */
export function describeGroup(ids: readonly string[], leaseMsMax: number): string {
  return JSON.stringify({ ids, leaseMsMax });
}

function checkIds(ids: readonly string[], durable: readonly string[]): void {
  if (ids.length === 0) throw invalidOption("lock group", "instances", "a list with an element", ids);
  for (const [at, id] of ids.entries()) {
    // A lone surrogate has no encoding: two ids with different ones would look the same to others.
    if (/\p{Surrogate}/u.test(id)) throw invalidOption("lock group", "id", "well-formed text", id);
    if (ids[at - 1] === id) throw invalidOption("lock group", "instances", "a list without an id twice", id);
  }
  const unknown = durable.find((id) => !ids.includes(id));
  if (unknown !== undefined) {
    throw invalidOption("lock group", "durable", `a list of ids of the group (${ids.join(", ")})`, unknown);
  }
}
