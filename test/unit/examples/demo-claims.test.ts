/** The demo's checklist goes red on each bad observation, one claim at a time, and on having seen nothing. */
import { describe, expect, test } from "vitest";

import { compareOwners, judgeClaims, type Observations } from "../../../examples/demo/claims.ts";
import type { Counts, TallySnapshot } from "../../../examples/demo/tally.ts";

const CLAIMS = [
  "all processes name the same owner for every item",
  "requests are spread as the ring says, within 8 percentage points",
  "every process served requests, and every shard",
  "while b was dead, every request for the other shards was answered 2xx",
  "its own keys got 503 with Retry-After and problem+json, and not one a 2xx",
  "started again, every process served them within 5 s, and every request since",
  "every item holds its last acknowledged write, or a later one",
  "nobody got anything else: no other status, no wrong shard, no stale value, no hang-up",
] as const;

const served = (count: number): Counts => ({ served: count, refused: 0, wrong: 0 });
const refused = (count: number): Counts => ({ served: 0, refused: count, wrong: 0 });
const each = (counts: Counts): Record<string, Counts> => ({ a: counts, b: counts, c: counts });

const GOOD: Observations & { readonly tally: TallySnapshot } = {
  apps: ["app 1", "app 2", "app 3"],
  shares: { a: 0.34, b: 0.33, c: 0.33 },
  survey: { items: 100, disagreements: [] },
  tally: {
    phases: {
      before: each(served(100)),
      changing: { ...each(served(5)), b: { served: 2, refused: 3, wrong: 0 } },
      outage: { ...each(served(100)), b: refused(100) },
      after: each(served(100)),
    },
    served: { "app 1": 300, "app 2": 300, "app 3": 300 },
    wrongs: [],
  },
  outage: { shard: "b", recoveryMs: 700 },
  writes: { acknowledged: 500, itemsRead: 100, lost: [] },
};

function withPhase(phase: keyof TallySnapshot["phases"], shard: string, counts: Counts): Observations {
  const { tally } = GOOD;
  const phases = { ...tally.phases, [phase]: { ...tally.phases[phase], [shard]: counts } };
  return { ...GOOD, tally: { ...tally, phases } };
}

function failed(observations: Observations): string[] {
  return judgeClaims(observations)
    .filter(({ holds }) => !holds)
    .map(({ claim }) => claim);
}

test("when all went well, every claim holds and says what was seen", () => {
  const claims = judgeClaims(GOOD);

  expect(claims.map(({ claim }) => claim)).toEqual(CLAIMS);
  expect(claims.filter(({ holds }) => !holds)).toEqual([]);
  expect(claims.map(({ seen }) => seen)).toEqual([
    "100 items asked of 3 processes",
    "a 33.3 % of 34.0 %, b 33.3 % of 33.0 %, c 33.3 % of 33.0 % in 300 requests",
    "app 1 300, app 2 300, app 3 300",
    "200 served during the outage; 0 refused and 0 wrong at any time",
    "100 refused, 0 served, 0 wrong",
    "after 700 ms; since then 100 served, 0 refused, 0 wrong",
    "500 writes acknowledged, 100 items read",
    "915 requests, 0 wrong",
  ]);
});

