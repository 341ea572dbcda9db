/**
 * Claim: a lookup costs what hashing the key costs, whatever the number of members; shares are even, and
 * changes move little. All subjects run in one process, on the same keys, round by round in turn; every
 * ratio is taken within a round. Shares and movement are exact, not sampled. `--quick` takes seconds.
 */
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import { compileFunction, runInNewContext } from "node:vm";

import { arcOf, HashRing, type RingOptions } from "coterie/ring";

import { machine, print, type Sample, show, summarize, table } from "./support/report.ts";
import { type Moved, movedBetween, RIVALS, sharesOf } from "./support/ring-rivals.ts";

const quick = process.argv.includes("--quick");
const SIZES = quick ? [3, 10, 100] : [3, 10, 100, 1_000, 10_000];
/** 28 to 29 is where the arithmetic of `hashring` gives every member other points than before. */
const MOVEMENT_SIZES = [3, 10, 28, 100];
const ROUNDS = quick ? 5 : 15;
const KEY_COUNT = 20_000;
const KEY_CHARS = 20;
const MOVEMENT_TRIALS = quick ? 4 : 20;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789:-";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

type Lookup = (key: string) => unknown;

interface Subject {
  readonly name: string;
  readonly lookup: Lookup;
  /** A loop of its own, compiled apart, so that one subject's types do not slow down another's. */
  readonly loop: (lookup: Lookup, keys: readonly string[]) => unknown;
}

/** Random keys by a small generator of their own, so that every run has the same; flat one-byte strings. */
function randomKeys(): string[] {
  let state = 1;
  const next = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  return Array.from({ length: KEY_COUNT }, () => {
    const text = Array.from({ length: KEY_CHARS }, () => ALPHABET[next() % ALPHABET.length]).join("");
    return Buffer.from(text).toString("latin1");
  });
}

function subject(name: string, lookup: Lookup): Subject {
  const source = "let last; for (let i = 0; i < keys.length; i++) last = lookup(keys[i]); return last;";
  return { name, lookup, loop: compileFunction(source, ["lookup", "keys"]) as Subject["loop"] };
}

function idsOf(count: number, set = 0): string[] {
  return Array.from({ length: count }, (_, i) => `10.${set}.${i >> 8}.${i & 255}:6379`);
}

function nanosecondsOf({ loop, lookup }: Subject, keys: readonly string[], passes: number): number {
  const start = performance.now();
  for (let pass = 0; pass < passes; pass++) loop(lookup, keys);
  return ((performance.now() - start) * 1e6) / (passes * keys.length);
}

/** For each subject one figure per round, in another order each round. */
function lookupTimes(subjects: readonly Subject[], keys: readonly string[]): Map<string, number[]> {
  const times = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  const passes = new Map(subjects.map((each) => [each.name, passesFor(each, keys)]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i] of subjects.entries()) {
      const each = subjects[(i + round) % subjects.length] as Subject;
      times.get(each.name)?.push(nanosecondsOf(each, keys, passes.get(each.name) ?? 1));
    }
  }
  return times;
}

/** Warms the subject up, and says how many passes over the keys take about 5 ms. */
function passesFor(each: Subject, keys: readonly string[]): number {
  nanosecondsOf(each, keys, 3);
  return Math.max(1, Math.round(5e6 / (nanosecondsOf(each, keys, 2) * keys.length)));
}

function ratios(times: readonly number[], over: readonly number[]): Sample {
  return summarize(times.map((time, round) => time / (over[round] ?? Number.NaN)));
}

const HASH = "the bare hash (`arcOf`)";
const OWNER = "**`owner`**";
const INDEX = "**`ownerIndex`**";

