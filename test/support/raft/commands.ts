/**
 * The commands of the transcripts; `test/scenarios/README.md` describes each. A command reads its words to
 * the end, then acts on the cluster, which says what happens.
 */
import type { ChangeKind, PeerChange, Proposed, Transition } from "../../../src/raft/index.ts";
import type { Cluster } from "./cluster.ts";
import {
  describeConfig,
  describeEntries,
  describeMessage,
  describeProgress,
  describeStatus,
} from "./describe.ts";
import { readOptions } from "./options.ts";
import type { Words } from "./words.ts";

type Command = (cluster: Cluster, words: Words) => void;

const ENCODER = new TextEncoder();
const KINDS: ReadonlyMap<string, ChangeKind> = new Map([
  ["voter", "addVoter"],
  ["learner", "addLearner"],
  ["remove", "remove"],
]);
const TRANSITIONS: readonly Transition[] = ["auto", "implicit", "explicit"];

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["add-peers", addPeers],
  ["campaign", (cluster, words) => each(cluster, words, (id) => cluster.core(id).campaign())],
  ["tick", tick],
  ["heartbeat", (cluster, words) => each(cluster, words, (id) => cluster.core(id).tick())],
  ["propose", propose],
  ["change", change],
  ["read", read],
  ["transfer", transfer],
  ["forget-leader", (cluster, words) => each(cluster, words, (id) => cluster.core(id).forgetLeader())],
  ["unreachable", unreachable],
  ["snapshot-status", snapshotStatus],
  ["snapshot", snapshot],
  ["compact", compact],
  ["stabilize", stabilize],
  ["ready", (cluster, words) => each(cluster, words, (id) => cluster.peer(id).handleReady(cluster.core(id)))],
  ["persist", (cluster, words) => repeat(cluster, words, (id) => cluster.peer(id).persist(cluster.core(id)))],
  ["apply", (cluster, words) => repeat(cluster, words, (id) => cluster.peer(id).apply(cluster.core(id)))],
  ["deliver", (cluster, words) => move(cluster, words, (filter) => cluster.deliver(filter))],
  ["drop", (cluster, words) => move(cluster, words, (filter) => cluster.drop(filter))],
  ["delay", (cluster, words) => move(cluster, words, (filter) => cluster.delay(filter))],
  ["duplicate", (cluster, words) => move(cluster, words, (filter) => cluster.duplicate(filter))],
  ["partition", partition],
  ["heal", heal],
  ["crash", (cluster, words) => each(cluster, words, (id) => cluster.crash(id))],
  ["restart", (cluster, words) => each(cluster, words, (id) => cluster.restart(id))],
  ["status", status],
  ["peers", peers],
  ["log", (cluster, words) => each(cluster, words, (id) => sayLog(cluster, id))],
  ["messages", messages],
]);

export function runCommand(cluster: Cluster, words: Words): void {
  const command = COMMANDS.get(words.name);
  if (command === undefined) words.fail("there is no such command");
  command(cluster, words);
}

function addPeers(cluster: Cluster, words: Words): void {
  const isEmpty = words.flag("empty");
  const learners = words.listOption("learners");
  const count = words.number("how many");
  cluster.addPeers(count, learners, isEmpty, readOptions(words));
}

function tick(cluster: Cluster, words: Words): void {
  const isAll = words.flag("all");
  const ids = isAll ? cluster.peers.map(({ id }) => id) : [words.peer()];
  const times = words.numberOr(1, "how often");
  words.end();
  for (let time = 0; time < times; time += 1) {
    for (const id of ids) cluster.peer(id).core?.tick();
  }
}

function propose(cluster: Cluster, words: Words): void {
  const id = words.peer();
  const commands = words.rest("a command").map((text) => ENCODER.encode(text));
  sayProposed(cluster, id, cluster.core(id).propose(commands));
}

function change(cluster: Cluster, words: Words): void {
  const id = words.peer();
  const transition = TRANSITIONS.find((name) => words.flag(name)) ?? "auto";
  const changes: PeerChange[] = [];
  if (!words.flag("leave")) {
    for (const word of words.rest("a change or leave")) {
      const [name = "", value = ""] = word.split("=");
      const kind = KINDS.get(name) ?? words.fail(`a change is voter, learner or remove, got ${word}`);
      changes.push({ kind, peerId: words.count(value, name) });
    }
  }
  words.end();
  sayProposed(cluster, id, cluster.core(id).proposeChange({ transition, changes }));
}

