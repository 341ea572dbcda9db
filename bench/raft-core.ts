/**
 * Claim: the consensus core is not what a write costs. Three peers in one process, joined by a loopback that
 * hands messages over as they are, logs in memory, no state machine: what is measured is the core alone.
 * In batches, one proposal at a time, and reads; with what each proposal allocates. `--quick` takes seconds.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { systemEnv } from "coterie";
import { configOf, MemoryLog, type Message, Raft } from "coterie/raft";

import { machine, print, type Sample, show, summarize, table } from "./support/report.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 3 : 9;
const COMMAND_BYTES = 100;
/** Snapshots keep the logs short, as a peer would. */
const COMPACT_EACH = 20_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

interface Peer {
  readonly raft: Raft;
  readonly log: MemoryLog;
}

class Group {
  readonly #peers = new Map<number, Peer>();
  readonly #leader: Raft;
  #bus: Message[] = [];
  committed = 0;
  confirmed = 0;

  constructor(size: number) {
    const config = configOf(Array.from({ length: size }, (_, at) => at + 1));
    for (const peerId of config.voters) {
      const log = new MemoryLog(config);
      const raft = new Raft({ peerId, random: systemEnv.random }, log, log.stored());
      this.#peers.set(peerId, { raft, log });
    }
    this.#leader = (this.#peers.get(1) as Peer).raft;
    this.#leader.campaign();
    this.settle();
    if (this.#leader.role !== "leader") throw new Error("nobody leads");
  }

  propose(commands: readonly Uint8Array[]): void {
    const { outcome } = this.#leader.propose(commands);
    if (outcome !== "appended") throw new Error(`a proposal was ${outcome}`);
  }

  read(context: number): void {
    if (this.#leader.readIndex(context) !== undefined) throw new Error("a read was refused");
  }

  /** Until nobody has anything to do. */
  settle(): void {
    let isBusy = true;
    while (isBusy) {
      isBusy = false;
      for (const { raft, log } of this.#peers.values()) {
        while (raft.hasReady()) {
          isBusy = true;
          const ready = raft.ready();
          for (const message of ready.messages) this.#bus.push(message);
          log.write(ready);
          for (const message of ready.messagesAfterSync) this.#bus.push(message);
          if (raft === this.#leader) {
            this.committed += ready.committed.length;
            this.confirmed += ready.reads.length;
          }
          raft.advance(ready);
        }
      }
      const messages = this.#bus;
      this.#bus = [];
      for (const message of messages) (this.#peers.get(message.to) as Peer).raft.step(message);
    }
  }

  compact(): void {
    for (const { raft, log } of this.#peers.values()) {
      const index = raft.appliedIndex;
      log.keep({
        index,
        term: raft.termAt(index) as number,
        config: raft.config,
        parts: [new Uint8Array(1)],
      });
      log.compact(index);
    }
  }
}

/** Proposes so many commands, `batch` at a time, and waits for each batch to be committed everywhere. */
function propose(group: Group, batch: number, total: number): number {
  const command = new Uint8Array(COMMAND_BYTES).fill(7);
  const commands = Array.from({ length: batch }, () => command);
  return measure(total, () => {
    const before = group.committed;
    for (let done = 0; done < total; done += batch) {
      group.propose(commands);
      group.settle();
      if (done % COMPACT_EACH < batch) group.compact();
    }
    if (group.committed - before !== total) throw new Error("a command was not committed");
  });
}

/** Several batches leave before the first answer comes. */
function pipeline(group: Group, batch: number, depth: number, total: number): number {
  const command = new Uint8Array(COMMAND_BYTES).fill(7);
  const commands = Array.from({ length: batch }, () => command);
  return measure(total, () => {
    for (let done = 0; done < total; done += batch * depth) {
      for (let one = 0; one < depth; one += 1) group.propose(commands);
      group.settle();
      if (done % COMPACT_EACH < batch * depth) group.compact();
    }
  });
}

function read(group: Group, batch: number, total: number): number {
  return measure(total, () => {
    const before = group.confirmed;
    for (let done = 0; done < total; done += batch) {
      for (let one = 0; one < batch; one += 1) group.read(done + one + 1);
      group.settle();
    }
    if (group.confirmed - before !== total) throw new Error("a read was not confirmed");
  });
}

/** How many a second. */
function measure(count: number, act: () => void): number {
  collectGarbage();
  const startMs = performance.now();
  act();
  return (count / (performance.now() - startMs)) * 1_000;
}

/** By how much the heap grows for each of so few proposals that nothing is collected meanwhile. */
function allocated(group: Group, batch: number): number {
  const commands = Array.from({ length: batch }, () => new Uint8Array(COMMAND_BYTES));
  const count = 2_000;
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let done = 0; done < count; done += batch) {
    group.propose(commands);
    group.settle();
  }
  return (process.memoryUsage().heapUsed - before) / count;
}

interface Subject {
  readonly name: string;
  readonly goal: string;
  /** Returns how many a second. */
  readonly run: (group: Group, share: number) => number;
}

const SUBJECTS: readonly Subject[] = [
  {
    name: "batches of 1,000",
    goal: "300,000",
    run: (group, share) => propose(group, 1_000, 1_000_000 * share),
  },
  { name: "batches of 100", goal: "300,000", run: (group, share) => propose(group, 100, 500_000 * share) },
  { name: "batches of 10", goal: "", run: (group, share) => propose(group, 10, 200_000 * share) },
  {
    name: "10 batches of 10 in flight",
    goal: "",
    run: (group, share) => pipeline(group, 10, 10, 200_000 * share),
  },
  { name: "one at a time", goal: "50,000", run: (group, share) => propose(group, 1, 100_000 * share) },
  { name: "reads, 100 at a time", goal: "", run: (group, share) => read(group, 100, 500_000 * share) },
  { name: "reads, one at a time", goal: "", run: (group, share) => read(group, 1, 100_000 * share) },
];

print(`${machine()}; 3 peers, ${COMMAND_BYTES} bytes a command, ${ROUNDS} rounds, medians and ranges`);
print();
const samples = new Map<Subject, number[]>(SUBJECTS.map((subject) => [subject, []]));
// The first round warms up.
for (let round = -1; round < ROUNDS; round += 1) {
  for (const subject of SUBJECTS) {
    const perSecond = subject.run(new Group(3), quick ? 0.1 : 1);
    if (round >= 0) samples.get(subject)?.push(perSecond);
  }
}
const rows = SUBJECTS.map((subject) => {
  const speed: Sample = summarize(samples.get(subject) ?? []);
  return [subject.name, show(speed, 0), subject.goal];
});
print(table(["proposals or reads", "a second", "goal"], rows));
print();
for (const batch of [1, 100]) {
  const bytes = allocated(new Group(3), batch);
  print(`allocated per proposal, in all three peers, ${batch} at a time: ${Math.round(bytes)} bytes`);
}