function printLookups(keys: readonly string[]): void {
  print(`\n## Lookups of ${KEY_CHARS}-character keys, ns (median and range of ${ROUNDS} rounds)\n`);
  const rows = new Map<string, string[]>();
  for (const size of SIZES) {
    const ring = new HashRing(idsOf(size));
    const rivals = RIVALS.filter(({ sizeMax }) => size <= sizeMax);
    const times = lookupTimes(
      [
        subject(HASH, (key) => arcOf(key)),
        subject(OWNER, (key) => ring.owner(key)),
        subject(INDEX, (key) => ring.ownerIndex(key)),
        ...rivals.map(({ name, build }) => subject(name, build(idsOf(size)).lookup)),
      ],
      keys,
    );
    const timesOf = (name: string) => times.get(name) ?? [];
    const put = (name: string, cell: string) => rows.set(name, [...(rows.get(name) ?? []), cell]);
    for (const name of [HASH, OWNER, INDEX]) put(name, show(summarize(timesOf(name)), 0));
    put("`owner` / bare hash", show(ratios(timesOf(OWNER), timesOf(HASH))));
    for (const { name } of rivals) {
      put(name, show(summarize(timesOf(name)), 0));
      put(`${name} / \`owner\``, show(ratios(timesOf(name), timesOf(OWNER)), 1));
    }
  }
  print(tableOf("members", rows));
}

/** Rows of one cell per size, as long as the sizes that the subject was measured at. */
function tableOf(first: string, rows: ReadonlyMap<string, readonly string[]>): string {
  const head = [first, ...SIZES.map((size) => size.toLocaleString("en"))];
  const padded = [...rows].map(([name, cells]) => [name, ...SIZES.map((_, i) => cells[i] ?? "-")]);
  return table(head, padded);
}

function printBuilds(): void {
  const count = quick ? 3 : 5;
  print(`\n## Building: ms (median and range of ${count}), and bytes that one ring keeps\n`);
  const rows = new Map<string, string[]>();
  const builders = [
    { name: "**arcs**", sizeMax: 10_000, build: (ids: readonly string[]): unknown => new HashRing(ids) },
    ...RIVALS,
  ];
  for (const size of SIZES) {
    for (const { name, sizeMax, build } of builders) {
      if (size > sizeMax) continue;
      const ids = idsOf(size);
      const times = summarize(Array.from({ length: count }, () => timed(() => build(ids))));
      rows.set(`${name}, ms`, [...(rows.get(`${name}, ms`) ?? []), show(times, 1)]);
      const bytes = bytesOf(() => build(ids));
      rows.set(`${name}, bytes`, [...(rows.get(`${name}, bytes`) ?? []), bytes]);
    }
  }
  print(tableOf("members", rows));
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** What each of some rings keeps in memory; the ids are not counted, for the caller has them anyway. */
function bytesOf(build: () => unknown): string {
  const kept: unknown[] = [build()];
  const before = usedBytes();
  const deadline = performance.now() + 300;
  while (kept.length < 51 && (kept.length < 3 || performance.now() < deadline)) kept.push(build());
  const bytes = (usedBytes() - before) / (kept.length - 1);
  return Math.round(bytes).toLocaleString("en");
}

/** After two collections: what the first one frees outside the heap is counted only by the second. */
function usedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function imbalance(shares: ReadonlyMap<string, number>): string {
  return (Math.max(...shares.values()) * shares.size).toFixed(3);
}

/** Rivals whose points can be read. */
function exactRivals(): typeof RIVALS {
  return RIVALS.filter(({ build }) => build(["a"]).points !== undefined);
}

function printBalance(): void {
  print("\n## Balance: greatest share / mean share, exact\n");
  const rows = new Map<string, string[]>();
  for (const size of SIZES) {
    const ids = idsOf(size);
    const put = (name: string, cell: string) => rows.set(name, [...(rows.get(name) ?? []), cell]);
    put("**arcs**", imbalance(new HashRing(ids).shares()));
    put("least possible with 16,384 arcs", (Math.ceil(16_384 / size) / (16_384 / size)).toFixed(3));
    for (const { name, sizeMax, build } of exactRivals()) {
      if (size <= sizeMax) put(name, imbalance(sharesOf(build(ids).points ?? [])));
    }
  }
  print(tableOf("members", rows));
}

interface JoinAndLeave {
  readonly join: Moved;
  readonly leave: Moved;
}

type Mover = (fewer: readonly string[], more: readonly string[]) => JoinAndLeave;

function moverOf(options: RingOptions): Mover {
  return (fewer, more) => {
    const [small, large] = [new HashRing(fewer, options), new HashRing(more, options)];
    return { join: small.movement(large), leave: large.movement(small) };
  };
}

const rebalancing: Mover = (fewer, more) => {
  const small = new HashRing(fewer);
  const large = small.rebalance(more);
  return { join: small.movement(large), leave: large.movement(large.rebalance(more.slice(1))) };
};

/** Movement relative to the fair share of the one who comes or goes: 1 is ideal. */
function printMovement(): void {
  print(`\n## Movement when one member joins or leaves (${MOVEMENT_TRIALS} sets of members each)\n`);
  print("Moved / ideal, mean (worst); then what moves between members that stay, in % of the keys.\n");
  const movers: [string, Mover][] = [
    ["**arcs**, `with` and `without`", moverOf({})],
    ["**arcs**, `rebalance`", rebalancing],
    ...exactRivals().map(({ name, build }): [string, Mover] => [
      name,
      (fewer, more) => {
        const [small, large] = [build(fewer).points ?? [], build(more).points ?? []];
        return { join: movedBetween(small, large), leave: movedBetween(large, small) };
      },
    ]),
  ];
  const sizes = MOVEMENT_SIZES;
  const rows: string[][] = [];
  for (const [name, mover] of movers) {
    const cells = sizes.map((size) => movementCells(mover, size));
    rows.push([`${name}: moved / ideal`, ...cells.map(([moved]) => moved)]);
    rows.push([`${name}: between stayers, %`, ...cells.map(([, stayers]) => stayers)]);
  }
  print(table(["members", ...sizes.map((size) => `${size} to ${size + 1} and back`)], rows));
}

function movementCells(mover: Mover, size: number): [moved: string, betweenStayers: string] {
  const moved = Array.from({ length: MOVEMENT_TRIALS }, (_, set) => {
    const ids = idsOf(size + 1, set);
    const { join, leave } = mover(ids.slice(0, -1), ids);
    return [join, leave];
  }).flat();
  return [
    meanAndWorst(moved.map(({ share }) => share * (size + 1)), 2),
    meanAndWorst(moved.map(({ betweenStayers }) => betweenStayers * 100), 3),
  ];
}

function meanAndWorst(values: readonly number[], digits: number): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `${mean.toFixed(digits)} (${Math.max(...values).toFixed(digits)})`;
}

