/**
 * `guard` when a lock is lost: ours, or BullMQ's own on the job; when Redis is away; when a whole worker
 * process sleeps while another runs its job again; and in a processor of its own file.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { guard, type GuardOptions, watch } from "../../middleware/bullmq/index.ts";
import { type Coterie, fencedSet, openCoterie, systemEnv } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { BULLMQ_VERSIONS, type Job, Queues, untilState } from "../support/bullmq.ts";
import { Program } from "../support/program.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;
const LEASE_MS = 300;
/** Short, so that an instance that lost its data votes again soon. */
const LOCKS = { leaseMsMax: 2000 };

let redis: RedisGroup;
let queues: Queues;
let coterie: Coterie;
/** A client of the queue's Redis, which also keeps what the jobs write. */
let direct: Redis;

beforeAll(async () => {
  redis = await startRedis({ count: 4 });
  queues = new Queues(redis.instances[3]!);
  direct = new Redis(redis.urls[3]!);
});
beforeEach(async () => {
  coterie = await openCoterie({ name: "test", instances: redis.urls.slice(0, 3), locks: LOCKS });
});
afterEach(async () => {
  await redis.instances[3]!.resume();
  await queues.closeAll();
  await coterie.close();
  await Promise.all(redis.instances.slice(0, 3).map((instance) => instance.restart({ wipe: true })));
});
afterAll(async () => {
  direct?.disconnect();
  await redis.stop();
});

