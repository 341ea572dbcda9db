import { describe, expect, test } from "vitest";

import {
  type AskedEvent,
  checkHistory,
  describeFindings,
  type HistoryEvent,
  type LockMode,
  type Rule,
} from "../../support/lock-history.ts";

interface Story {
  readonly process?: string;
  readonly mode?: LockMode;
  readonly resources?: readonly string[];
  readonly permits?: number;
  readonly permit?: number;
  readonly remainingMin?: number;
  /** Asked, acquired, the end of the lease. */
  readonly from: readonly [number, number, number];
  readonly token: number;
  /** Release called and ended. */
  readonly release?: readonly [number, number];
  readonly more?: readonly HistoryEvent[];
}

/** The events of one hold, from the call to its release. */
function hold(call: string, story: Story): HistoryEvent[] {
  const { process = call, mode = "lock", resources = ["r"], permits, permit, token, release } = story;
  const { more = [] } = story;
  const [askedAt, at, until] = story.from;
  const { remainingMin = 0 } = story;
  const asked: AskedEvent = {
    event: "asked",
    call,
    process,
    resources,
    mode,
    at: askedAt,
    dueAt: askedAt + 70,
    remainingMin,
    ...(permits === undefined ? {} : { permits }),
  };
  const events: HistoryEvent[] = [
    asked,
    { event: "acquired", call, at, until, token, ...(permit === undefined ? {} : { permit }) },
    ...more,
  ];
  if (release === undefined) return events;
  const [begunAt, endedAt] = release;
  events.push({ event: "releasing", call, at: begunAt, dueAt: begunAt + 50 });
  events.push({ event: "released", call, at: endedAt, isConfirmed: true });
  return events;
}

const of1 = { mode: "permit", permits: 1 } as const;
const of2 = { mode: "permit", permits: 2 } as const;
const of3 = { mode: "permit", permits: 3 } as const;
const lost = (call: string, at: number): HistoryEvent => ({ event: "lost", call, at });
const seen = (call: string, at: number, until: number): HistoryEvent => ({ event: "seen", call, at, until });
const stalled = (process: string, at: number, until: number): HistoryEvent => ({
  event: "stalled",
  process,
  at,
  until,
});

function rules(events: readonly HistoryEvent[], endAt = 10_000): Rule[] {
  return checkHistory(events, { endAt, slack: 1 }).map(({ rule }) => rule);
}

const GOOD: Readonly<Record<string, readonly HistoryEvent[]>> = {
  "in holds one after the other": [
    ...hold("a", { from: [0, 5, 105], token: 1, release: [60, 62] }),
    ...hold("b", { from: [1, 60, 160], token: 2, release: [80, 85] }),
  ],
  "in the next hold after a lease that ended, and was told": [
    ...hold("a", { from: [0, 5, 105], token: 1, more: [lost("a", 103)] }),
    ...hold("b", { from: [100, 106, 206], token: 2, release: [150, 155] }),
  ],
  "in holds of different resources, and of a lock and a semaphore of one name": [
    ...hold("a", { from: [0, 5, 105], token: 5, release: [60, 62] }),
    ...hold("b", { from: [0, 6, 106], token: 4, resources: ["s"], release: [60, 62] }),
    ...hold("c", { from: [0, 7, 107], token: 3, ...of1, permit: 0, release: [60, 62] }),
  ],
  "in readers together, whatever the order of tokens of those that asked together": [
    ...hold("a", { from: [0, 5, 105], token: 2, mode: "read", release: [60, 62] }),
    ...hold("b", { from: [4, 6, 106], token: 1, mode: "read", release: [61, 63] }),
    ...hold("c", { from: [7, 70, 170], token: 3, mode: "write", release: [80, 81] }),
  ],
  "in readers of one moment that have the same token": [
    ...hold("a", { from: [0, 5, 105], token: 1, mode: "read", release: [60, 62] }),
    ...hold("b", { from: [4, 6, 106], token: 1, mode: "read", release: [61, 63] }),
  ],
  "in as many permits as there are": [
    ...hold("a", { from: [0, 5, 105], token: 1, ...of2, permit: 0, release: [60, 62] }),
    ...hold("b", { from: [0, 6, 106], token: 1, ...of2, permit: 1, release: [61, 62] }),
    ...hold("c", { from: [0, 60, 160], token: 2, ...of2, permit: 0, release: [70, 71] }),
  ],
  "in a lease that is renewed in time": hold("a", {
    from: [0, 5, 105],
    token: 1,
    more: [seen("a", 50, 150), seen("a", 140, 240)],
    release: [200, 210],
  }),
  "in a late answer, a late loss and a late end of a process that was stalled": [
    ...hold("a", { from: [0, 115, 175], token: 1, more: [stalled("a", 10, 60), stalled("a", 160, 200)] }),
    lost("a", 200),
  ],
  "in what a killed process leaves open": [
    ...hold("a", { from: [0, 5, 105], token: 1, more: [{ event: "killed", process: "a", at: 20 }] }),
    { event: "asked", call: "b", process: "a", resources: ["r"], mode: "lock", at: 10, dueAt: 60 },
  ],
  "in the next hold after one was taken away by hand": [
    ...hold("a", { from: [0, 5, 105], token: 1, more: [lost("a", 90)] }),
    { event: "forced", resource: "r", at: 40, until: 45 },
    ...hold("b", { from: [20, 44, 144], token: 2, release: [60, 62] }),
  ],
  "in a lower token of an attempt from which a lock was taken by hand": [
    ...hold("a", { from: [0, 5, 105], token: 2, release: [60, 62] }),
    { event: "forced", resource: "r", at: 3, until: 4 },
    ...hold("b", { from: [1, 6, 106], token: 1, release: [61, 63] }),
    ...hold("c", { from: [7, 65, 165], token: 3, release: [70, 71] }),
  ],
  "in an attempt that failed": [
    { event: "asked", call: "a", process: "a", resources: ["r"], mode: "lock", at: 0, dueAt: 50 },
    { event: "failed", call: "a", at: 50, code: "LOCKED" },
  ],
};

