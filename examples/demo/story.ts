/**
 * What happens in the demo, in order: a key is routed, its Redis is killed, the others go on, it comes
 * back. Its one idea: everything that is told was just seen, and what was seen is what the claims judge.
 */
import { systemEnv } from "coterie";

import type { Observations, Outage } from "./claims.ts";
import type { Load } from "./load.ts";
import type { LockObservations } from "./locks/claims.ts";
import { Counting } from "./locks/counting.ts";
import { tellOfLocks } from "./locks/story.ts";
import type { Screen } from "./screen.ts";
import { type App, ITEM, type Stage } from "./stage.ts";
import type { Answer, Counts } from "./tally.ts";

const RECOVERY_MS_MAX = 15_000;
const RECOVERY_LOOK_MS = 20;

export interface Telling {
  readonly stage: Stage;
  readonly load: Load;
  readonly screen: Screen;
  /** How long each scene lasts. */
  readonly sceneMs: number;
  readonly signal: AbortSignal;
}

/** What was seen, of the shards and of the locks. */
export interface Seen {
  readonly observations: Observations;
  readonly locks: LockObservations;
}

export async function tell(telling: Telling): Promise<Seen> {
  const { stage, load } = telling;
  const counting = new Counting(stage.client, stage.counter, load);
  try {
    return await tellAll(telling, counting);
  } finally {
    await counting.stop();
  }
}

async function tellAll(telling: Telling, counting: Counting): Promise<Seen> {
  const { stage, load, screen, sceneMs, signal } = telling;
  const owner = await routeAnItem(telling);
  screen.say(`The load starts: ${stage.owners.size} items, half writes, half reads, through all processes.`);
  await load.start();
  screen.say(`Every process counts "${stage.counter}" up under a lock: read, think, write.`);
  counting.start(stage.apps);
  await systemEnv.clock.sleep(sceneMs, signal);
  const seenOfLocks = await tellOfLocks(telling);
  if (!stage.canKill) {
    screen.say("This Redis is not the demo's own: nothing is killed, and no outage claimed.");
  }
  const outage = stage.canKill ? await killAndRestart(telling, owner) : undefined;
  await systemEnv.clock.sleep(sceneMs / 2, signal);
  await counting.stop();
  const counted = await observeCounting(telling, counting, outage);
  const observations = { ...(await observe(telling)), outage };
  return { observations, locks: { ...counted, ...seenOfLocks } };
}

async function observeCounting(
  { stage: { apps, client } }: Telling,
  { item, increments, refused, duringOutage }: Counting,
  outage: Outage | undefined,
): Promise<Omit<LockObservations, "handover" | "jobs">> {
  const { value } = await client.json(`${apps[0]?.url}/items/${item}`);
  return {
    apps: apps.map(({ label }) => label),
    increments,
    refused,
    finalCount: Number(value),
    outage: outage === undefined ? undefined : { shard: outage.shard, increments: duringOutage },
  };
}

async function observe({ stage, load }: Telling): Promise<Omit<Observations, "outage">> {
  const tally = load.tally.snapshot();
  const read = await load.readBack();
  const { survey, shares, apps } = stage;
  const writes = { acknowledged: load.acknowledged, ...read };
  return { apps: apps.map(({ label }) => label), shares, survey, tally, writes };
}

async function routeAnItem({ stage: { apps, client }, screen }: Telling): Promise<string> {
  const told = await Promise.all(apps.map(({ url }) => client.json(`${url}/where/${ITEM}`)));
  const { key, arc, shard } = told[0] ?? {};
  const owners = told.map((answer, at) => `${apps[at]?.label}: ${String(answer["shard"])}`);
  screen.say(
    `A key is routed: "${String(key)}" is in arc ${String(arc)} of 16384, which ${String(shard)} owns.`,
  );
  screen.say(`  Each process computes that alone (${owners.join(", ")}).`);
  const [writer, reader] = [apps[0] as App, apps[1] as App];
  await client.ask("PUT", `${writer.url}/items/${ITEM}`, "green");
  screen.say(
    `  Written through ${writer.label}, read through ${reader.label}: ${await show(reader, client)}`,
  );
  return String(shard);
}

async function killAndRestart(telling: Telling, shard: string): Promise<Outage> {
  const { stage, load, screen, sceneMs, signal } = telling;
  const { redis, dead, apps, client } = stage;
  const handle = redis.get(shard);
  if (handle === undefined) throw new Error(`no Redis is called ${shard}`);
  load.phase = "changing";
  await handle.kill();
  load.phase = "outage";
  dead.add(shard);
  screen.say(`${shard} is killed (SIGKILL). Its keys are refused, all others are served:`);
  screen.say(`  ${await show(apps[2] as App, client)}`);
  await systemEnv.clock.sleep(sceneMs, signal);
  load.phase = "changing";
  screen.say(`  meanwhile ${summary(load.tally.snapshot().phases.outage)}`);
  await handle.restart();
  dead.delete(shard);
  screen.say(`${shard} is started again, with what it had synced to its disk.`);
  const recoveryMs = await recovery(telling, shard);
  load.phase = "after";
  const when =
    recoveryMs === undefined ? `not within ${RECOVERY_MS_MAX} ms` : `after ${Math.round(recoveryMs)} ms`;
  screen.say(`  every process serves its keys again: ${when}. ${await show(apps[1] as App, client)}`);
  return { shard, recoveryMs };
}

/** Until every process has answered 2xx for the shard's item; undefined when that takes too long. */
async function recovery(
  { stage: { apps, client }, signal }: Telling,
  shard: string,
): Promise<number | undefined> {
  const { clock } = systemEnv;
  const startedAt = clock.now();
  const waiting = new Set(apps);
  while (waiting.size > 0) {
    if (clock.now() - startedAt > RECOVERY_MS_MAX) return undefined;
    for (const app of waiting) {
      const { status, body } = await client.ask("GET", `${app.url}/items/${ITEM}`);
      if (status === 200 && (JSON.parse(body) as { shard?: unknown }).shard === shard) waiting.delete(app);
    }
    if (waiting.size > 0) await clock.sleep(RECOVERY_LOOK_MS, signal);
  }
  return clock.now() - startedAt;
}

async function show({ url }: App, client: Stage["client"]): Promise<string> {
  const answer = await client.ask("GET", `${url}/items/${ITEM}`);
  return `GET ${url}/items/${ITEM} -> ${inWords(answer)}`;
}

function inWords({ status, retryAfter, contentType, body }: Answer): string {
  if (status !== 503) return `${status} ${body}`;
  return `503, Retry-After: ${retryAfter}, ${contentType}\n  ${body}`;
}

function summary(counts: Readonly<Record<string, Counts>>): string {
  return Object.entries(counts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([shard, { served, refused, wrong }]) => {
      const others = wrong === 0 ? "" : `, ${wrong} wrong`;
      return `${shard}: ${served} served, ${refused} refused${others}`;
    })
    .join("; ");
}
