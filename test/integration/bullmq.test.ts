/** `guard` in workers of BullMQ 6 and 5 on real Redis that is well: who runs, when, and what is recorded. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { guard, type GuardContext, type GuardOptions } from "../../middleware/bullmq/index.ts";
import { type Coterie, openCoterie, systemEnv } from "../../src/index.ts";
import { type RedisGroup, startRedis } from "../../src/testing/index.ts";
import { BULLMQ_VERSIONS, type Job, Queues, untilState } from "../support/bullmq.ts";
import { rejection } from "../support/reject.ts";
import { until } from "../support/until.ts";

const { clock } = systemEnv;

let redis: RedisGroup;
let queues: Queues;
let coterie: Coterie;

beforeAll(async () => {
  redis = await startRedis({ count: 4 });
  queues = new Queues(redis.instances[3]!);
});
beforeEach(async () => {
  coterie = await openCoterie({ name: "test", instances: redis.urls.slice(0, 3) });
});
afterEach(async () => {
  await queues.closeAll();
  await coterie.close();
});
afterAll(() => redis.stop());

/** Resolves when it is told to. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { opened: promise, open };
}

let made = 0;
/** So that no test meets another's lock. */
function freshName(): string {
  made += 1;
  return `entity ${made}`;
}

test("it has three parameters, by which BullMQ knows that it wants a signal", () => {
  expect(guard(coterie, () => Promise.resolve(), { resource: "entity" })).toHaveLength(3);
});

