import { expect, test } from "vitest";

import { simEnv } from "../../../src/testing/index.ts";
import { Deadlines } from "../../../src/redis/deadlines.ts";
import type { WireCommand } from "../../../src/redis/wire.ts";

type Watched = Pick<WireCommand, "settled" | "deadlineAt"> & { name: string };

function stage() {
  const env = simEnv(1);
  const expired: string[] = [];
  const deadlines = new Deadlines(env, (command) => {
    const watched = command as unknown as Watched;
    watched.settled = true;
    expired.push(`${watched.name}@${Math.round(env.clock.now())}`);
  });
  const add = (name: string, deadlineMs: number): Watched => {
    const command: Watched = { name, settled: false, deadlineAt: 0 };
    deadlines.add(command as unknown as WireCommand, deadlineMs);
    return command;
  };
  return { env, expired, add, deadlines };
}

test("an unanswered command expires just after its deadline, never before", async () => {
  const { env, expired, add } = stage();
  const start = env.clock.now();
  add("a", 100);

  await env.clock.advance(100);
  const before = [...expired];
  await env.clock.advance(2);

  expect(before).toEqual([]);
  expect(expired).toEqual([`a@${Math.round(start) + 101}`]);
});

test("an answered command does not expire, and those behind it still do", async () => {
  const { env, expired, add } = stage();
  const first = add("first", 100);
  await env.clock.advance(50);
  add("second", 100);
  first.settled = true;

  await env.clock.advance(200);

  expect(expired.map((entry) => entry.split("@")[0])).toEqual(["second"]);
});

test("commands of different allowances expire each at its own time", async () => {
  const { env, expired, add } = stage();
  add("slow", 300);
  add("quick", 20);

  await env.clock.advance(50);
  const early = [...expired];
  await env.clock.advance(300);

  expect(early.map((entry) => entry.split("@")[0])).toEqual(["quick"]);
  expect(expired.map((entry) => entry.split("@")[0])).toEqual(["quick", "slow"]);
});

test("a thousand different allowances expire each, and once", async () => {
  const { env, expired, add } = stage();
  for (let ms = 1; ms <= 1000; ms += 1) add(`c${ms}`, ms).settled = ms % 2 === 0;

  await env.clock.advance(1100);

  expect(expired).toHaveLength(500);
});

test("the longest deadline that there is can be watched", async () => {
  const { env, expired, add } = stage();
  add("patient", 2 ** 31 - 1);

  await env.clock.advance(1000);

  expect(expired).toEqual([]);
});

test("after close nothing expires", async () => {
  const { env, expired, add, deadlines } = stage();
  add("a", 10);

  deadlines.close();
  await env.clock.advance(100);

  expect(expired).toEqual([]);
});