function read(cluster: Cluster, words: Words): void {
  const id = words.peer();
  for (const word of words.rest("a read's number")) {
    const context = words.count(word, "a read's number");
    const refusal = cluster.core(id).readIndex(context);
    if (refusal !== undefined) cluster.say(`${id} refuses read ${context}: ${refusal}`);
  }
}

function transfer(cluster: Cluster, words: Words): void {
  const [id, to] = [words.peer(), words.peer()];
  words.end();
  const refusal = cluster.core(id).transferLeadership(to);
  if (refusal !== undefined) cluster.say(`${id} refuses: ${refusal}`);
}

function unreachable(cluster: Cluster, words: Words): void {
  const [id, to] = [words.peer(), words.peer()];
  words.end();
  cluster.core(id).reportUnreachable(to);
}

function snapshotStatus(cluster: Cluster, words: Words): void {
  const [id, to] = [words.peer(), words.peer()];
  const hasArrived = words.flag("arrived");
  if (!hasArrived && !words.flag("lost")) words.fail("a snapshot arrived or is lost");
  words.end();
  cluster.core(id).reportSnapshot(to, hasArrived);
}

function snapshot(cluster: Cluster, words: Words): void {
  const parts = words.countOption("parts") ?? 1;
  each(cluster, words, (id) => cluster.peer(id).snapshot(cluster.core(id), parts));
}

function compact(cluster: Cluster, words: Words): void {
  const id = words.peer();
  const index = words.isEmpty ? undefined : words.number("an index");
  words.end();
  cluster.peer(id).compact(index);
}

function stabilize(cluster: Cluster, words: Words): void {
  const ids = words.peers();
  words.end();
  cluster.stabilize(ids);
}

function move(
  cluster: Cluster,
  words: Words,
  act: (filter: Parameters<Cluster["deliver"]>[0]) => void,
): void {
  const filter = { from: words.countOption("from"), types: words.types(), count: words.countOption("count") };
  each(cluster, words, (to) => act({ ...filter, to }));
}

function partition(cluster: Cluster, words: Words): void {
  const groups = words
    .rest("a group")
    .join(" ")
    .split("|")
    .map((group) => group.trim().split(" ").map((word) => words.count(word, "a peer's id")));
  if (groups.length < 2) words.fail("groups are divided by |");
  cluster.partition(groups);
}

function heal(cluster: Cluster, words: Words): void {
  words.end();
  cluster.heal();
}

function status(cluster: Cluster, words: Words): void {
  each(cluster, words, (id) => {
    const found = cluster.core(id).status();
    cluster.say(describeStatus(found));
    cluster.say(describeConfig(found.config));
    for (const progress of found.progress) {
      if (progress.peerId !== id) cluster.say(describeProgress(progress));
    }
  });
}

function peers(cluster: Cluster, words: Words): void {
  words.end();
  for (const { id, core } of cluster.peers) {
    cluster.say(core === undefined ? `${id} is down` : describeStatus(core.status()));
  }
}

function messages(cluster: Cluster, words: Words): void {
  words.end();
  for (const message of cluster.inFlight) {
    cluster.say(`${message.from} -> ${message.to} ${describeMessage(message)}`);
  }
}

function sayLog(cluster: Cluster, id: number): void {
  const { entries } = cluster.peer(id);
  cluster.say(`${id} has ${entries.length === 0 ? "no entries" : describeEntries(entries)}`);
}

function sayProposed(cluster: Cluster, id: number, proposed: Proposed): void {
  if (proposed.outcome === "appended") {
    cluster.say(`${id} appends from ${proposed.firstIndex}@${proposed.term}`);
  } else if (proposed.outcome === "forwarded") {
    cluster.say(`${id} forwards it as ${proposed.context}`);
  } else {
    const { reason, problem } = proposed;
    cluster.say(`${id} refuses: ${reason}${problem === undefined ? "" : `, ${problem}`}`);
  }
}

/** For each of the peers that the command names; one at least. */
function each(cluster: Cluster, words: Words, act: (id: number) => void): void {
  const ids = words.peers();
  words.end();
  if (ids.length === 0) words.fail("a peer is missing");
  for (const id of ids) {
    cluster.peer(id);
    act(id);
  }
}

function repeat(cluster: Cluster, words: Words, act: (id: number) => void): void {
  const times = words.countOption("count") ?? 1;
  each(cluster, words, (id) => {
    for (let time = 0; time < times; time += 1) act(id);
  });
}
