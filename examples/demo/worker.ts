/**
 * The demo's BullMQ worker: jobs of one entity run one at a time, whichever worker runs them. This file is
 * what a user would write; each job says when it ran, so that somebody else can tell whether that is true.
 */
import { type Job, Worker } from "bullmq";

import { type Coterie, systemEnv } from "coterie";
import { guard } from "coterie/bullmq";

import type { Run } from "./locks/claims.ts";

/** Where the queue is. */
export interface QueuePlace {
  readonly url: string;
  readonly prefix: string;
}

export interface Task {
  readonly entity: string;
}

export const QUEUE = "tasks";
/** Fewer than there are entities: one worker cannot do it all. */
const CONCURRENCY = 2;
const WORK_MS = 30;

export function createWorker(coterie: Coterie, label: string, { url, prefix }: QueuePlace): Worker {
  const { clock } = systemEnv;
  const processor = guard(
    coterie,
    async (job: Job<Task, Run>, _token, signal, { fencingToken }) => {
      const from = clock.wallNow();
      await clock.sleep(WORK_MS, signal);
      const { entity } = job.data;
      return { what: entity, by: label, fencingToken, from, to: clock.wallNow() } satisfies Run;
    },
    { resource: (job) => `${prefix}:entity:${job.data.entity}` },
  );
  const connection = { url, maxRetriesPerRequest: null };
  const worker = new Worker<Task, Run>(QUEUE, processor, { connection, prefix, concurrency: CONCURRENCY });
  // A Redis that is away is the story's matter, and the connection comes back by itself.
  worker.on("error", () => {});
  return worker;
}
