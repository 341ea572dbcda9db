import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  type BootRecord,
  type BootState,
  encodeBoot,
  groupDigest,
  judgeBoot,
  mismatch,
  parseBoot,
  Quarantine,
} from "../../../src/locks/group/boot.ts";

const OWN = { leaseMsMax: 30_000, digest: groupDigest(["a", "b", "c"], 30_000), id: "a" };
const RECORD: BootRecord = { ...OWN, runId: "r1", state: "member", nonce: "n1", durable: false };

const records: fc.Arbitrary<BootRecord> = fc.record({
  leaseMsMax: fc.integer({ min: 10, max: 86_400_000 }),
  digest: fc.stringMatching(/^[0-9a-f]{16}$/),
  id: fc.string({ unit: "grapheme", minLength: 1 }),
  runId: fc.stringMatching(/^[0-9a-f]{40}$/),
  state: fc.constantFrom<BootState>("new", "member", "abstaining", "leapt"),
  nonce: fc.stringMatching(/^[0-9a-f]{16}$/),
  durable: fc.boolean(),
});

describe("a boot record", () => {
  test("reads as it was written, whatever the id", () => {
    fc.assert(
      fc.property(records, (record) => {
        expect({ ...parseBoot(encodeBoot(record)) }).toEqual({ ...record });
      }),
    );
  });

  test("has one text for each meaning", () => {
    fc.assert(
      fc.property(records, records, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(encodeBoot(one) === encodeBoot(other)).toBe(isSame);
      }),
    );
  });

  test("keeps its fields where scripts look for them", () => {
    const text = encodeBoot({ ...RECORD, id: "my redis:6379/1" });

    expect(text).toBe(`1 30000 ${OWN.digest} my%20redis%3A6379%2F1 r1 member n1 0`);
  });

  test.each([
    ["nothing", ""],
    ["other words", "hello"],
    ["another protocol", encodeBoot(RECORD).replace(/^1/, "2")],
    ["a field too many", `${encodeBoot(RECORD)} 1`],
    ["a field too few", encodeBoot(RECORD).replace(/ 0$/, "")],
    ["another state", encodeBoot(RECORD).replace("member", "leader")],
    ["a lease that is no number", encodeBoot(RECORD).replace("30000", "3e4")],
    ["an id that is not encoded", encodeBoot(RECORD).replace(" a ", " %zz ")],
    ["an id in another encoding", encodeBoot(RECORD).replace(" a ", " %61 ")],
  ])("is not read from %s", (_, text) => {
    expect(parseBoot(text)).toBeUndefined();
    expect(judgeBoot(text, OWN, "r1")).toEqual({ is: "foreign", record: undefined });
  });
});

describe("the group's digest", () => {
  test("does not depend on the order in which ids are given", () => {
    expect(groupDigest(["c", "a", "b"], 30_000)).toBe(OWN.digest);
    expect(OWN.digest).toMatch(/^[0-9a-f]{16}$/);
  });

  test.each([
    ["an id", ["a", "b", "d"], 30_000],
    ["their number", ["a", "b"], 30_000],
    ["the longest lease", ["a", "b", "c"], 30_001],
    ["where one id ends", ["a", "b,c"], 30_000],
  ])("depends on %s", (_, ids, leaseMsMax) => {
    expect(groupDigest(ids, leaseMsMax)).not.toBe(OWN.digest);
  });
});

describe("a record means", () => {
  test.each<[string, Partial<BootRecord>]>([
    ["foreign when it is of another group", { digest: "0123456789abcdef" }],
    ["foreign when it is of another instance", { id: "b" }],
    ["foreign when it is of another lease", { leaseMsMax: 1 }],
    ["restarted when it was written for another run", { runId: "r0" }],
    ["restarted when it waited under another run", { runId: "r0", state: "abstaining" }],
    ["new when nobody was found yet", { state: "new" }],
    ["member when all is well", {}],
    ["abstaining when it waits", { state: "abstaining" }],
    ["leapt when its clock did", { state: "leapt" }],
  ])("%s", (fact, changes) => {
    const record = { ...RECORD, ...changes };

    expect(judgeBoot(encodeBoot(record), OWN, "r1")).toEqual({ is: fact.split(" ")[0], record });
  });

  test("absent when there is none", () => {
    expect(judgeBoot(null, OWN, "r1")).toEqual({ is: "absent" });
  });
});

test("the error for a mismatch says what is registered and what was given", () => {
  const facts = { id: "a", text: encodeBoot(RECORD), given: "G2", digest: "d2" };
  const known = mismatch({ ...facts, record: RECORD, registered: "G1" });
  const unknown = mismatch({ ...facts, record: undefined, registered: null });

  expect(known.code).toBe("CONFIG_MISMATCH");
  expect(known.message).toContain('registered as instance "a" of the group G1; this process has');
  expect(unknown.message).toContain("something of another protocol");
});

describe("a quarantine", () => {
  const waiting = (changes: Partial<BootRecord> = {}) =>
    judgeBoot(encodeBoot({ ...RECORD, state: "abstaining", ...changes }), OWN, "r1");

  test("lasts as long as the longest lease, and what clocks may drift apart", () => {
    const quarantine = new Quarantine(30_000);

    expect(quarantine.observe(waiting(), 1000)).toBe(true);
    expect([1000, 31_301, 31_302].map((now) => quarantine.leftMs(now))).toEqual([30_302, 1, 0]);
  });

  test("is not begun again by seeing the same record", () => {
    const quarantine = new Quarantine(30_000);
    quarantine.observe(waiting(), 1000);

    expect(quarantine.observe(waiting(), 20_000)).toBe(false);
    expect(quarantine.leftMs(31_302)).toBe(0);
  });

  test.each<[string, Parameters<Quarantine["observe"]>[0]]>([
    ["another nonce", waiting({ nonce: "n2" })],
    ["a clock that leapt", waiting({ nonce: "n2", state: "leapt" })],
  ])("begins again with %s", (_, verdict) => {
    const quarantine = new Quarantine(30_000);
    quarantine.observe(waiting(), 1000);

    expect(quarantine.observe(verdict, 20_000)).toBe(true);
    expect(quarantine.leftMs(20_000)).toBe(30_302);
  });

  test("that was interrupted by another run of the server does not go on", () => {
    const quarantine = new Quarantine(30_000);
    quarantine.observe(waiting(), 1000);

    expect(quarantine.observe(waiting({ runId: "r0" }), 30_000)).toBe(false);
    expect(quarantine.observe(waiting(), 31_302)).toBe(true);
    expect(quarantine.leftMs(31_302)).toBe(30_302);
  });

  test("is over when the instance votes", () => {
    const quarantine = new Quarantine(30_000);
    quarantine.observe(waiting(), 1000);
    quarantine.observe(waiting({ state: "member" }), 2000);

    expect(quarantine.leftMs(2000)).toBe(0);
  });
});
