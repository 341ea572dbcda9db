/**
 * Claim: applying an entry costs microseconds, whatever the number of keys, and the state's hash costs next
 * to nothing. 100,000 keys of 20 characters with values of 100 bytes in one store: put, get, range, snapshot,
 * restore, hash, and the memory that a key takes beyond its own bytes. Then a small store, as simulators
 * have them, with and without sessions. `--quick` takes seconds.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { encodeCommand, MetaStore } from "#meta";

import { machine, print, show, summarize, table } from "./support/report.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 3 : 11;
const MEMORY_ROUNDS = 5;
const KEY_COUNT = quick ? 20_000 : 100_000;
const KEY_CHARS = 20;
const VALUE_BYTES = 100;
const RANGE_KEYS = 100;
const SMALL_KEYS = 100;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Figures by name, one a round. */
const figures = new Map<string, number[]>();

function note(name: string, figure: number): void {
  figures.set(name, [...(figures.get(name) ?? []), figure]);
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Notes what one of `count` repetitions took, in ns. */
function noteEach(name: string, count: number, work: (at: number) => unknown): void {
  const ms = timed(() => {
    for (let at = 0; at < count; at++) work(at);
  });
  note(name, (ms * 1e6) / count);
}

/** After two collections: what the first one frees outside the heap is counted only by the second. */
function usedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** In no order, as keys come; flat one-byte strings, as they are after one look-up. */
function keyOf(at: number): string {
  const number = String((Math.imul(at, 2_654_435_761) >>> 0) % 1e10).padStart(10, "0");
  return Buffer.from(`user:${number}:prof`).toString("latin1").padEnd(KEY_CHARS, "-");
}

function putData(key: string): Uint8Array {
  return encodeCommand({ type: "put", key, value: new Uint8Array(VALUE_BYTES).fill(7) });
}

const keys = Array.from({ length: KEY_COUNT }, (_, at) => keyOf(at));
const puts = keys.map((key) => putData(key));
const mixed = keys.map((_, at) => (at * 7_919) % KEY_COUNT);

function apply(store: MetaStore, data: Uint8Array): void {
  store.apply({ index: store.appliedIndex + 1, term: 1, data });
}

/** Stores that are kept, so that nothing is freed in between; with the fewest events, so that keys count. */
function noteMemory(): void {
  const kept: MetaStore[] = [];
  for (let round = -1; round < MEMORY_ROUNDS; round++) {
    const before = usedBytes();
    const store = new MetaStore({ historyEventsMax: 1 });
    for (const data of puts) apply(store, data);
    kept.push(store);
    const bytes = (usedBytes() - before) / KEY_COUNT;
    if (round >= 0) note("memory of a key beyond its key and value, bytes", bytes - KEY_CHARS - VALUE_BYTES);
  }
  if (kept.some((store) => store.keyCount !== KEY_COUNT)) throw new Error("a store lost keys");
}

function largeRound(): void {
  const store = new MetaStore();
  noteEach("put of a new key, ns", KEY_COUNT, (at) => apply(store, puts[at] as Uint8Array));
  noteEach("put of a key that is there, ns", KEY_COUNT, (at) => {
    apply(store, puts[mixed[at] as number] as Uint8Array);
  });
  noteEach("get, ns", KEY_COUNT, (at) => store.get(keys[mixed[at] as number] as string));
  const rangeCount = KEY_COUNT / 10;
  noteEach("range of 100, ns", rangeCount, (at) => {
    return store.range({ from: keys[at] as string }, { limit: RANGE_KEYS });
  });
  const words = new Int32Array(2);
  noteEach("hash, ns", KEY_COUNT, () => store.hashWords(words));
  note(
    "hash of everything anew, ms",
    timed(() => store.hashFully()),
  );
  let chunks: Uint8Array[] = [];
  note(
    "snapshot, ms",
    timed(() => (chunks = [...store.snapshot()])),
  );
  let restored = store;
  note(
    "restore, ms",
    timed(() => (restored = MetaStore.restore(chunks))),
  );
  if (restored.hash() !== store.hash()) throw new Error("the restored store is another");
  note("snapshot, MB", chunks.reduce((sum, chunk) => sum + chunk.length, 0) / 1e6);
}

function smallRound(): void {
  const count = KEY_COUNT;
  const data = Array.from({ length: count }, (_, at) => puts[at % SMALL_KEYS] as Uint8Array);
  const stamped = Array.from({ length: count }, (_, at) => {
    const stamp = { session: 1, sequence: at + 1, firstWanted: Math.max(1, at - 8) };
    return encodeCommand({
      type: "put",
      key: keys[at % SMALL_KEYS] as string,
      value: new Uint8Array(8),
      stamp,
    });
  });
  const plain = new MetaStore({ historyEventsMax: 1_000 });
  const sessions = new MetaStore({ historyEventsMax: 1_000 });
  noteEach("put among 100 keys, ns", count, (at) => apply(plain, data[at] as Uint8Array));
  apply(sessions, encodeCommand({ type: "openSession" }));
  noteEach("the same in a session, ns", count, (at) => apply(sessions, stamped[at] as Uint8Array));
  noteEach("a new store, ns", 5_000, () => new MetaStore());
}

for (let round = -1; round < ROUNDS; round++) {
  largeRound();
  smallRound();
  // The first round warms up.
  if (round < 0) figures.clear();
}
noteMemory();
print("# The metadata store");
print(`\n${machine()}. ${KEY_COUNT.toLocaleString("en")} keys of ${KEY_CHARS} characters, values of`);
print(`${VALUE_BYTES} bytes; medians and ranges of ${ROUNDS} rounds in one process.\n`);
const digits = (name: string) => (name.endsWith("ms") || name.endsWith("MB") ? 1 : 0);
const rows = [...figures].map(([name, all]) => [name, show(summarize(all), digits(name))]);
print(table(["", "median (range)"], rows));