describe.each(BULLMQ_VERSIONS)("in %s", (_version, bullmq) => {
  test("a processor gets BullMQ's arguments and the context, and its value is recorded", async () => {
    const queue = queues.queue(bullmq);
    const seen: { job: Job; token: string | undefined; signal: AbortSignal; context: GuardContext }[] = [];
    const resource = (job: Job) => [`account:${String(job.data.account)}`, freshName()];
    queues.worker(bullmq, queue, guard(
      coterie,
      (job, token, signal, context) => {
        seen.push({ job, token, signal, context });
        return { remaining: context.lock.remainingMs, resources: context.lock.resources.length };
      },
      { resource, leaseMs: 5000 },
    ));

    const jobs = await Promise.all([1, 2].map((account) => queue.add("charge", { account })));
    for (const job of jobs) await untilState(job, "completed");

    const [first, second] = seen;
    expect(first!.job.name).toBe("charge");
    expect(first!.token).toBe(first!.job.token);
    expect(first!.signal).toBe(first!.context.signal);
    expect(first!.signal.aborted).toBe(false);
    expect([first!.context.attempt, second!.context.attempt]).toEqual([1, 1]);
    expect(Number.isSafeInteger(first!.context.fencingToken)).toBe(true);
    const value = (await queue.getJob(jobs[0]!.id!))!.returnvalue as Record<string, number>;
    expect(value["resources"]).toBe(2);
    expect(value["remaining"]).toBeGreaterThan(3000);
    expect(queues.errors).toEqual([]);
  });

  test("jobs of one entity never run in parallel over two workers, tokens grow, and other entities go on", async () => {
    const queue = queues.queue(bullmq);
    const running = new Map<string, number>();
    const tokens = new Map<string, number[]>();
    let most = 0;
    let overlaps = 0;
    const entities = [freshName(), freshName(), freshName()];
    const processor = guard(
      coterie,
      async (job: Job, _token, _signal, { fencingToken }) => {
        const entity = String(job.data.entity);
        const count = (running.get(entity) ?? 0) + 1;
        running.set(entity, count);
        if (count > 1) overlaps += 1;
        most = Math.max(most, [...running.values()].reduce((sum, one) => sum + one, 0));
        tokens.set(entity, [...(tokens.get(entity) ?? []), fencingToken]);
        await clock.sleep(4);
        running.set(entity, (running.get(entity) ?? 0) - 1);
      },
      { resource: (job) => String(job.data.entity) },
    );
    for (let n = 0; n < 2; n += 1) queues.worker(bullmq, queue, processor, { concurrency: 6 });

    const jobs = await queue.addBulk(
      Array.from({ length: 30 }, (_, n) => ({ name: "work", data: { entity: entities[n % 3] } })),
    );
    for (const job of jobs) await untilState(job, "completed", 20_000);

    expect([overlaps, queues.errors]).toEqual([0, []]);
    expect(most).toBeGreaterThan(1);
    for (const entity of entities) {
      const drawn = tokens.get(entity)!;
      expect(drawn).toHaveLength(10);
      expect(drawn).toEqual([...new Set(drawn)].toSorted((a, b) => a - b));
    }
  });

  describe("while another holds the resource", () => {
    test("busy: wait takes it over at the release", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      let startedAt = 0;
      queues.worker(bullmq, queue, guard(coterie, () => void (startedAt = clock.now()), { resource }));
      const lock = await coterie.locks.acquire(resource);

      const job = await queue.add("work", {});
      await untilState(job, "active");
      await clock.sleep(50);
      const startedBefore = startedAt;
      const releasedAt = clock.now();
      await lock.release();
      await untilState(job, "completed");

      expect(startedBefore).toBe(0);
      expect(startedAt - releasedAt).toBeLessThan(1000);
      expect(await attemptsOf(queue.getJob(job.id!))).toEqual([0 + 1, 1]);
    });

    test.each(["wait", "delay"] as const)("busy: %s delays it without using up an attempt", async (busy) => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      let runs = 0;
      const options: GuardOptions<Job> = { resource, busy, waitMs: 20, delayMs: 200, delayMsMax: 300 };
      queues.worker(bullmq, queue, guard(coterie, () => void (runs += 1), options));
      const lock = await coterie.locks.acquire(resource);

      const job = await queue.add("work", {});
      await untilState(job, "delayed");
      const first = await queue.getJob(job.id!);
      await clock.sleep(400);
      await lock.release();
      await untilState(job, "completed");
      const [attemptsMade, attemptsStarted] = await attemptsOf(queue.getJob(job.id!));

      expect([runs, first!.attemptsMade, attemptsMade, queues.errors]).toEqual([1, 0, 1, []]);
      expect(attemptsStarted).toBeGreaterThanOrEqual(2);
      expect(first!.delay).toBeGreaterThanOrEqual(100);
      expect(first!.delay).toBeLessThanOrEqual(200);
    });

    test("busy: fail fails it, and BullMQ's own attempts and backoff count", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      queues.worker(bullmq, queue, guard(coterie, () => "done", { resource, busy: "fail" }));
      const lock = await coterie.locks.acquire(resource);

      const hopeless = await queue.add("work", {});
      const patient = await queue.add("work", {}, { attempts: 20, backoff: 100 });
      await untilState(hopeless, "failed");
      await untilState(patient, "delayed");
      await lock.release();
      await untilState(patient, "completed");

      expect((await queue.getJob(hopeless.id!))!.failedReason).toContain(resource);
      const [attemptsMade, attemptsStarted] = await attemptsOf(queue.getJob(patient.id!));
      expect(attemptsMade).toBe(attemptsStarted);
      expect(attemptsMade).toBeGreaterThanOrEqual(2);
    });

    test("it fails after delaysMax delays", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      const delays = { delayMs: 20, delayMsMax: 20, delaysMax: 3 };
      queues.worker(bullmq, queue, guard(coterie, () => "done", { resource, busy: "delay", ...delays }));
      const lock = await coterie.locks.acquire(resource);

      const job = await queue.add("work", {});
      await untilState(job, "failed");
      await lock.release();

      expect(await attemptsOf(queue.getJob(job.id!))).toEqual([1, 4]);
    });
  });

  describe("a worker that closes", () => {
    test("lets the running job end, records it, and leaves no lock", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      const [started, end] = [gate(), gate()];
      const processor = guard(
        coterie,
        async (_job, _token, signal) => {
          started.open();
          await end.opened;
          return signal.aborted;
        },
        { resource },
      );
      const worker = queues.worker(bullmq, queue, processor);

      const job = await queue.add("work", {});
      await started.opened;
      const closed = worker.close();
      await clock.sleep(50);
      end.open();
      await closed;

      expect(await job.getState()).toBe("completed");
      expect((await queue.getJob(job.id!))!.returnvalue).toBe(false);
      const lock = await coterie.locks.tryAcquire(resource);
      expect(lock).toBeDefined();
      await lock!.release();
    });

    test("gives back at once a job that waits for its lock, and another worker runs it", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      const options: GuardOptions<Job> = { resource, waitMs: 20_000, delayMs: 50 };
      const processor = guard(coterie, () => "done", options);
      const worker = queues.worker(bullmq, queue, processor);
      const lock = await coterie.locks.acquire(resource);

      const job = await queue.add("work", {});
      await untilState(job, "active");
      await clock.sleep(50);
      const startedAt = clock.now();
      await worker.close();
      const tookMs = clock.now() - startedAt;
      const state = await job.getState();
      await lock.release();
      queues.worker(bullmq, queue, processor);
      await untilState(job, "completed");

      expect(state).toBe("delayed");
      // The worker's own closing of connections included.
      expect(tookMs).toBeLessThan(3000);
    });
  });

  describe("a job that BullMQ cancels", () => {
    test("learns of it by the signal, with the reason that was given", async () => {
      const queue = queues.queue(bullmq);
      const started = gate();
      let reason: unknown;
      const processor = guard(
        coterie,
        async (_job, _token, signal) => {
          started.open();
          await until("it is cancelled", () => signal.aborted);
          ({ reason } = signal);
          throw new Error("stopped");
        },
        { resource: freshName() },
      );
      const worker = queues.worker(bullmq, queue, processor);

      const job = await queue.add("work", {});
      await started.opened;
      expect(worker.cancelJob(job.id!, "not wanted")).toBe(true);
      await untilState(job, "failed");

      expect(reason).toBe("not wanted");
      expect((await queue.getJob(job.id!))!.failedReason).toBe("stopped");
    });

    test("while it waits for its lock never runs, and fails", async () => {
      const queue = queues.queue(bullmq);
      const resource = freshName();
      let runs = 0;
      const worker = queues.worker(bullmq, queue, guard(coterie, () => void (runs += 1), { resource }));
      const lock = await coterie.locks.acquire(resource);

      const job = await queue.add("work", {});
      await untilState(job, "active");
      await clock.sleep(30);
      worker.cancelJob(job.id!);
      await untilState(job, "failed");
      await lock.release();

      expect(runs).toBe(0);
    });

    test("and that ends well all the same is recorded as completed: it had its locks", async () => {
      const queue = queues.queue(bullmq);
      const [started, end] = [gate(), gate()];
      const processor = guard(
        coterie,
        async () => {
          started.open();
          await end.opened;
        },
        { resource: freshName() },
      );
      const worker = queues.worker(bullmq, queue, processor);

      const job = await queue.add("work", {});
      await started.opened;
      worker.cancelJob(job.id!);
      end.open();
      await untilState(job, "completed");

      expect(queues.errors).toEqual([]);
    });
  });

  test("what a processor throws is BullMQ's to judge, and its lock is released", async () => {
    const queue = queues.queue(bullmq);
    const resource = freshName();
    let runs = 0;
    const processor = guard(
      coterie,
      async (job: Job, token) => {
        runs += 1;
        if (job.name === "never again") throw new bullmq.UnrecoverableError("its own");
        if (runs > 2) return "done";
        await job.moveToDelayed(Date.now() + 20, token);
        throw new bullmq.DelayedError();
      },
      { resource },
    );
    queues.worker(bullmq, queue, processor);

    const unrecoverable = await queue.add("never again", {}, { attempts: 5 });
    await untilState(unrecoverable, "failed");
    const delayed = await queue.add("later", {});
    await untilState(delayed, "completed");

    expect((await queue.getJob(unrecoverable.id!))!.failedReason).toBe("its own");
    expect([runs, queues.errors]).toEqual([3, []]);
  });

  test("a resource that cannot be locked fails the job and says why", async () => {
    const queue = queues.queue(bullmq);
    const cases: readonly GuardOptions<Job>["resource"][] = [
      () => "",
      () => undefined as never,
      () => {
        throw new Error("in the resource function");
      },
    ];
    const reasons: string[] = [];
    for (const resource of cases) {
      const worker = queues.worker(bullmq, queue, guard(coterie, () => "done", { resource }));
      const job = await queue.add("work", {});
      await untilState(job, "failed");
      reasons.push((await queue.getJob(job.id!))!.failedReason);
      await worker.close();
    }

    expect(reasons[2]).toBe("in the resource function");
    for (const reason of reasons) expect(reason).not.toBe("");
  });
});