const [AGREE, SPREAD, EVERY, OTHERS, DEAD, BACK, WRITES, ELSE] = CLAIMS;
const wrong = (counts: Counts): Counts => ({ ...counts, wrong: 1 });
const bad: readonly (readonly [string, Observations, readonly string[]])[] = [
  [
    "two processes differ on one owner",
    { ...GOOD, survey: { items: 100, disagreements: ["n7: a, b, a"] } },
    [AGREE],
  ],
  ["no item was compared", { ...GOOD, survey: { items: 0, disagreements: [] } }, [AGREE]],
  ["only one process was asked", { ...GOOD, apps: ["app 1"] }, [AGREE]],
  ["one shard got too much", withPhase("before", "a", served(145)), [SPREAD]],
  ["one shard got nothing", withPhase("before", "c", served(0)), [SPREAD, EVERY]],
  [
    "one process served nothing",
    { ...GOOD, tally: { ...GOOD.tally, served: { "app 1": 300, "app 2": 300 } } },
    [EVERY],
  ],
  [
    "another shard refused one request in the outage",
    withPhase("outage", "a", { ...served(100), refused: 1 }),
    [OTHERS],
  ],
  [
    "another shard refused one request while b was killed",
    withPhase("changing", "c", { ...served(5), refused: 1 }),
    [OTHERS],
  ],
  [
    "another shard refused one request beforehand",
    withPhase("before", "c", { ...served(100), refused: 1 }),
    [OTHERS],
  ],
  [
    "the other shards were asked nothing in the outage",
    { ...GOOD, tally: { ...GOOD.tally, phases: { ...GOOD.tally.phases, outage: { b: refused(100) } } } },
    [OTHERS],
  ],
  [
    "one of the dead shard's keys was answered 2xx",
    withPhase("outage", "b", { ...refused(100), served: 1 }),
    [DEAD],
  ],
  ["the dead shard's keys were asked nothing", withPhase("outage", "b", refused(0)), [DEAD]],
  [
    "some process never served them again",
    { ...GOOD, outage: { shard: "b", recoveryMs: undefined } },
    [BACK],
  ],
  ["it took too long", { ...GOOD, outage: { shard: "b", recoveryMs: 5001 } }, [BACK]],
  ["one was refused after the recovery", withPhase("after", "b", { ...served(100), refused: 1 }), [BACK]],
  ["nothing was asked after the recovery", withPhase("after", "b", served(0)), [BACK]],
  [
    "an acknowledged write was lost",
    { ...GOOD, writes: { ...GOOD.writes, lost: ["n7: 3, not 4"] } },
    [WRITES],
  ],
  ["no write was acknowledged", { ...GOOD, writes: { ...GOOD.writes, acknowledged: 0 } }, [WRITES]],
  ["no item was read back", { ...GOOD, writes: { ...GOOD.writes, itemsRead: 0 } }, [WRITES]],
  [
    "a wrong answer beforehand, of the shard that dies later",
    withPhase("before", "b", wrong(served(100))),
    [ELSE],
  ],
  ["a wrong answer of another shard", withPhase("outage", "a", wrong(served(100))), [OTHERS, ELSE]],
  ["a wrong answer of the dead shard", withPhase("outage", "b", wrong(refused(100))), [DEAD, ELSE]],
  ["a wrong answer after the recovery", withPhase("after", "b", wrong(served(100))), [BACK, ELSE]],
];

test.each(bad)("%s: that claim fails, and no other", (_name, observations, claims) => {
  expect(failed(observations)).toEqual(claims);
});

test("the failed claims' texts name the first case", () => {
  const seen = (observations: Observations, claim: string) =>
    judgeClaims(observations).find((one) => one.claim === claim)?.seen;

  expect(seen({ ...GOOD, survey: { items: 100, disagreements: ["n7: a, b, a"] } }, AGREE)).toContain(
    "n7: a, b, a",
  );
  expect(seen({ ...GOOD, writes: { ...GOOD.writes, lost: ["n7: 3, not 4"] } }, WRITES)).toContain(
    "n7: 3, not 4",
  );
});

describe("without an outage", () => {
  const quiet: Observations = {
    ...GOOD,
    outage: undefined,
    tally: { ...GOOD.tally, phases: { before: each(served(100)), changing: {}, outage: {}, after: {} } },
  };

  test("every request has to be answered 2xx", () => {
    const claims = judgeClaims(quiet);

    expect(claims.map(({ claim }) => claim)).toEqual([
      AGREE,
      SPREAD,
      EVERY,
      "every request was answered 2xx",
      WRITES,
      ELSE,
    ]);
    expect(claims.every(({ holds }) => holds)).toBe(true);
  });

  test("one refusal fails the claim", () => {
    const before = { ...each(served(100)), b: { served: 100, refused: 1, wrong: 0 } };

    expect(
      failed({ ...quiet, tally: { ...quiet.tally, phases: { ...quiet.tally.phases, before } } }),
    ).toEqual(["every request was answered 2xx"]);
  });
});

test("no observation at all fails every claim", () => {
  const phases = { before: {}, changing: {}, outage: {}, after: {} };

  const claims = judgeClaims({
    apps: [],
    shares: {},
    survey: { items: 0, disagreements: [] },
    tally: { phases, served: {}, wrongs: [] },
    outage: { shard: "b", recoveryMs: undefined },
    writes: { acknowledged: 0, itemsRead: 0, lost: [] },
  });

  expect(claims.filter(({ holds }) => holds)).toEqual([]);
});

describe("comparing owners", () => {
  const same = new Map([["n1", "a"], ["n2", "b"]]);

  test("the same answers agree", () => {
    expect(compareOwners([same, same, same], ["n1", "n2"])).toEqual({ items: 2, disagreements: [] });
  });

  test("another owner and no answer are disagreements, and nobody asked means no items", () => {
    const other = new Map([["n1", "b"]]);

    expect(compareOwners([same, other], ["n1", "n2"]).disagreements).toEqual(["n1: a, b", "n2: b, nothing"]);
    expect(compareOwners([new Map(), new Map()], ["n1"]).disagreements).toEqual(["n1: nothing, nothing"]);
    expect(compareOwners([], ["n1"])).toEqual({ items: 0, disagreements: [] });
  });
});