/** Last, because from here on the engine has seen several layouts, which costs every lookup a little. */
function printLayouts(keys: readonly string[]): void {
  const size = 100;
  print(`\n## The layouts beside each other, ${size} members\n`);
  const layouts = ["arcs", "points", "ketama", "maglev", "jump"] as const;
  const rings = layouts.map((layout) => [layout, new HashRing(idsOf(size), { layout })] as const);
  const times = lookupTimes(rings.map(([layout, ring]) => subject(layout, (key) => ring.owner(key))), keys);
  const rows = rings.map(([layout, ring]) => [
    layout,
    show(summarize(times.get(layout) ?? []), 0),
    imbalance(ring.shares()),
    ...movementCells(moverOf({ layout }), size),
    bytesOf(() => new HashRing(idsOf(size), { layout })),
  ]);
  print(table(["layout", "lookup, ns", "max / mean", "moved / ideal", "between stayers, %", "bytes"], rows));
}

function versions(): string {
  const require = createRequire(import.meta.url);
  const named = ["hashring", "ketama", "consistent-hash", "effect"].map((name) => {
    const { version } = require(`${name}/package.json`) as { readonly version: string };
    return `${name} ${version}`;
  });
  return named.join(", ");
}

const keys = randomKeys();
print("# The ring");
print(`\n${machine()}. ${versions()}. One process; rounds take turns; ranges in brackets.`);
printLookups(keys);
printBuilds();
printBalance();
printMovement();
printLayouts(keys);
