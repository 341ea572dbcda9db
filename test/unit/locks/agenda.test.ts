import { describe, expect, test } from "vitest";

import { Agenda, type AgendaItem } from "../../../src/locks/core/agenda.ts";
import { SteadyClock } from "../../../src/locks/core/steady-clock.ts";
import { seededRandom, simEnv } from "../../../src/testing/index.ts";

class Item implements AgendaItem {
  heapAt = -1;
  dueAt = 0;
  readonly calledAt: number[] = [];
  readonly onDue = (now: number): void => {
    this.calledAt.push(now);
  };
}

function stage(seed = 1): { clock: ReturnType<typeof simEnv>["clock"]; agenda: Agenda } {
  const { clock } = simEnv(seed);
  return { clock, agenda: new Agenda(clock, new SteadyClock(clock)) };
}

describe("an agenda", () => {
  test("calls each item at its time, with one timer for all", async () => {
    const { clock, agenda } = stage();
    const items = [30, 10, 20].map(() => new Item());
    const start = clock.now();

    items.forEach((item, at) => agenda.set(item, start + [30, 10, 20][at]!));

    expect(clock.pendingTimers).toBe(1);
    await clock.advance(100);
    expect(items.map(({ calledAt }) => calledAt.map((now) => now - start))).toEqual([[30], [10], [20]]);
    expect(agenda.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test("forgets what was removed, and moves what was set again", async () => {
    const { clock, agenda } = stage();
    const [gone, moved] = [new Item(), new Item()];
    const start = clock.now();
    agenda.set(gone, start + 10);
    agenda.set(moved, start + 10);

    agenda.remove(gone);
    agenda.remove(gone);
    agenda.set(moved, start + 50);
    await clock.advance(49);
    const before = moved.calledAt.length;
    await clock.advance(1);

    expect(gone.calledAt).toEqual([]);
    expect([before, moved.calledAt.length]).toEqual([0, 1]);
  });

  test("is not late by what the machine slept, neither for old items nor for new ones", async () => {
    const { clock, agenda } = stage();
    const [old, fresh] = [new Item(), new Item()];
    agenda.set(old, clock.now() + 20_000);

    clock.suspend(20_000);
    await clock.advance(1000);
    const steady = new SteadyClock(clock);
    agenda.set(fresh, clock.now() + 20_000 + 100);
    await clock.advance(100);

    expect(steady.asleepMs).toBe(0);
    expect(old.calledAt).toHaveLength(1);
    expect(fresh.calledAt).toHaveLength(1);
  });

  test("takes new items from within a call", async () => {
    const { clock, agenda } = stage();
    const item = new Item();
    const again: AgendaItem = {
      heapAt: -1,
      dueAt: 0,
      onDue: (now) => agenda.set(item, now + 5),
    };

    agenda.set(again, clock.now() + 5);
    await clock.advance(10);

    expect(item.calledAt).toHaveLength(1);
  });

  test("lets others have their turn when much is due at once", async () => {
    const { clock, agenda } = stage();
    const items = Array.from({ length: 1200 }, () => new Item());
    const called = (): number => items.filter(({ calledAt }) => calledAt.length > 0).length;
    const seen: number[] = [];
    for (const item of items) agenda.set(item, clock.now() + 5);
    clock.after(5, () => seen.push(called()));

    await clock.advance(5);

    expect(seen).toEqual([500]);
    expect(called()).toBe(1200);
  });

  test("leaves no timer when it is closed", () => {
    const { clock, agenda } = stage();
    const item = new Item();
    agenda.set(item, clock.now() + 5);

    agenda.close();

    expect(clock.pendingTimers).toBe(0);
    expect(item.heapAt).toBe(-1);
  });

  test("agrees with a sorted list under any adding, moving and removing", async () => {
    const { clock, agenda } = stage();
    const random = seededRandom(7);
    const items = Array.from({ length: 200 }, () => new Item());
    const start = clock.now();
    const expected = new Map<Item, number>();

    for (let step = 0; step < 5000; step += 1) {
      const item = items[random.below(items.length)]!;
      if (random.below(4) === 0) {
        agenda.remove(item);
        expected.delete(item);
      } else {
        const dueAt = start + 1 + random.below(1000);
        agenda.set(item, dueAt);
        expected.set(item, dueAt);
      }
    }
    expect(agenda.size).toBe(expected.size);
    await clock.advance(2000);

    for (const item of items) {
      const dueAt = expected.get(item);
      expect(item.calledAt).toEqual(dueAt === undefined ? [] : [dueAt]);
    }
  });
});