const held = hold("a", { from: [0, 5, 105], token: 1, release: [60, 62] });
const BAD: readonly (readonly [string, Rule, readonly HistoryEvent[]])[] = [
  [
    "that two hold at once",
    "overlap",
    [...held, ...hold("b", { from: [0, 59, 160], token: 2, release: [70, 71] })],
  ],
  [
    "that a renewed lease was given to another",
    "overlap",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, more: [seen("a", 50, 150)], release: [140, 141] }),
      ...hold("b", { from: [0, 110, 210], token: 2, release: [150, 151] }),
    ],
  ],
  [
    "that one of several resources is held twice",
    "overlap",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, resources: ["q", "r"], release: [60, 61] }),
      ...hold("b", { from: [0, 6, 106], token: 2, resources: ["r", "s"], release: [61, 62] }),
    ],
  ],
  [
    "that somebody writes beside a reader",
    "overlap",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, mode: "read", release: [60, 62] }),
      ...hold("b", { from: [0, 6, 106], token: 2, mode: "write", release: [61, 62] }),
    ],
  ],
  [
    "that one permit is given twice",
    "overlap",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, ...of3, permit: 1, release: [60, 62] }),
      ...hold("b", { from: [0, 6, 106], token: 2, ...of3, permit: 1, release: [61, 62] }),
    ],
  ],
  [
    "that there are more permits than allowed",
    "permits",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, ...of1, permit: 0, release: [60, 62] }),
      ...hold("b", { from: [0, 6, 106], token: 2, ...of1, permit: 1, release: [61, 62] }),
    ],
  ],
  [
    "that a token fell",
    "token",
    [...held, ...hold("b", { from: [0, 61, 160], token: 0, release: [70, 71] })],
  ],
  [
    "that a token is used twice",
    "token",
    [...held, ...hold("b", { from: [0, 61, 160], token: 1, release: [70, 71] })],
  ],
  [
    "that a later reader has a lower token",
    "token",
    [
      ...hold("a", { from: [0, 5, 105], token: 2, mode: "read", release: [60, 62] }),
      ...hold("b", { from: [6, 7, 107], token: 1, mode: "read", release: [61, 63] }),
    ],
  ],
  [
    "that a later reader has the token of an earlier one",
    "token",
    [
      ...hold("a", { from: [0, 5, 105], token: 1, mode: "read", release: [60, 62] }),
      ...hold("b", { from: [6, 7, 107], token: 1, mode: "read", release: [61, 63] }),
    ],
  ],
  [
    "that a token fell below that of a lock that was taken by hand before it was asked for",
    "token",
    [
      ...hold("a", { from: [0, 5, 105], token: 2, release: [60, 62] }),
      { event: "forced", resource: "r", at: 3, until: 4 },
      ...hold("b", { from: [6, 61, 161], token: 1, release: [70, 71] }),
    ],
  ],
  [
    "that a token fell below one before the last",
    "token",
    [
      ...hold("a", { from: [0, 5, 105], token: 9, release: [10, 11] }),
      ...hold("b", { from: [0, 12, 112], token: 5, mode: "lock", release: [13, 14] }),
      ...hold("c", { from: [0, 15, 115], token: 7, release: [16, 17] }),
    ],
  ],
  [
    "that too little was left of a lease",
    "remaining",
    hold("a", { from: [0, 5, 29], token: 1, remainingMin: 25, release: [10, 11] }),
  ],
  [
    "that a lease was over before it began",
    "remaining",
    hold("a", { from: [0, 45, 44], token: 1, release: [46, 47] }),
  ],
  [
    "that a lease is seen again after its end",
    "revived",
    hold("a", { from: [0, 5, 105], token: 1, more: [seen("a", 106, 206)], release: [200, 201] }),
  ],
  [
    "that a lock is held after its loss",
    "revived",
    hold("a", { from: [0, 5, 105], token: 1, more: [lost("a", 90), seen("a", 95, 195)] }),
  ],
  [
    "that a renewal is confirmed after the lease",
    "revived",
    hold("a", {
      from: [0, 5, 105],
      token: 1,
      more: [
        { event: "renewing", call: "a", at: 100, dueAt: 150 },
        lost("a", 104),
        { event: "renewed", call: "a", at: 107, isConfirmed: true },
      ],
    }),
  ],
  ["that an answer came late", "late", hold("a", { from: [0, 72, 172], token: 1, release: [80, 81] })],
  ["that a release took too long", "late", hold("a", { from: [0, 5, 105], token: 1, release: [60, 112] })],
  ["that an answer never came", "late", held.slice(0, 1)],
  ["that a release never ended", "late", held.slice(0, -1)],
  ["that a loss was told late", "loss", hold("a", { from: [0, 5, 105], token: 1, more: [lost("a", 107)] })],
  ["that a loss was never told", "loss", hold("a", { from: [0, 5, 105], token: 1 })],
  [
    "that a process which was stalled heard of its loss too late even so",
    "loss",
    hold("a", { from: [0, 5, 105], token: 1, more: [stalled("a", 90, 110), lost("a", 112)] }),
  ],
  [
    "that a call was answered twice",
    "order",
    [...held, { event: "failed", call: "a", at: 7, code: "LOCKED" }],
  ],
  ["that a lock came without a call", "order", held.slice(1)],
];

