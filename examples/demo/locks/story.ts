/**
 * What happens with locks in the demo: counting through all processes, a holder that is killed, jobs over two
 * workers. Everything that is told was just seen, and what was seen is what the claims judge.
 */
import { Queue, QueueEvents } from "bullmq";

import { systemEnv } from "coterie";

import type { HolderMessage, HolderSettings } from "../holder-process.ts";
import type { Screen } from "../screen.ts";
import type { Stage } from "../stage.ts";
import { QUEUE, type Task } from "../worker.ts";
import type { LockObservations, Run } from "./claims.ts";

/** The item whose lock a dying process holds. */
const PARCEL = "parcel";
const LEASE_MS = 1000;
const HELD_MS = 200;
const ENTITIES: readonly string[] = ["ann", "bob", "eve"];
const JOBS_EACH = 10;
const JOBS_MS_MAX = 20_000;

export interface LockTelling {
  readonly stage: Stage;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

export async function tellOfLocks(
  telling: LockTelling,
): Promise<Pick<LockObservations, "handover" | "jobs">> {
  const handover = await killAHolder(telling);
  return { handover, jobs: await runJobs(telling) };
}

/** The next one has the lock when the lease of the dead has run out. */
async function killAHolder({ stage, screen, signal }: LockTelling): Promise<LockObservations["handover"]> {
  const { clock } = systemEnv;
  const { apps, client, children, shared } = stage;
  const settings: HolderSettings = { ...shared, resource: stage.keyOf(PARCEL), leaseMs: LEASE_MS };
  const holder = await children.start<HolderMessage>("holder", "holder-process.js", settings, signal);
  screen.say(`A process holds the lock of "${PARCEL}"; a request through each process waits for it.`);
  let served = 0;
  let firstAt: number | undefined;
  const asked = apps.map(async ({ url }) => {
    const { status } = await client.ask("POST", `${url}/items/${PARCEL}/increment`);
    if (status !== 200) return;
    served += 1;
    firstAt ??= clock.now();
  });
  await clock.sleep(HELD_MS, signal);
  const before = served;
  await holder.kill();
  const killedAt = clock.now();
  await Promise.allSettled(asked);
  const afterMs = firstAt === undefined ? undefined : firstAt - killedAt;
  const when = afterMs === undefined ? "never" : `${Math.round(afterMs)} ms later`;
  screen.say(`  It is killed (SIGKILL), and cannot release: the next one has the lock ${when}.`);
  return { leaseMs: LEASE_MS, before, served, asked: asked.length, afterMs };
}

async function runJobs({ stage, screen, signal }: LockTelling): Promise<LockObservations["jobs"]> {
  const { queue: place } = stage;
  const connection = { url: place.url, maxRetriesPerRequest: null };
  const queue = new Queue<Task, Run>(QUEUE, { connection, prefix: place.prefix });
  const events = new QueueEvents(QUEUE, { connection, prefix: place.prefix });
  // Its Redis is not the one that dies; what else goes wrong shows in the jobs.
  queue.on("error", () => {});
  events.on("error", () => {});
  try {
    await events.waitUntilReady();
    const tasks = Array.from({ length: ENTITIES.length * JOBS_EACH }, (_, n) => ({
      name: "task",
      data: { entity: ENTITIES[n % ENTITIES.length] as string },
    }));
    const jobs = await queue.addBulk(tasks);
    const runs: Run[] = [];
    for (const job of jobs) {
      signal.throwIfAborted();
      // One that failed is missed by the claims.
      const run = await job.waitUntilFinished(events, JOBS_MS_MAX).catch(() => undefined);
      if (run !== undefined) runs.push(run);
    }
    const workers = new Set(runs.map(({ by }) => by));
    screen.say(
      `${jobs.length} BullMQ jobs of ${ENTITIES.length} entities have run on ${workers.size} workers, ` +
        "those of one entity one at a time.",
    );
    return { added: jobs.length, runs };
  } finally {
    await Promise.allSettled([events.close(), queue.close()]);
  }
}