describe.each(BULLMQ_VERSIONS)("in %s", (_version, bullmq) => {
  /** What happened in each run of the job, in order. */
  interface Run {
    readonly attempt: number;
    readonly fencingToken: number;
    readonly signal: AbortSignal;
    abortedAt: number;
    ended: boolean;
  }

  /** The first run ends after it has lost the job, as if nothing had happened; the others at once. */
  function heedless(runs: Run[], end: (run: Run) => Promise<unknown> = () => Promise.resolve("done")) {
    return async (_job: Job, _token: string | undefined, signal: AbortSignal, context: {
      readonly attempt: number;
      readonly fencingToken: number;
    }): Promise<unknown> => {
      const { attempt, fencingToken } = context;
      const run: Run = { attempt, fencingToken, signal, abortedAt: Number.NaN, ended: false };
      runs.push(run);
      signal.addEventListener("abort", () => (run.abortedAt = clock.now()));
      if (runs.length === 1) await until("it has lost the job", () => signal.aborted, 10_000);
      const value = await end(run);
      run.ended = true;
      return value;
    };
  }

  async function untilRunning(runs: readonly Run[]): Promise<Run> {
    await until("it runs", () => runs.length > 0);
    return runs[0]!;
  }

  describe("our lock is lost", () => {
    test("Q1, Q2: the signal aborts with the lock's own, and a value after that is not recorded", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      let noticedAt = Number.NaN;
      const inner = heedless(runs);
      const processor = guard(
        coterie,
        (job, token, signal, context) => {
          context.lock.signal.addEventListener("abort", () => (noticedAt = clock.now()));
          return inner(job, token, signal, context);
        },
        { resource: "entity", leaseMs: LEASE_MS },
      );
      queues.worker(bullmq, queue, processor);
      let completions = 0;
      queues.worker(bullmq, queue, processor, { autorun: false }).on("completed", () => (completions += 1));

      const job = await queue.add("work", {});
      const run = await untilRunning(runs);
      await coterie.locks.forceRelease("entity");
      await untilState(job, "failed");

      expect(run.abortedAt - noticedAt).toBeLessThan(100);
      expect([run.ended, completions, run.signal.reason]).toMatchObject([true, 0, { code: "LOCK_LOST" }]);
      const { failedReason, returnvalue, attemptsMade } = (await queue.getJob(job.id!))!;
      expect(failedReason).toContain("entity");
      expect([returnvalue, attemptsMade]).toEqual([null, 1]);
    });

    test("a job with attempts left runs again under a larger token, and the older run's write is refused", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      const writes: boolean[] = [];
      const processor = guard(
        coterie,
        heedless(runs, async ({ attempt, fencingToken }) => {
          // The older run writes last.
          if (attempt === 1) await until("the job ran again", () => runs.length > 1 && runs[1]!.ended);
          writes.push(await fencedSet(direct, `{${queue.name}}:effect`, `run ${attempt}`, fencingToken));
        }),
        { resource: "entity", leaseMs: LEASE_MS },
      );
      // The same job twice at once needs two workers, and a BullMQ lock that goes with ours.
      const settings = { lockDuration: 1000, stalledInterval: 200 };
      queues.worker(bullmq, queue, processor, settings);

      const job = await queue.add("work", {}, { attempts: 2 });
      await untilRunning(runs);
      queues.worker(bullmq, queue, processor, settings);
      await direct.del(lockKey(queue.name, job));
      await coterie.locks.forceRelease("entity");
      await untilState(job, "completed");
      await until("both runs have ended", () => runs.every(({ ended }) => ended));

      expect(runs).toHaveLength(2);
      expect(runs[1]!.fencingToken).toBeGreaterThan(runs[0]!.fencingToken);
      expect(writes).toEqual([true, false]);
      expect(await direct.get(`{${queue.name}}:effect`)).toBe(`run ${runs[1]!.attempt}`);
    });

    test("because too few Redis are left: no later than the lease ends, and nothing is recorded", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      queues.worker(bullmq, queue, guard(coterie, heedless(runs), { resource: "entity", leaseMs: LEASE_MS }));

      const job = await queue.add("work", {});
      const run = await untilRunning(runs);
      await Promise.all(redis.instances.slice(0, 2).map((instance) => instance.kill()));
      const killedAt = clock.now();
      await untilState(job, "failed");

      expect(run.abortedAt - killedAt).toBeLessThan(LEASE_MS + 100);
      expect((await queue.getJob(job.id!))!.returnvalue).toBe(null);
    });

    test("Q2: a processor that blocked the event loop beyond the lease records nothing", async () => {
      const queue = queues.queue(bullmq);
      const processor = () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LEASE_MS + 50);
        return "done";
      };
      queues.worker(bullmq, queue, guard(coterie, processor, { resource: "entity", leaseMs: LEASE_MS }));

      const job = await queue.add("work", {});
      await untilState(job, "failed");

      expect((await queue.getJob(job.id!))!.returnvalue).toBe(null);
    });

    test("an error of the processor's own is not masked by the loss", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      const end = () => Promise.reject(new Error("its own"));
      const options: GuardOptions<Job> = { resource: "entity", leaseMs: LEASE_MS };
      queues.worker(bullmq, queue, guard(coterie, heedless(runs, end), options));

      const job = await queue.add("work", {});
      await untilRunning(runs);
      await coterie.locks.forceRelease("entity");
      await untilState(job, "failed");

      expect((await queue.getJob(job.id!))!.failedReason).toBe("its own");
    });
  });

  describe("BullMQ's own lock is lost", () => {
    test("Q1, Q2: the signal aborts when the renewal is refused, and BullMQ is told of no completion", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      const inner = heedless(runs);
      const guarded = guard(coterie, inner, { resource: "entity" });
      const outcomes: unknown[] = [];
      const processor = async (job: Job, token?: string, signal?: AbortSignal): Promise<unknown> =>
        guarded(job, token, signal).catch((error: unknown) => {
          outcomes.push(error);
          throw error;
        });
      const worker = queues.worker(bullmq, queue, processor, { lockDuration: 800, skipStalledCheck: true });
      let noticedAt = Number.NaN;
      worker.prependListener("lockRenewalFailed", () => (noticedAt = clock.now()));

      const job = await queue.add("work", {});
      const run = await untilRunning(runs);
      await direct.set(lockKey(queue.name, job), "another worker's token");
      await until("the run has failed", () => outcomes.length > 0);

      expect(run.abortedAt - noticedAt).toBeLessThan(100);
      expect(run.signal.reason).toMatchObject({ code: "LOCK_LOST", details: { job: job.id } });
      expect(outcomes).toEqual([run.signal.reason]);
      await untilState(job, "active");
      const lock = await coterie.locks.tryAcquire("entity");
      await lock?.release();
      expect(lock).toBeDefined();
    });

    test("the job that stalled runs again elsewhere under a larger token, once the first run has ended", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      const writes: string[] = [];
      const processor = guard(
        coterie,
        heedless(runs, async ({ attempt, fencingToken }) => {
          const made = await fencedSet(direct, `{${queue.name}}:effect`, `run ${attempt}`, fencingToken);
          writes.push(`${attempt} ${made}`);
          return attempt;
        }),
        { resource: "entity" },
      );
      const settings = { lockDuration: 800, stalledInterval: 200 };
      queues.worker(bullmq, queue, processor, settings);

      const job = await queue.add("work", {});
      await untilRunning(runs);
      queues.worker(bullmq, queue, processor, settings);
      await direct.del(lockKey(queue.name, job));
      await untilState(job, "completed");

      expect(runs.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(runs[1]!.fencingToken).toBeGreaterThan(runs[0]!.fencingToken);
      // Our lock was never lost: it kept the second run waiting for the end of the first.
      expect(writes).toEqual(["1 true", "2 true"]);
      expect((await queue.getJob(job.id!))!.returnvalue).toBe(2);
      expect((await queue.getJob(job.id!))!.attemptsMade).toBe(1);
    });

    test("silence counts: without a renewal for the lock's duration the signal aborts", async () => {
      const queue = queues.queue(bullmq);
      const runs: Run[] = [];
      const processor = guard(coterie, heedless(runs), { resource: "entity" });
      queues.worker(bullmq, queue, processor, { lockDuration: 700 });

      await queue.add("work", {});
      const run = await untilRunning(runs);
      await clock.sleep(900);
      const abortedWhileWell = run.signal.aborted;
      await redis.instances[3]!.pause();
      const pausedAt = clock.now();
      await until("it was noticed", () => run.signal.aborted);
      const tookMs = clock.now() - pausedAt;
      await redis.instances[3]!.resume();

      expect(abortedWhileWell).toBe(false);
      expect(tookMs).toBeLessThan(900);
      expect(run.signal.reason).toMatchObject({ code: "LOCK_LOST" });
      expect(String(run.signal.reason)).toContain("not renewed in time");
    });

    test("a job that waits for our lock meanwhile stops waiting, and never runs", async () => {
      const queue = queues.queue(bullmq);
      let runs = 0;
      const options: GuardOptions<Job> = { resource: "entity", waitMs: 20_000 };
      queues.worker(bullmq, queue, guard(coterie, () => void (runs += 1), options), {
        lockDuration: 600,
        skipStalledCheck: true,
      });
      const lock = await coterie.locks.acquire("entity");

      const job = await queue.add("work", {});
      await untilState(job, "active");
      await direct.set(lockKey(queue.name, job), "another worker's token");
      await until("BullMQ refused to fail it", isRefusedByBullmq);
      await lock.release();

      expect(runs).toBe(0);
      expect(await job.getState()).toBe("active");
    });
  });

  test("without a quorum of locks a job goes back to the queue, uses up no attempt, and runs later", async () => {
    const queue = queues.queue(bullmq);
    const options: GuardOptions<Job> = { resource: "entity", delayMs: 100, delayMsMax: 200, deadlineMs: 200 };
    queues.worker(bullmq, queue, guard(coterie, () => "done", options));
    const dead = redis.instances.slice(0, 2);
    await Promise.all(dead.map((instance) => instance.kill()));

    const job = await queue.add("work", {});
    await untilState(job, "delayed");
    const { attemptsMade } = (await queue.getJob(job.id!))!;
    await Promise.all(dead.map((instance) => instance.restart()));
    await untilState(job, "completed", 20_000);

    expect(attemptsMade).toBe(0);
  });
});

