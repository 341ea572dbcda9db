/**
 * Counting and changing the group: quorums against a twin that tries every set of voters, changes of members
 * that never leave two configurations without a common voter in each pair of quorums, and their bytes.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { changeProblem } from "../../../src/raft/group/change-codec.ts";
import { changed, CHANGES_MAX, configProblem } from "../../../src/raft/group/config.ts";
import { reachedByQuorum, voteOutcome } from "../../../src/raft/group/quorum.ts";
import {
  type ChangeKind,
  type Config,
  type ConfigChange,
  configOf,
  decodeChange,
  EMPTY_CONFIG,
  encodeChange,
  isMember,
  isVoter,
  LEAVE_JOINT,
  majority,
  membersOf,
  sameConfig,
  votersOf,
} from "../../../src/raft/index.ts";

const IDS = [1, 2, 3, 4, 5];

const someIds = fc.subarray(IDS);
const halves = fc
  .tuple(fc.subarray(IDS, { minLength: 1 }), someIds)
  .map(([voters, outgoing]): Config => ({ ...EMPTY_CONFIG, voters, outgoing }));

const anyChange: fc.Arbitrary<ConfigChange> = fc.record({
  transition: fc.constantFrom("auto" as const, "implicit" as const, "explicit" as const),
  changes: fc.array(
    fc.record({
      kind: fc.constantFrom<ChangeKind>("addVoter", "addLearner", "remove"),
      peerId: fc.constantFrom(...IDS),
    }),
    { maxLength: 4 },
  ),
});

/** All sets of some of the ids. */
function setsOf(ids: readonly number[]): number[][] {
  const sets: number[][] = [[]];
  for (const id of ids) sets.push(...sets.map((set) => [...set, id]));
  return sets;
}

/** The twin of all counting: more than half of each half that has anybody. */
function isQuorum(config: Config, ids: readonly number[]): boolean {
  return [config.voters, config.outgoing].every(
    (half) => half.length === 0 || 2 * half.filter((id) => ids.includes(id)).length > half.length,
  );
}

const ALL_SETS = setsOf(IDS);

