/** BullMQ 6 and 5 on real Redis for tests: queues and workers that are closed after each test. */
import * as bullmq6 from "bullmq";
import * as bullmq5 from "bullmq5";

import { systemEnv } from "../../src/index.ts";
import type { RedisInstanceHandle } from "../../src/testing/index.ts";
import { until } from "./until.ts";

export type Bullmq = typeof bullmq6;
export type Job = bullmq6.Job;
type Queue = bullmq6.Queue;
type Worker = bullmq6.Worker;
type Processor = bullmq6.Processor;
type WorkerOptions = Partial<bullmq6.WorkerOptions>;

/** What is used of BullMQ 5 here is a part of what BullMQ 6 has. */
export const BULLMQ_VERSIONS: readonly (readonly [string, Bullmq])[] = [
  ["BullMQ 6", bullmq6],
  ["BullMQ 5", bullmq5 as unknown as Bullmq],
];

/** Long enough for a busy machine not to lose what a test does not want lost. */
const LOCK_MS = 5000;

export class Queues {
  readonly #redis: RedisInstanceHandle;
  readonly #opened: { close(force?: boolean): Promise<void> }[] = [];
  /** What workers complained of that the test did not ask to see. */
  readonly errors: Error[] = [];

  constructor(redis: RedisInstanceHandle) {
    this.#redis = redis;
  }

  /** A queue that nobody else has. */
  queue({ Queue }: Bullmq): Queue {
    const { host, port } = this.#redis;
    const queue = new Queue(`q${systemEnv.random.hex(4)}`, { connection: { host, port } });
    this.#opened.push(queue);
    queue.on("error", (error: Error) => this.errors.push(error));
    return queue;
  }

  worker(
    { Worker }: Bullmq,
    queue: Queue,
    processor: Processor | string,
    options: WorkerOptions = {},
  ): Worker {
    const { host, port } = this.#redis;
    const worker = new Worker(queue.name, processor, {
      connection: { host, port, maxRetriesPerRequest: null },
      lockDuration: LOCK_MS,
      drainDelay: 1,
      ...options,
    });
    // Workers end before their queue does.
    this.#opened.unshift(worker);
    worker.on("error", (error: Error) => this.errors.push(error));
    return worker;
  }

  async closeAll(): Promise<void> {
    for (const one of this.#opened.splice(0)) await one.close(true);
    this.errors.length = 0;
  }
}

/** Until the job is in this state; fails with the state that it is in. */
export async function untilState(job: Job, state: string, withinMs = 8000): Promise<void> {
  let seen: string | undefined;
  let done = false;
  const looking = (async () => {
    while (!done) {
      seen = await job.getState();
      if (seen === state) return;
      await systemEnv.clock.sleep(10);
    }
  })();
  try {
    await until(`job ${job.id} is ${state}`, () => seen === state, withinMs);
  } catch (error) {
    throw new Error(`job ${job.id} is ${seen}`, { cause: error });
  } finally {
    done = true;
    await looking;
  }
}
