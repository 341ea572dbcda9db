/**
 * What a user's compiler says about `coterie/bullmq`, with the types of BullMQ 6 and 5. Compiled with the
 * tests and never run: each `@ts-expect-error` is a mistake that must not compile, and all else must.
 */
import { type Job, Worker } from "bullmq";
import { type Job as Job5, Worker as Worker5 } from "bullmq5";

import { guard, type GuardContext, type GuardOptions, watch } from "../../middleware/bullmq/index.ts";
import type { Coterie, Lock } from "../../src/index.ts";

declare const coterie: Coterie;

interface Charge {
  readonly account: string;
}
const connection = { host: "127.0.0.1" };
const resource = (job: { readonly data: Charge }): string => job.data.account;

const worker = new Worker<Charge, number>(
  "charges",
  guard(
    coterie,
    async (job: Job<Charge, number>, token, signal, context) => {
      const parts: readonly [string, string | undefined, AbortSignal] = [job.data.account, token, signal];
      const { fencingToken, attempt, lock }: GuardContext = context;
      const held: Lock = lock;
      return fencingToken + attempt + parts.length + held.remainingMs;
    },
    { resource, leaseMs: 5000, busy: "delay", delayMs: 100, delayMsMax: undefined },
  ),
  { connection },
);
const older = new Worker5<Charge>(
  "charges",
  guard(coterie, (job: Job5<Charge>) => job.data.account, { resource: (job) => [job.data.account, "all"] }),
  { connection },
);
// Without a type of its own the job is BullMQ's, with any data.
const untyped = new Worker("any", guard(coterie, (job) => job.name, { resource: (job) => job.name }), {
  connection,
});
const options: GuardOptions<Job> = { resource: ["a", "b"], busy: "fail" };
const alone = guard({ locks: coterie.locks }, () => undefined, options);
watch(worker);
watch(older);

// @ts-expect-error -- a resource is needed
guard(coterie, () => 1, {});
// @ts-expect-error -- an unknown word
guard(coterie, () => 1, { resource: "a", busy: "skip" });
// @ts-expect-error -- an unknown option
guard(coterie, () => 1, { resource: "a", lease: 5 });
// @ts-expect-error -- a number is no resource
guard(coterie, () => 1, { resource: () => 7 });
// @ts-expect-error -- a file's name is no function
guard(coterie, "./processor.js", { resource: "a" });
// @ts-expect-error -- no coterie
guard({}, () => 1, { resource: "a" });

export { alone, untyped };