describe("quorums", () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])("of %i, %i are a majority", (n, expected) => {
    expect(majority(n)).toBe(expected);
  });

  test("what a quorum has reached is what some set of voters, each quorum of them, has", () => {
    fc.assert(
      fc.property(halves, fc.array(fc.nat(9), { minLength: 6, maxLength: 6 }), (config, values) => {
        const valueOf = (id: number): number => values[id] as number;
        let expected = 0;
        for (const set of ALL_SETS) {
          if (isQuorum(config, set)) expected = Math.max(expected, Math.min(...set.map(valueOf)));
        }

        expect(reachedByQuorum(config, valueOf)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  test("votes decide as soon as no further vote could decide otherwise", () => {
    const votes = fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(halves, votes, (config, cast) => {
        const granted = IDS.filter((id) => cast[id] === true);
        const open = IDS.filter((id) => cast[id] === undefined);
        const isWon = isQuorum(config, granted);
        const canBeWon = isQuorum(config, [...granted, ...open]);
        const entries = IDS.flatMap((id) => (cast[id] === undefined ? [] : [[id, cast[id]] as const]));

        const expected = isWon ? "won" : canBeWon ? "pending" : "lost";
        expect(voteOutcome(config, new Map(entries))).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test("without voters nothing is reached", () => {
    expect(reachedByQuorum(EMPTY_CONFIG, () => 7)).toBe(0);
  });
});

describe("changes", () => {
  const start = fc.tuple(fc.subarray(IDS, { minLength: 1 }), someIds).map(([voters, others]) =>
    configOf(
      voters,
      others.filter((id) => !voters.includes(id)),
    ),
  );

  test("no two configurations that follow each other have quorums without a common voter", () => {
    fc.assert(
      fc.property(start, fc.array(anyChange, { minLength: 1, maxLength: 12 }), (first, all) => {
        let config = first;
        for (const one of all) {
          const next = changed(config, one);
          if (typeof next === "string") continue;
          const before = ALL_SETS.filter((set) => isQuorum(config, set));
          const after = ALL_SETS.filter((set) => isQuorum(next, set));
          for (const set of before) {
            const apart = after.find((other) => !other.some((id) => set.includes(id)));
            expect(apart).toBeUndefined();
          }
          expect(configProblem(next)).toBeUndefined();
          config = next;
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a change leaves the configuration that it was made from as it was", () => {
    fc.assert(
      fc.property(start, anyChange, (config, one) => {
        const before = structuredClone(config);
        changed(config, one);
        expect(config).toEqual(before);
      }),
    );
  });

  test("what is asked for is what comes out when all joint configurations are left", () => {
    fc.assert(
      fc.property(start, anyChange, (config, one) => {
        const next = changed(config, one);
        fc.pre(typeof next !== "string");
        const left = next.outgoing.length > 0 ? (changed(next, LEAVE_JOINT) as Config) : next;
        const expected = new Map([
          ...config.voters.map((id) => [id, "voter"] as const),
          ...config.learners.map((id) => [id, "learner"] as const),
        ]) as Map<number, string>;
        for (const { kind, peerId } of one.changes) {
          if (kind === "remove") expected.delete(peerId);
          else expected.set(peerId, kind === "addVoter" ? "voter" : "learner");
        }
        expect(left.voters).toEqual(IDS.filter((id) => expected.get(id) === "voter"));
        expect(left.learners).toEqual(IDS.filter((id) => expected.get(id) === "learner"));
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ["ids that fall", { ...configOf([1]), voters: [2, 1] }, "ascending order"],
    ["an id of 0", { ...configOf([1]), voters: [0] }, "ascending order"],
    ["half an id", { ...configOf([1]), learners: [1.5] }, "ascending order"],
    ["a hole", { ...configOf([1]), voters: [1, ...Array<number>(1)] }, "ascending order"],
    ["a voter that learns", { ...configOf([1]), learners: [1] }, "voter and a learner"],
    ["an old voter that learns", { ...configOf([1]), outgoing: [2], learners: [2] }, "voter and a learner"],
    ["a next learner from nowhere", { ...configOf([1]), learnersNext: [2] }, "outgoing voter"],
    ["leaving what is not joint", { ...configOf([1]), autoLeave: true }, "joint configuration is left"],
    ["a joint one without new voters", { ...configOf([]), outgoing: [1] }, "incoming voters"],
  ])("%s make no configuration", (_, config, problem) => {
    expect(configProblem(config)).toContain(problem);
  });

  test("members, voters and learners are told apart", () => {
    const config: Config = { ...configOf([2, 1], [9]), outgoing: [1, 3], learnersNext: [3] };

    expect([votersOf(config), membersOf(config)]).toEqual([
      [1, 2, 3],
      [1, 2, 3, 9],
    ]);
    expect([isVoter(config, 3), isVoter(config, 9), isMember(config, 9), isMember(config, 4)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(sameConfig(config, structuredClone(config))).toBe(true);
    for (const key of ["voters", "outgoing", "learners", "learnersNext"] as const) {
      expect(sameConfig(config, { ...config, [key]: [5] })).toBe(false);
    }
    expect(sameConfig(config, { ...config, autoLeave: true })).toBe(false);
  });
});

describe("the bytes of a change", () => {
  const wideIds = fc.oneof(
    fc.integer({ min: 1, max: 9 }),
    fc.maxSafeInteger().filter((id) => id > 0),
  );
  const wideChange = fc.record({
    transition: fc.constantFrom("auto" as const, "implicit" as const, "explicit" as const),
    changes: fc.array(
      fc.record({ kind: fc.constantFrom<ChangeKind>("addVoter", "addLearner", "remove"), peerId: wideIds }),
      { maxLength: CHANGES_MAX },
    ),
  });

  test("they give the change back", () => {
    fc.assert(
      fc.property(wideChange, (one) => {
        expect(changeProblem(one)).toBeUndefined();
        expect(decodeChange(encodeChange(one))).toEqual(one);
      }),
    );
  });

  test("no bytes leave the joint configuration", () => {
    expect(encodeChange(LEAVE_JOINT)).toHaveLength(0);
    expect(decodeChange(new Uint8Array())).toEqual(LEAVE_JOINT);
  });

  test("any bytes decode to a change that may be proposed, or to nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const decoded = decodeChange(bytes);
        expect(decoded && changeProblem(decoded)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  test("a byte more, less or other never makes another valid change of the same bytes", () => {
    const flips = fc.record({ at: fc.nat(60), to: fc.nat(255), cut: fc.integer({ min: -2, max: 2 }) });
    fc.assert(
      fc.property(wideChange, flips, (one, { at, to, cut }) => {
        const bytes = encodeChange(one);
        const length = Math.max(bytes.length + cut, 0);
        const mutated = new Uint8Array(length);
        mutated.set(bytes.subarray(0, length));
        if (at < length) mutated[at] = to;
        const decoded = decodeChange(mutated);
        expect(decoded === undefined ? mutated : encodeChange(decoded)).toEqual(mutated);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["an unknown transition", { transition: "sudden", changes: [] }, "transition"],
    ["an unknown kind", { transition: "auto", changes: [{ kind: "promote", peerId: 1 }] }, "adds a voter"],
    ["peer 0", { transition: "auto", changes: [{ kind: "remove", peerId: 0 }] }, "positive safe integer"],
    [
      "half a peer",
      { transition: "auto", changes: [{ kind: "remove", peerId: 0.5 }] },
      "positive safe integer",
    ],
    [
      "too many changes",
      {
        transition: "auto",
        changes: Array.from({ length: 65 }, (_, at) => ({ kind: "remove", peerId: at + 1 })),
      },
      "at most 64",
    ],
  ])("%s cannot be proposed", (_, one, problem) => {
    expect(changeProblem(one as ConfigChange)).toContain(problem);
  });
});
