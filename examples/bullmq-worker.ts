/**
 * Charges to accounts in a BullMQ queue. Two charges to one account never run at once, however many workers
 * there are, and a charge that was run twice because its worker stalled is written in one order.
 */
import { type Job, Queue, QueueEvents, Worker } from "bullmq";

import { fencedSet, openCoterie } from "coterie";
import { guard, type GuardContext } from "coterie/bullmq";

interface Charge {
  readonly account: string;
  readonly amount: number;
}

const urls = (process.env["REDIS_URLS"] ?? "redis://127.0.0.1:6379").split(",");
const coterie = await openCoterie({ name: "charges", instances: urls });
const { shards } = coterie;

const processor = guard(coterie, charge, { resource: (job) => `account:${job.data.account}` });
const connection = { url: urls[0] ?? "", maxRetriesPerRequest: null };
const worker = new Worker<Charge, number>("charges", processor, { connection, concurrency: 4 });

async function charge(
  { data: { account, amount } }: Job<Charge, number>,
  _token: string | undefined,
  signal: AbortSignal,
  { fencingToken }: GuardContext,
): Promise<number> {
  const key = `balance:${account}`;
  const balance = Number(await shards.get(key, { signal })) + amount;
  const written = await fencedSet(shards, key, balance, fencingToken);
  if (!written) throw new Error(`a later charge to ${account} is written`);
  return balance;
}

const queue = new Queue<Charge, number>("charges", { connection });
const events = new QueueEvents("charges", { connection });
const accounts = ["ann", "bob", "ann", "bob", "ann"];
const charges = accounts.map((account) => ({ name: "charge", data: { account, amount: 10 } }));
for (const job of await queue.addBulk(charges)) await job.waitUntilFinished(events);
for (const account of ["ann", "bob"]) {
  console.log(`${account} has ${await shards.get(`balance:${account}`)}`);
}

await Promise.all([worker.close(), events.close(), queue.close()]);
await coterie.close();
