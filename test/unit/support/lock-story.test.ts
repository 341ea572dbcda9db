import { expect, test } from "vitest";

import type { LockEvent } from "../../support/lock-events.ts";
import { checkHistory } from "../../support/lock-history.ts";
import { historyOf, Tellings } from "../../support/lock-story.ts";

const BOUNDS = { acquireMs: 100, releaseMs: 50 };
const work = { kind: "lock", resources: ["r"] } as const;

function acquired(at: number, until: number): LockEvent {
  return { event: "acquired", hold: 1, at, until, token: 7, holderToken: "h", votes: [], tookMs: 1, ...work };
}

function tell(process: string, ...events: readonly LockEvent[]): Tellings {
  const tellings = new Tellings();
  for (const event of events) tellings.add({ ...event, process });
  return tellings;
}

function rules(tellings: Tellings): string[] {
  return checkHistory(historyOf(tellings.all, BOUNDS), { endAt: 10_000_000 }).map(({ rule }) => rule);
}

const asked: LockEvent = { event: "asked", hold: 1, at: 1_000, waitMs: 20, ...work };
const releasing: LockEvent = { event: "releasing", hold: 1, at: 4_000 };
const released: LockEvent = { event: "released", hold: 1, at: 4_500, confirmed: true };

test("what a program says of a hold is a history in which it is due, held and released", () => {
  const history = historyOf(tell("p", asked, acquired(2_000, 9_000), releasing, released).all, BOUNDS);

  expect(history).toEqual([
    { event: "asked", call: "p 1", process: "p", resources: ["r"], mode: "lock", at: 1_000, dueAt: 121_000 },
    { event: "acquired", call: "p 1", at: 2_000, until: 9_000, token: 7 },
    { event: "releasing", call: "p 1", at: 4_000, dueAt: 54_000 },
    { event: "released", call: "p 1", at: 4_500, isConfirmed: true },
  ]);
});

test("an answer that a pause kept from being looked at came before the pause", () => {
  const late = acquired(900_100, 900_100);
  const stalled: LockEvent = { event: "stalled", at: 1_900, until: 900_050 };
  const lost: LockEvent = { event: "lost", hold: 1, at: 900_050 };

  expect(rules(tell("p", asked, late, lost, stalled))).toEqual([]);
  expect(rules(tell("p", asked, late, lost))).toContain("remaining");
});

test("tellings are counted by what they are and since when", () => {
  const tellings = tell("p", asked, { ...asked, hold: 2, at: 5_000 }, releasing);

  expect(tellings.count("asked", 0)).toBe(2);
  expect(tellings.count("asked", 2_000)).toBe(1);
  expect(tellings.count("lost", 0)).toBe(0);
  expect(tellings.of("asked").map(({ hold }) => hold)).toEqual([1, 2]);
});