describe("a worker's whole process sleeps beyond both locks", () => {
  const SOURCE = `
    import { Redis } from "ioredis";
    import { fencedSet, openCoterie } from "coterie";
    import { guard } from "coterie/bullmq";
    const { bullmq, queue, urls, host, port, isSleeper, locks } = JSON.parse(process.env.PLAN);
    const { Worker } = await import(bullmq);
    const say = (word, value = "") => process.stdout.write(word + " " + value + "\\n");
    process.on("unhandledRejection", (error) => say("unhandled", error));
    const coterie = await openCoterie({ name: "test", instances: urls, locks });
    const direct = new Redis({ host, port });
    const processor = guard(coterie, async (job, token, signal, { fencingToken, attempt }) => {
      say("begun", attempt);
      // The timer is due before the lease ends: after the sleep it fires before anything notices the loss.
      await new Promise((resolve) => setTimeout(resolve, isSleeper ? 150 : 1));
      const written = await fencedSet(direct, "{" + queue + "}:effect", "run " + attempt, fencingToken);
      say("wrote", attempt + " " + written + " aborted " + signal.aborted);
      return attempt;
    }, { resource: "entity", leaseMs: 500, waitMs: 5000 });
    const worker = new Worker(queue, processor, {
      connection: { host, port, maxRetriesPerRequest: null },
      lockDuration: 800, stalledInterval: 300, drainDelay: 1,
    });
    worker.on("error", (error) => say("error", error.message));
    worker.on("completed", (job, value) => say("completed", value));
    worker.on("failed", (job, error) => say("failed", error.code));
    say("ready");
  `;

  test.each([["BullMQ 6", "bullmq"], ["BullMQ 5", "bullmq5"]])(
    "in %s: it neither completes nor writes after the worker that ran its job again",
    { timeout: 60_000 },
    async (version, specifier) => {
      const [, bullmq] = BULLMQ_VERSIONS.find(([name]) => name === version)!;
      const queue = queues.queue(bullmq);
      const { host, port } = redis.instances[3]!;
      const start = (isSleeper: boolean): Program => {
        const where = { bullmq: specifier, queue: queue.name, urls: redis.urls.slice(0, 3), host, port };
        const plan = { ...where, isSleeper, locks: LOCKS };
        return new Program(["--input-type=module", "--eval", SOURCE], { PLAN: JSON.stringify(plan) });
      };
      const sleeper = start(true);
      let other: Program | undefined;
      try {
        await sleeper.printed("ready");
        const job = await queue.add("work", {});
        await sleeper.printed("begun 1");
        sleeper.signal("SIGSTOP");
        other = start(false);
        await untilState(job, "completed", 20_000);
        const recorded = (await queue.getJob(job.id!))!;
        sleeper.signal("SIGCONT");
        await sleeper.printed("wrote");
        await sleeper.printed("error");

        expect(other.output).toContain("wrote 2 true aborted false");
        expect(sleeper.output).toContain("wrote 1 false");
        expect(sleeper.output).not.toContain("completed");
        expect(sleeper.output).not.toContain("unhandled");
        expect(recorded.returnvalue).toBe(2);
        expect((await queue.getJob(job.id!))!.returnvalue).toBe(2);
        expect(await direct.get(`{${queue.name}}:effect`)).toBe("run 2");
      } finally {
        sleeper.destroy();
        other?.destroy();
      }
    },
  );
});

