/**
 * Claim (S4): a shard that is dead or hangs adds little to the others' answer times. A fixed rate of
 * commands over all keys, whatever the answers: only those of the two other shards are timed, with the
 * third one well, killed, and paused, in rounds. `--quick` makes it short and coarse.
 */
import { openShards, type Shards } from "coterie";
import { startRedis } from "coterie/testing";

import { machine, print, show, summarize, table } from "./support/report.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 2 : 7;
const MEASURE_MS = quick ? 600 : 2500;
const PER_MS = 10;
const KEY_COUNT = 10_000;
const VICTIM = "a";

interface Measured {
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly answered: number;
  readonly refused: number;
}

/** Sends `PER_MS` commands each millisecond and times those that the victim does not own. */
async function measure(shards: Shards): Promise<Measured> {
  const latencies: number[] = [];
  const pending = new Set<Promise<void>>();
  let refused = 0;
  let state = 1;
  const send = async (key: string): Promise<void> => {
    const timed = shards.for(key).id !== VICTIM;
    const startedAt = performance.now();
    try {
      await shards.get(key);
      if (timed) latencies.push((performance.now() - startedAt) * 1000);
    } catch (error) {
      if (timed) throw error;
      refused += 1;
    }
  };
  const endAt = performance.now() + MEASURE_MS;
  while (performance.now() < endAt) {
    for (let n = 0; n < PER_MS; n += 1) {
      state = (state * 1_103_515_245 + 12_345) & 0x7f_ff_ff_ff;
      const one = send(`key:${(state >>> 8) % KEY_COUNT}`).finally(() => pending.delete(one));
      pending.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  latencies.sort((a, b) => a - b);
  const at = (part: number): number => latencies[Math.floor(latencies.length * part)]!;
  return { p50Micros: at(0.5), p99Micros: at(0.99), answered: latencies.length, refused };
}

async function available(shards: Shards): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (shards.status().instances.some(({ state, circuit }) => state !== "ready" || circuit !== "closed")) {
    if (performance.now() > giveUpAt) throw new Error("the shards were not well again within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function main(): Promise<void> {
  await using redis = await startRedis({ count: 3, provider: "process" });
  const instances = redis.urls.map((url, at) => ({ id: "abc"[at]!, url }));
  await using shards = await openShards({ instances, deadlineMs: 200 });
  const victim = redis.instances[0]!;
  const results: Record<"well" | "killed" | "paused", Measured[]> = { well: [], killed: [], paused: [] };
  await measure(shards);
  for (let round = 0; round < ROUNDS; round += 1) {
    results.well.push(await measure(shards));
    await victim.kill();
    results.killed.push(await measure(shards));
    await victim.restart();
    await available(shards);
    await victim.pause();
    results.paused.push(await measure(shards));
    await victim.resume();
    await available(shards);
  }
  print(`## One of three shards down\n\n${machine()}`);
  print(`${PER_MS} GETs a millisecond; ${ROUNDS} rounds of ${MEASURE_MS} ms; median (min-max).`);
  print("Answer times of the two other shards' keys; ratios to the same round with all shards well.\n");
  const rows = Object.entries(results).map(([fault, measured]) => [
    fault,
    show(summarize(measured.map(({ p50Micros }) => p50Micros)), 0),
    show(summarize(measured.map(({ p99Micros }) => p99Micros)), 0),
    show(summarize(measured.map(({ p99Micros }, round) => p99Micros / results.well[round]!.p99Micros))),
    show(summarize(measured.map(({ refused }) => refused)), 0),
  ]);
  print(table(["third shard", "p50 µs", "p99 µs", "p99 ratio", "its refused calls"], rows));
}

await main();
