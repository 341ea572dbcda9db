/**
 * A hundred thousand messages and more, each plausible and then bent in a field or two, to peers of every
 * role: `step` never throws, terms and commit indexes never fall, nothing committed is replaced, a vote is
 * not taken back, and the peer still works at the end. FUZZ_SEED replays a run.
 */
import { expect, test } from "vitest";

import {
  configOf,
  type Entry,
  type Message,
  MESSAGE_TYPES,
  type RaftStatus,
  REFUSALS,
} from "../../../src/raft/index.ts";
import { seededRandom } from "../../../src/testing/seeded-random.ts";
import {
  bytes,
  candidateOf,
  entriesOf,
  followerOf,
  message,
  type Peer,
  settledLeaderOf,
  type Stage,
} from "../peer.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const PEERS = 2_600;
const MESSAGES_EACH = 40;

const draw = seededRandom(SEED);
const WEIRD: readonly unknown[] = [
  -1,
  0,
  1,
  2,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  "",
  "1",
  null,
  undefined,
  true,
  {},
  [],
];
const FIELDS = [
  "version",
  "type",
  "from",
  "to",
  "term",
  "index",
  "logTerm",
  "commitIndex",
  "entries",
  "reject",
  "hint",
  "context",
  "force",
  "snapshot",
] as const;

function pick<T>(list: readonly T[]): T {
  return list[draw.below(list.length)] as T;
}

/** Who speaks: members, and strangers to some of the groups. Peers 1 and 4 are the ones that listen. */
const OTHERS = [2, 2, 3, 3, 4, 5];

/** Every role, with small logs and different ways of working. */
function stageOf(at: number): Peer {
  const stage: Stage = {
    terms: pick([[], [1], [1, 1, 2], [1, 2, 2, 3]]),
    term: 3 + draw.below(3),
    learners: pick([[], [4]]),
    options: {
      random: draw,
      preVote: draw.below(2) === 0,
      checkQuorum: draw.below(2) === 0,
      overlapsWrites: draw.below(2) === 0,
      snapshotPartsMax: 2,
      inflightMessagesMax: 1 + draw.below(3),
      uncommittedBytesMax: 50,
    },
  };
  if (at % 4 === 0) return settledLeaderOf(stage);
  if (at % 4 === 1) return candidateOf(stage);
  if (at % 4 === 2)
    return followerOf(2, { ...stage, commitIndex: draw.below((stage.terms?.length ?? 0) + 1) });
  return followerOf(2, { ...stage, id: 4, learners: [4] });
}

/** What some peer could say, at or near this peer's state. */
function plausible({ raft }: Peer): Message {
  const { term, lastIndex, commitIndex } = raft.status();
  const type = pick(MESSAGE_TYPES);
  const isFromLeader = type === "append" || type === "heartbeat" || type === "snapshot";
  const index = Math.max(lastIndex - draw.below(4) + 1, 0);
  const said = draw.below(5) === 0 ? term + draw.below(3) : Math.max(term - draw.below(2), 1);
  const logTerm = Math.min(raft.termAt(index) ?? draw.below(4), said);
  const from = isFromLeader && raft.leader !== 0 && draw.below(8) > 0 ? raft.leader : pick(OTHERS);
  const fields: Partial<Message> = {
    term: said,
    index,
    logTerm,
    commitIndex: Math.max(commitIndex + 2 - draw.below(5), 0),
    reject: draw.below(2) === 0,
    force: draw.below(4) === 0,
    hint: Math.max(index - draw.below(4), 0),
    context: draw.below(4),
  };
  if (type === "append" || type === "propose")
    Object.assign(fields, { entries: someEntries(index, logTerm, said) });
  if (type === "snapshot") Object.assign(fields, { snapshot: somePart(lastIndex, Math.min(said, 6)) });
  return message(type, from, raft.peerId, fields);
}

function someEntries(index: number, logTerm: number, term: number): Entry[] {
  let last = Math.max(logTerm, 1);
  const terms = Array.from({ length: draw.below(4) }, () => {
    if (last < term && draw.below(2) === 0) last += 1;
    return last;
  });
  return entriesOf(terms, index + 1);
}