describe("nothing is found", () => {
  test.each(Object.entries(GOOD))("%s", (_, events) => {
    expect(describeFindings(checkHistory(events, { endAt: 10_000, slack: 1 }))).toBe("");
  });
});

describe("it is found", () => {
  test.each(BAD)("%s", (_, rule, events) => {
    expect(rules(events)).toContain(rule);
  });
});

test("what is not due yet when the observation ends is not missed", () => {
  const open = hold("a", { from: [0, 5, 105], token: 1 });

  expect(rules(open, 105)).toEqual([]);
  expect(rules(open, 107)).toEqual(["loss"]);
});

test("a finding names the calls, their processes, tokens and times", () => {
  const events = [
    ...hold("a1", { from: [0, 5, 105], token: 1, process: "a", release: [60, 62] }),
    ...hold("b1", { from: [0, 59, 160], token: 2, process: "b", release: [70, 71] }),
  ];

  const report = describeFindings(checkHistory(events, { endAt: 1000 }));

  expect(report).toBe(
    '59.000 overlap: lock "r" is held twice: ' +
      "a1 of a (token 1, from 5 to 60) and b1 of b (token 2, from 59 to 70)",
  );
});

test("where two may hold at once, only a token asked for after another was acquired must be higher", () => {
  const first = hold("a", { from: [0, 5, 105], token: 2, release: [60, 62] });
  const together = hold("b", { from: [4, 6, 106], token: 1, release: [61, 63] });
  const later = hold("c", { from: [6, 7, 107], token: 1.5, release: [62, 63] });
  const tokensOf = (events: readonly HistoryEvent[], tokenOrder: "acquired" | "asked"): Rule[] =>
    checkHistory(events, { endAt: 1000, tokenOrder })
      .map(({ rule }) => rule)
      .filter((rule) => rule === "token");

  expect(tokensOf([...first, ...together], "acquired")).toEqual(["token"]);
  expect(tokensOf([...first, ...together], "asked")).toEqual([]);
  expect(tokensOf([...first, ...later], "asked")).toEqual(["token"]);
});
