/**
 * A lock group of one seed: servers, processes, the wires between them, and one clock for all. Everything
 * that happens is noted where it happens: for the checker as history, for people as a trace (when asked
 * for), for the tests as counts of what was met.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";

import type { Env, Random } from "../../../src/env/index.ts";
import type { Messages } from "../../../src/observe/channels.ts";
import { seededRandom, SimClock } from "../../../src/testing/index.ts";
import type { HistoryEvent } from "../lock-history.ts";
import { Counts } from "./counts.ts";
import type { RawReply } from "./lua/engine.ts";
import { plain } from "./redis/compare.ts";
import { SimInstance } from "./instance.ts";
import type { LineSettings } from "./line.ts";
import { type Connection, Direction, type SentRequest, type Wire } from "./network.ts";
import { SimProcess } from "./process.ts";
import { SimServer } from "./server.ts";

export interface WorldPlan {
  readonly seed: number;
  readonly instances: number;
  /** True prints what happens; slow. */
  readonly traces?: boolean;
  readonly line: LineSettings;
  /** How far from right the clocks of processes and servers may run: 0.001 is a tenth of a percent. */
  readonly driftMax: number;
  /** How far servers' clocks are from right at first. */
  readonly aheadMsMax: number;
  readonly delayMs: readonly [number, number];
}

/** What clocks may drift apart and are rounded by, over the time between two exchanges. */
const LATE_MS = 5;

export class SimWorld {
  readonly plan: WorldPlan;
  readonly clock: SimClock = new SimClock();
  readonly random: Random;
  readonly servers: readonly SimServer[];
  readonly processes: SimProcess[] = [];
  readonly history: HistoryEvent[] = [];
  readonly counts: Counts = new Counts();
  readonly lines: string[] = [];
  /** What went wrong that is not for the checker: an error nobody foresaw. */
  readonly problems: string[] = [];
  readonly #wires = new Map<string, Wire>();
  readonly #instances = new Map<SimProcess, SimInstance[]>();
  readonly #startedAt: number;

  constructor(plan: WorldPlan) {
    this.plan = plan;
    this.random = seededRandom(plan.seed);
    this.#startedAt = this.clock.now();
    this.servers = Array.from({ length: plan.instances }, (_, at) => {
      const aheadMs = (this.random.fraction() * 2 - 1) * plan.aheadMsMax;
      return new SimServer("abcde"[at] as string, this.clock, aheadMs, this.#rate());
    });
    for (const server of this.servers) {
      server.onServed = (connection, request, reply) => this.#onServed(server, connection, request, reply);
    }
  }

  /** Milliseconds of true time since the beginning. */
  get now(): number {
    return this.clock.now() - this.#startedAt;
  }

  newProcess(name: string): SimProcess {
    const process = new SimProcess(name, this.clock, this.random, this.#rate());
    this.processes.push(process);
    return process;
  }

  /** Fresh connections of a process to every server. */
  connect(process: SimProcess): SimInstance[] {
    const instances = this.servers.map((server) => {
      const wire = this.wire(process, server);
      const { random, plan } = this;
      return new SimInstance({ process, server, wire, random, settings: plan.line });
    });
    this.#instances.set(process, instances);
    return instances;
  }

  instancesOf(process: SimProcess): readonly SimInstance[] {
    return this.#instances.get(process) ?? [];
  }

  wire(process: SimProcess, server: SimServer): Wire {
    const key = `${process.name} ${server.id}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) {
      const [least, most] = this.plan.delayMs;
      const direction = (): Direction => new Direction(this.clock, this.random, least, most);
      wire = { toServer: direction(), toClient: direction() };
      this.#wires.set(key, wire);
    }
    return wire;
  }

  note(event: HistoryEvent): void {
    this.history.push(event);
    const { event: what, at: _, ...rest } = event;
    this.trace(() => `${what} ${JSON.stringify(rest)}`);
  }

  trace(text: () => string): void {
    if (this.plan.traces === true) this.lines.push(`${this.now.toFixed(3).padStart(9)} ${text()}`);
  }

  fail(what: string): void {
    this.problems.push(what);
    this.trace(() => `PROBLEM ${what}`);
  }

  /** Calls back with each message of the channel until `body` is over. */
  async listening<Name extends keyof Messages>(
    name: Name,
    onMessage: (message: Messages[Name]) => void,
    body: () => Promise<void>,
  ): Promise<void> {
    const own = (message: unknown): void => onMessage(message as Messages[Name]);
    subscribe(name, own);
    try {
      await body();
    } finally {
      unsubscribe(name, own);
    }
  }

  /** For what watches from outside and belongs to no process. */
  get env(): Env {
    return { clock: this.clock, timers: this.clock, random: this.random };
  }

  #onServed(server: SimServer, connection: Connection, request: SentRequest, reply: unknown): void {
    const { name, words, sentAt } = request;
    if (name === "locks-batch" && typeof reply === "string") {
      const waitedMs = this.clock.now() - sentAt;
      if (waitedMs > this.plan.line.deadlineMs + LATE_MS && !server.hasLeapt && isLoneGrant(words, reply)) {
        this.fail(`${server.id} granted ${waitedMs} ms after it was asked: ${words.join(" ")}`);
      }
    }
    if (this.plan.traces !== true || name === "hello" || name === "ping" || name === "info") return;
    const text = JSON.stringify(plain(reply as RawReply));
    const { process, number } = connection;
    this.trace(() => `  ${server.id} < ${process.name}#${number} ${name} ${words.join(" ")} > ${text}`);
  }

  #rate(): number {
    return 1 + (this.random.fraction() * 2 - 1) * this.plan.driftMax;
  }
}

/** L5: a call of one acquire or renewal that was granted. After the keys come six settings, then the op. */
function isLoneGrant(words: readonly string[], reply: string): boolean {
  const [, answer = "", ...more] = reply.split("\n");
  const boot = words.findIndex((word, at) => at > 1 && word.startsWith("1 "));
  const letter = words[boot + 6] ?? "";
  return more.length === 0 && answer.startsWith("+") && /^[am]$/i.test(letter);
}
