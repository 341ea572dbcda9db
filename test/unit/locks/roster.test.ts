import { describe, expect, test } from "vitest";

import { type Listed, Register, type Registered, Roster } from "../../../src/locks/core/roster.ts";
import { seededRandom } from "../../../src/testing/index.ts";

class One implements Listed, Registered<One> {
  readonly base: string;
  rosterAt = -1;
  nextRegistered: One | undefined;

  constructor(number: number) {
    this.base = `0123456789abcdef${number.toString(16).padStart(12, "0")}`;
  }
}

function ones(count: number): One[] {
  return Array.from({ length: count }, (_, number) => new One(number));
}

describe("a roster", () => {
  test("has what was added and not removed, once each", () => {
    const roster = new Roster<One>();
    const [a, b, c] = ones(3) as [One, One, One];

    for (const one of [a, b, c, b]) roster.add(one);
    roster.remove(a);
    roster.remove(a);

    expect(new Set(roster.all())).toEqual(new Set([b, c]));
    expect(roster.size).toBe(2);
  });

  test("agrees with a set under any adding and removing", () => {
    const roster = new Roster<One>();
    const expected = new Set<One>();
    const random = seededRandom(3);
    const all = ones(100);

    for (let step = 0; step < 5000; step += 1) {
      const one = all[random.below(all.length)]!;
      if (random.below(2) === 0) {
        roster.add(one);
        expected.add(one);
      } else {
        roster.remove(one);
        expected.delete(one);
      }
    }

    expect(new Set(roster.all())).toEqual(expected);
    expect(roster.size).toBe(expected.size);
  });
});

describe("a register", () => {
  test("finds by name, also among names whose digits collide", () => {
    const register = new Register<One>();
    const [a, b] = [new One(1), new One(1 + 2 ** 28)];

    register.add(a);
    register.add(b);

    expect(register.get(a.base)).toBe(a);
    expect(register.get(b.base)).toBe(b);
    register.remove(a);
    register.remove(a);
    expect(register.get(a.base)).toBeUndefined();
    expect(register.get(b.base)).toBe(b);
    expect(register.size).toBe(1);
  });

  test("agrees with a map under any adding and removing, however many there are", () => {
    const register = new Register<One>();
    const expected = new Map<string, One>();
    const random = seededRandom(5);
    const all = ones(3000);

    for (let step = 0; step < 60_000; step += 1) {
      const one = all[random.below(all.length)]!;
      const isThere = expected.has(one.base);
      // More come than go for the first half, then more go than come.
      const mayAdd = random.below(3) !== (step < 30_000 ? 0 : 1);
      if (!isThere && mayAdd && step < 55_000) {
        register.add(one);
        expected.set(one.base, one);
      } else if (isThere && !mayAdd) {
        register.remove(one);
        expected.delete(one.base);
      }
    }

    expect(register.size).toBe(expected.size);
    expect(new Set(register.all())).toEqual(new Set(expected.values()));
    for (const one of all) expect(register.get(one.base)).toBe(expected.get(one.base));
  });
});
