import { afterEach, describe, expect, test } from "vitest";

import { systemEnv } from "../../src/env/index.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { outcomeOf, Redlocks, sleep } from "../support/redlocks.ts";

/** A lock of whatever package, and how it is given back. */
interface Held {
  release(): Promise<unknown>;
}

/** One package in one process: tries once, or waits for as long as it is told. */
interface Party {
  readonly name: string;
  take(resources: readonly string[], leaseMs: number): Promise<Held>;
}

const ONCE = { retryCount: 0 } as const;
/** A long wait for redlock: about 2 s, in small steps. */
const PATIENT = { retryCount: 40, retryDelay: 40, retryJitter: 20 } as const;
type Patience = typeof ONCE | typeof PATIENT;

let redis: Redlocks | undefined;

afterEach(async () => {
  await redis?.stop();
  redis = undefined;
});

async function start(count: number): Promise<Redlocks> {
  redis = await Redlocks.start(count);
  return redis;
}

function parties(on: Redlocks, patience: Patience): Party[] {
  const [ours, old5, old4] = [on.ours(patience), on.old5(patience), on.old4(patience)];
  return [
    { name: "ours", take: (resources, ms) => ours.acquire(resources, ms) },
    { name: "old 5", take: (resources, ms) => old5.acquire([...resources], ms) },
    {
      name: "old 4",
      take: async (resources, ms) => {
        const lock = await old4.lock([...resources], ms);
        return { release: () => lock.unlock() };
      },
    },
  ];
}

describe.each([1, 3, 5])("over %i instances", (count) => {
  test("whoever holds excludes the other packages, and after its release the next may hold", async () => {
    const on = await start(count);
    const all = parties(on, ONCE);

    for (let round = 0; round < 8; round += 1) {
      for (const holder of all) {
        const held = await holder.take([`r:${round}`], 5000);
        const others = await Promise.all(all.map((other) => outcomeOf(other.take([`r:${round}`], 1000))));
        await held.release();
        expect(others.map(({ state }) => state)).toEqual(["rejected", "rejected", "rejected"]);
      }
    }
  });

  test("several resources exclude each other where they overlap, and only there", async () => {
    const on = await start(count);
    const all = parties(on, ONCE);

    for (const holder of all) {
      const held = await holder.take(["a", "b"], 5000);
      for (const other of all) {
        const overlapping = [["b", "c"], ["a"], ["b"], ["c", "b", "a"]];
        for (const resources of overlapping) {
          expect((await outcomeOf(other.take(resources, 1000))).state).toBe("rejected");
        }
        const apart = await outcomeOf(other.take(["c", "d"], 1000));
        expect(apart.state).toBe("resolved");
        await apart.value?.release();
      }
      await held.release();
    }
  });

  test("ours, waiting behind an old holder that announces nothing, is served soon after its release", async () => {
    const on = await start(count);
    const [ours, ...olds] = parties(on, PATIENT) as [Party, Party, Party];

    for (const old of olds) {
      const held = await old.take(["r"], 5000);
      const waiting = outcomeOf(ours.take(["r"], 1000));
      await sleep(300);
      const releasedAt = systemEnv.clock.now();
      await held.release();
      const outcome = await waiting;
      const afterMs = systemEnv.clock.now() - releasedAt;
      await outcome.value?.release();

      expect(outcome.state).toBe("resolved");
      expect(outcome.tookMs).toBeGreaterThanOrEqual(290);
      expect(afterMs).toBeLessThan(500);
    }
  });

  test("ours, waiting behind an old holder that died, is served when its lease is over", async () => {
    const on = await start(count);
    const [ours, old5] = parties(on, PATIENT) as [Party, Party, Party];

    await old5.take(["r"], 400);
    const outcome = await outcomeOf(ours.take(["r"], 1000));

    expect(outcome.state).toBe("resolved");
    expect(outcome.tookMs).toBeGreaterThan(350);
    expect(outcome.tookMs).toBeLessThan(800);
  });

  test("an old one, waiting behind ours, is served at its next poll", async () => {
    const on = await start(count);
    const [ours, ...olds] = parties(on, PATIENT) as [Party, Party, Party];

    for (const old of olds) {
      const held = await ours.take(["r"], 5000);
      const waiting = outcomeOf(old.take(["r"], 3000));
      await sleep(150);
      await held.release();
      const outcome = await waiting;
      await outcome.value?.release();

      expect(outcome.state).toBe("resolved");
    }
  });
});

describe("under contention", () => {
  test.each([1, 3])("over %i instances nobody is inside together with another", async (count) => {
    const on = await start(count);
    const workers = [...parties(on, PATIENT), ...parties(on, PATIENT)];
    const chance = seededRandom(count);
    const grants: Record<string, number> = {};
    const inside = new Map<string, string>();
    const clashes: string[] = [];
    const stopAt = systemEnv.clock.now() + 4000;
    const pairs = [["a"], ["b"], ["a", "b"], ["b", "c"], ["c", "a"]] as const;

    const work = async ({ name, take }: Party): Promise<void> => {
      while (systemEnv.clock.now() < stopAt) {
        const resources = pairs[chance.below(pairs.length)]!;
        const outcome = await outcomeOf(take(resources, 5000));
        if (outcome.value !== undefined) {
          for (const resource of resources) {
            const other = inside.get(resource);
            if (other !== undefined) clashes.push(`${name} and ${other} hold ${resource}`);
            inside.set(resource, name);
          }
          await sleep(1 + chance.below(4));
          for (const resource of resources) inside.delete(resource);
          grants[name] = (grants[name] ?? 0) + 1;
          await outcomeOf(outcome.value.release());
        }
        await sleep(chance.below(30));
      }
    };
    await Promise.all(workers.map(work));

    expect(clashes).toEqual([]);
    expect(grants["ours"]).toBeGreaterThan(20);
    expect(grants["old 4"]).toBeGreaterThan(0);
    expect(grants["old 5"]).toBeGreaterThan(0);
  });
});

test("an old process does not break into what is kept for the first of our waiters", async () => {
  const on = await start(3);
  const [ours, old5] = parties(on, PATIENT) as [Party, Party, Party];
  const order: string[] = [];

  const held = await ours.take(["r"], 5000);
  const pass = async (name: string, party: Party): Promise<void> => {
    const lock = await party.take(["r"], 5000);
    order.push(name);
    await sleep(50);
    await lock.release();
  };
  const second = pass("ours", ours);
  await sleep(30);
  const third = pass("old", old5);
  await sleep(100);
  await held.release();
  await Promise.all([second, third]);

  expect(order).toEqual(["ours", "old"]);
});