describe("a processor of its own file", () => {
  const ROOT = fileURLToPath(new URL("../..", import.meta.url));
  const SOURCE = `
    import { openCoterie } from "coterie";
    import { guard } from "coterie/bullmq";
    const instances = JSON.parse(process.env.LOCK_URLS);
    const coterie = await openCoterie({ name: "test", instances, locks: { leaseMsMax: 2000 } });
    export default guard(coterie, async (job, token, signal, { attempt, fencingToken }) => {
      if (job.name === "quick") return { attempt, fencingToken, data: job.data };
      await job.updateProgress(50);
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return "in vain";
    }, { resource: (job) => job.data.entity, busy: "delay", delayMs: 50, delayMsMax: 50 });
  `;
  test.each(BULLMQ_VERSIONS)(
    "in %s: is locked, delayed while busy, and stopped when BullMQ loses its lock",
    { timeout: 60_000 },
    async (_version, bullmq) => {
      // The file stands beside the package, so that it can import it by its name.
      const file = join(ROOT, ".build", `sandboxed-${systemEnv.random.hex(4)}.mjs`);
      await writeFile(file, SOURCE);
      try {
        const queue = queues.queue(bullmq);
        const env = { ...process.env, LOCK_URLS: JSON.stringify(redis.urls.slice(0, 3)) };
        const worker = queues.worker(bullmq, queue, file, {
          lockDuration: 1500,
          skipStalledCheck: true,
          workerForkOptions: { env },
        });
        watch(worker);
        const lock = await coterie.locks.acquire("a");

        const quick = await queue.add("quick", { entity: "a" });
        await untilState(quick, "delayed", 15_000);
        await lock.release();
        await untilState(quick, "completed", 15_000);
        const slow = await queue.add("slow", { entity: "b" });
        await untilState(slow, "active");
        while ((await queue.getJob(slow.id!))!.progress !== 50) await clock.sleep(10);
        await direct.set(lockKey(queue.name, slow), "another worker's token");
        await until("BullMQ refused to fail it", isRefusedByBullmq, 10_000);

        const { returnvalue } = (await queue.getJob(quick.id!))!;
        expect(returnvalue).toMatchObject({ data: { entity: "a" } });
        expect((returnvalue as { attempt: number }).attempt).toBeGreaterThanOrEqual(2);
        expect(await slow.getState()).toBe("active");
        const free = await coterie.locks.tryAcquire("b");
        await free?.release();
        expect(free).toBeDefined();
      } finally {
        await rm(file);
      }
    },
  );

  test("watch takes nothing but a worker that can cancel", async () => {
    const error = await rejection(() => watch({} as never), "INVALID_ARGUMENT");

    expect(error.message).toBe("watch: needs a Worker of BullMQ 5.64 or later");
  });
});

/** BullMQ takes no outcome from a worker that has not its lock. */
function isRefusedByBullmq(): boolean {
  return queues.errors.some(({ message }) => /^(?:Missing lock|Lock mismatch)/.test(message));
}

/** BullMQ's own lock on a job. */
function lockKey(queue: string, job: Job): string {
  return `bull:${queue}:${job.id}:lock`;
}
