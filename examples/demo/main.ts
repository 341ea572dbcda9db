/**
 * `npm run demo`: three Redis, three processes of one Express app, two of them BullMQ workers too, a load,
 * and a story. It tells what happens, checks that it happened, and then keeps running until Ctrl-C. With
 * `--once` it ends after the check, and its exit code says whether every claim held.
 */
import { inspect } from "node:util";

import { CoterieError, systemEnv } from "coterie";

import { type Claim, judgeClaims } from "./claims.ts";
import { listenForKeys } from "./keys.ts";
import { Load } from "./load.ts";
import { judgeLockClaims } from "./locks/claims.ts";
import { Screen } from "./screen.ts";
import { type Stage, Stagehand } from "./stage.ts";
import { tell } from "./story.ts";

const SCENE_ONCE_MS = 1500;
const SCENE_MS = 4000;
/** Terminals and npm may both send the signal of one Ctrl-C. */
const SECOND_SIGNAL_MS_MIN = 500;

interface Run {
  readonly once: boolean;
  readonly screen: Screen;
  readonly stop: AbortController;
}

const [...words] = process.argv.slice(2);
if (words.some((word) => word !== "--once")) {
  process.stderr.write("usage: npm run demo [-- --once]\n");
  process.exitCode = 2;
} else {
  process.exitCode = await main(words.includes("--once"));
}

async function main(once: boolean): Promise<number> {
  const run: Run = { once, screen: new Screen(process.stdout), stop: new AbortController() };
  const forget = endOnSignals(run.stop);
  try {
    return await perform(run);
  } catch (error) {
    const { signal } = run.stop;
    // Ctrl-C is how a demo that runs on is meant to end.
    if (signal.aborted && !(signal.reason instanceof Error)) return once ? 130 : 0;
    const cause: unknown = signal.aborted ? signal.reason : error;
    process.stderr.write(`demo: ${CoterieError.is(cause) ? cause.message : inspect(cause)}\n`);
    return 1;
  } finally {
    forget();
  }
}

async function perform(run: Run): Promise<number> {
  const { once, screen, stop } = run;
  const hand = new Stagehand((what) => stop.abort(new Error(what)));
  let claims: Claim[] = [];
  let failure: unknown;
  try {
    screen.say("coterie demo: starting Redis and three processes of one Express app");
    const stage = await hand.build(stop.signal);
    screen.say(whatToTry(stage, once));
    const load = new Load(stage.client, stage.apps, stage.owners);
    claims = await underLoad(run, stage, load);
  } catch (error) {
    failure = error;
  }
  const killed = await hand.strike();
  if (failure !== undefined) throw failure;
  if (killed.length > 0) {
    screen.say(`FAILED  everything ends by itself: ${killed.join(", ")} had to be killed`);
  }
  return claims.every(({ holds }) => holds) && killed.length === 0 ? 0 : 1;
}

async function underLoad({ once, screen, stop }: Run, stage: Stage, load: Load): Promise<Claim[]> {
  const { signal } = stop;
  screen.startLive((elapsedMs) => liveLine(load, stage, elapsedMs));
  const forgetKeys = once ? () => {} : listenForKeys((key) => onKey(key));
  let told = false;
  try {
    const sceneMs = once ? SCENE_ONCE_MS : SCENE_MS;
    const { observations, locks } = await tell({ stage, load, screen, sceneMs, signal });
    const claims = [...judgeClaims(observations), ...judgeLockClaims(locks)];
    screen.say(checklist(claims));
    told = true;
    if (!once) await untilStopped(signal);
    return claims;
  } finally {
    forgetKeys();
    screen.stopLive();
    await load.stop();
  }

  function onKey(key: string): void {
    if (key === "q" || key === "\u0003") stop.abort("key");
    else if (told && stage.canKill) toggle(`redis-${key}`);
  }

  function toggle(id: string): void {
    const handle = stage.redis.get(id);
    if (handle === undefined) return;
    const isDead = stage.dead.has(id);
    if (isDead) stage.dead.delete(id);
    else stage.dead.add(id);
    screen.say(isDead ? `${id} is started again.` : `${id} is killed.`);
    (isDead ? handle.restart() : handle.kill()).catch((error: unknown) => screen.say(String(error)));
  }
}

function liveLine(load: Load, { shares, dead }: Stage, elapsedMs: number): string {
  const { byShard, verdicts } = load.takeRecent();
  const all = verdicts.served + verdicts.refused + verdicts.wrong;
  const perSecond = (count: number) => String(Math.round((count * 1000) / elapsedMs));
  const parts = Object.keys(shares).map((id) => {
    const part = all === 0 ? 0 : Math.round((100 * (byShard.get(id) ?? 0)) / all);
    return `${id} ${dead.has(id) ? "dead" : `${String(part).padStart(3)}%`}`;
  });
  return (
    `${perSecond(all).padStart(5)} requests/s, errors/s ${perSecond(verdicts.refused)} x 503, ` +
    `${perSecond(verdicts.wrong)} other | ${parts.join("  ")}`
  );
}

function whatToTry({ apps, redis, canKill }: Stage, once: boolean): string {
  const [first, second, third] = apps.map(({ url }) => url);
  const servers = [...redis].map(([id, { host, port }]) => `${id} ${host}:${port}`);
  const lines = [
    `  Redis    ${servers.join("   ")}`,
    `  Express  ${apps.map(({ label, url }) => `${label} ${url}`).join("   ")}`,
    "  Try, in another terminal:",
    `    curl -X PUT -d red ${first}/items/cherry     write through one process`,
    `    curl ${second}/items/cherry                  read through another`,
    `    curl -i ${third}/where/cherry                which arc and which Redis`,
    `    curl -X POST ${third}/items/plum/increment   read, think and write under a lock`,
    `    curl ${first}/status                         health, shares, locks, round-trip times`,
  ];
  if (once) return lines.join("\n");
  const keys = canKill
    ? `after the story, ${[...redis.keys()].map((_, at) => at + 1).join(" ")} kill or start a Redis; `
    : "";
  const press = process.stdin.isTTY ? `  Press: ${keys}q or Ctrl-C ends.` : "  Ctrl-C ends.";
  return [...lines, press].join("\n");
}

function checklist(claims: readonly Claim[]): string {
  const lines = claims.map(
    ({ claim, holds, seen }) => `  ${holds ? "ok    " : "FAILED"}  ${claim}\n          ${seen}`,
  );
  const failed = claims.filter(({ holds }) => !holds).length;
  const verdict =
    failed === 0 ? `All ${claims.length} claims held.` : `${failed} of ${claims.length} claims FAILED.`;
  return ["", "What was claimed, and what was seen:", ...lines, verdict].join("\n");
}

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = () => reject(new Error("stopped"));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** The first signal ends the demo in order; a later one ends it at once, and Redis' watchdog cleans up. */
function endOnSignals(stop: AbortController): () => void {
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = systemEnv.clock.now();
    firstAt ??= now;
    if (now - firstAt > SECOND_SIGNAL_MS_MIN) process.exit(130);
    stop.abort(signal);
  };
  const onBrokenPipe = () => stop.abort("stdout");
  for (const signal of signals) process.on(signal, onSignal);
  process.stdout.on("error", onBrokenPipe);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
    process.stdout.off("error", onBrokenPipe);
  };
}
