/**
 * A holder that sleeps beyond its lease and wakes late. Its process is stopped, as a suspended machine or a
 * long pause would stop it; another holder writes; then the first goes on, where it was, and writes too.
 * No lock can hold it back. Its fencing token does: the value remembers a newer one.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { type Coterie, fencedSet, openCoterie } from "coterie";

const urls = process.env["REDIS_URLS"] ?? "redis://127.0.0.1:6379";
const LEASE_MS = 500;

await using coterie = await openCoterie({ name: "fencing", instances: urls.split(",") });
if (process.argv[2] === "sleeper") await payLate(coterie);
else await payMeanwhile(coterie);

/** Runs in a process of its own, and does everything right but look at the time. */
async function payLate({ locks, shards }: Coterie): Promise<void> {
  const lock = await locks.acquire("invoice:7", { leaseMs: LEASE_MS });
  process.send?.("I hold it");
  await once(process, "message");
  const written = await fencedSet(shards, "invoice:7", "paid by the sleeper", lock.fencingToken);
  console.log(`the sleeper's write was ${written ? "made" : "refused"}; it had lost its lock: ${lock.lost}`);
  process.disconnect();
}

async function payMeanwhile({ locks, shards }: Coterie): Promise<void> {
  const sleeper = fork(fileURLToPath(import.meta.url), ["sleeper"]);
  try {
    await once(sleeper, "message");
    sleeper.kill("SIGSTOP");
    console.log("the sleeper holds the lock, and is stopped");
    {
      await using lock = await locks.acquire("invoice:7", { leaseMs: LEASE_MS });
      const written = await fencedSet(shards, "invoice:7", "paid by the other", lock.fencingToken);
      console.log(`after its lease another holder's write was ${written ? "made" : "refused"}`);
    }
    sleeper.send("Go on");
    sleeper.kill("SIGCONT");
    await once(sleeper, "exit");
    console.log(`invoice:7 is ${await shards.get("invoice:7")}`);
  } finally {
    sleeper.kill("SIGKILL");
  }
}