async function attemptsOf(found: Promise<Job | undefined>): Promise<[made: number, started: number]> {
  const { attemptsMade, attemptsStarted } = (await found)!;
  return [attemptsMade, attemptsStarted];
}

const processor = () => "done";

describe("options", () => {
  const resource =
    "guard: option resource must be a name, a list of names, or a function from the job to them";
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["no options", undefined, "guard: options must be an object, got undefined"],
    [
      "no resource",
      {},
      `${resource}, got undefined`,
    ],
    [
      "an empty name",
      { resource: "" },
      `${resource}, got ''`,
    ],
    [
      "no names",
      { resource: [] },
      `${resource}, got []`,
    ],
    [
      "a misspelt name",
      { resource: "a", lease: 5 },
      "guard: unknown option 'lease' (known: resource, leaseMs, busy, waitMs, delayMs, delayMsMax, " +
        "delaysMax, deadlineMs)",
    ],
    [
      "an unknown word",
      { resource: "a", busy: "skip" },
      `guard: option busy must be "wait", "delay" or "fail", got 'skip'`,
    ],
    [
      "too short a lease",
      { resource: "a", leaseMs: 9 },
      "guard: option leaseMs must be an integer of at least 10, got 9",
    ],
    [
      "a wait for ever",
      { resource: "a", waitMs: Infinity },
      "guard: option waitMs must be an integer from 0 to 2147483647, got Infinity",
    ],
    [
      "a delay of nothing",
      { resource: "a", delayMs: 0 },
      "guard: option delayMs must be an integer from 1 to 2147483647, got 0",
    ],
    [
      "a negative bound",
      { resource: "a", delaysMax: -1 },
      "guard: option delaysMax must be an integer of at least 0, got -1",
    ],
  ];
  test.each(wrong)("%s is refused, the option and the value quoted", async (_name, options, message) => {
    const error = await rejection(() => guard(coterie, processor, options as never), "INVALID_OPTION");

    expect(error.message).toBe(message);
  });

  test("an explicit undefined means the default", () => {
    const options: GuardOptions<Job> = {
      resource: "a",
      leaseMs: undefined,
      busy: undefined,
      waitMs: undefined,
      delayMs: undefined,
      delayMsMax: undefined,
      delaysMax: undefined,
      deadlineMs: undefined,
    };

    expect(() => guard(coterie, processor, options)).not.toThrow();
  });

  test("anything but a coterie and a function is refused", async () => {
    const noCoterie = await rejection(
      () => guard({} as Coterie, processor, { resource: "a" }),
      "INVALID_ARGUMENT",
    );
    const noFunction = await rejection(
      () => guard(coterie, "./processor.js" as never, { resource: "a" }),
      "INVALID_ARGUMENT",
    );

    expect(noCoterie.message).toBe("guard: the first parameter must be a coterie, got {}");
    expect(noFunction.message).toContain("wrap the function that the file exports");
  });
});