function somePart(lastIndex: number, term: number): Message["snapshot"] {
  const parts = 1 + draw.below(3);
  const config = pick([
    configOf([1, 2, 3]),
    configOf([1, 2, 4], [3]),
    { ...configOf([1, 2]), outgoing: [1, 3] },
  ]);
  const index = Math.max(lastIndex + 3 - draw.below(6), 1);
  return { index, term: 1 + draw.below(term), config, part: draw.below(parts), parts, data: bytes("s") };
}

/** One or two fields, or some within what they hold, are made something else. */
function bent(whole: Message): Message {
  const copy: Record<string, unknown> = { ...whole };
  for (let at = draw.below(3); at > 0; at -= 1) {
    const field = pick(FIELDS);
    if (field === "entries" && whole.entries.length > 0 && draw.below(2) === 0) {
      copy["entries"] = whole.entries.map((entry) => bentInside(entry));
    } else if (field === "snapshot" && whole.snapshot !== undefined && draw.below(2) === 0) {
      copy["snapshot"] = bentInside(whole.snapshot);
    } else copy[field] = pick(WEIRD);
  }
  return copy as unknown as Message;
}

function bentInside(what: object): object {
  const keys = Object.keys(what);
  return draw.below(2) === 0 ? what : { ...what, [pick(keys)]: pick(WEIRD) };
}

/** What must hold from one step to the next. */
function check(
  before: RaftStatus,
  after: RaftStatus,
  committed: readonly (number | undefined)[],
  peer: Peer,
): void {
  const { raft } = peer;
  const isWell =
    after.term >= before.term &&
    after.commitIndex >= before.commitIndex &&
    after.commitIndex <= after.lastIndex &&
    after.appliedIndex >= before.appliedIndex &&
    after.appliedIndex <= after.commitIndex &&
    (after.term > before.term || before.votedFor === 0 || after.votedFor === before.votedFor) &&
    (after.role !== "leader" ||
      (before.role === "leader" && before.term === after.term) ||
      after.votedFor === raft.peerId) &&
    committed.every((term, at) => term === undefined || (raft.termAt(at + 1) ?? term) === term);
  if (!isWell) throw new Error(`FUZZ_SEED=${SEED}: ${JSON.stringify({ before, after, committed })}`);
}

/** Now and then a driver's turn: a tick, a write, or both late. */
function drive(peer: Peer): void {
  const turn = draw.below(6);
  if (turn === 0) peer.raft.tick();
  if (turn <= 3) peer.work();
}

test("no message, however bent, makes a peer throw or lose what it promised", () => {
  const refusals: Record<string, number> = {};
  const roles: Record<string, number> = {};
  let taken = 0;
  for (let at = 0; at < PEERS; at += 1) {
    const peer = stageOf(at);
    let before = peer.raft.status();
    for (let step = 0; step < MESSAGES_EACH; step += 1) {
      const committed = Array.from({ length: Math.min(before.commitIndex, 30) }, (_, i) =>
        peer.raft.termAt(i + 1),
      );
      const one = draw.below(3) === 0 ? plausible(peer) : bent(plausible(peer));
      roles[before.role] = (roles[before.role] ?? 0) + 1;
      try {
        const refusal = peer.raft.step(one);
        taken += refusal === undefined ? 1 : 0;
        if (refusal !== undefined) refusals[refusal] = (refusals[refusal] ?? 0) + 1;
        check(before, peer.raft.status(), committed, peer);
        drive(peer);
        const after = peer.raft.status();
        check(before, after, committed, peer);
        before = after;
      } catch (error) {
        const what = `FUZZ_SEED=${SEED}, peer ${at}, step ${step}: ${JSON.stringify(one)}`;
        throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
      }
    }
    peer.work();
  }

  expect(PEERS * MESSAGES_EACH).toBeGreaterThanOrEqual(100_000);
  // A run that meets nothing but refusals, or none of a kind, shows little.
  const rare = REFUSALS.filter((reason) => reason !== "size" && (refusals[reason] ?? 0) < 100);
  const idle = Object.entries(roles).filter(([, count]) => count < 2_000);
  expect({ SEED, rare, idle, roles: Object.keys(roles).length }).toEqual({
    SEED,
    rare: [],
    idle: [],
    roles: 4,
  });
  expect(taken).toBeGreaterThan(20_000);
});
