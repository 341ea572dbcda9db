/**
 * One acquire over three instances, its answers given by hand and in orders that real ones take only now
 * and then: answers of an older round, and to a raise that came to nothing.
 */
import { describe, expect, test } from "vitest";

import { CoterieError } from "../../../src/errors.ts";
import { Acquisition, type AcquisitionPort } from "../../../src/locks/core/acquisition.ts";
import type { Op } from "../../../src/locks/core/ops.ts";
import type { AcquisitionPlan } from "../../../src/locks/core/plan.ts";
import { encodeArguments } from "../../../src/redis/index.ts";

const PLAN = {
  rules: { instances: ["a", "b", "c"], quorum: 2, reserveMs: 50, splitMs: 10, refreshMs: 3_000, pollMs: 50 },
  target: { kind: "x", base: "0".repeat(28), keys: encodeArguments(["k"]), counters: [7], info: "" },
  resources: ["k"],
  leaseMs: 10_000,
  waitMs: 60_000,
  deadlineMs: 1_000,
  fair: true,
  ticketTime: undefined,
  first: undefined,
  spareMs: 2,
} satisfies AcquisitionPlan;

/** An acquisition whose instances are the test. */
class Stage {
  now = 1_000;
  /** The first round proposes 1,000, each later one a thousand more. */
  proposal = 0;
  readonly acquisition: Acquisition;
  /** What was sent to each instance and not answered yet. */
  readonly open: (Op | undefined)[] = [undefined, undefined, undefined];

  dueAt: number | undefined;

  constructor(plan: AcquisitionPlan = PLAN) {
    const port: AcquisitionPort = {
      send: (at, op) => void (this.open[at] = op),
      isUsable: () => true,
      now: () => this.now,
      ticketTime: () => 5,
      propose: () => (this.proposal += 1_000),
      learn: () => undefined,
      schedule: (_, dueAt) => void (this.dueAt = dueAt),
      onWaiting: () => undefined,
      onRaise: () => undefined,
      onOutcome: () => undefined,
    };
    this.acquisition = new Acquisition(plan, port);
    this.acquisition.start();
  }

  /** Answers what was sent to the instance, which must be an op of this letter. */
  answer(at: number, letter: string, text: string): void {
    const op = this.open[at];
    if (op?.letter !== letter) throw new Error(`instance ${at} was sent ${op?.letter}, not ${letter}`);
    this.open[at] = undefined;
    this.acquisition.onAnswer(at, op, text);
  }

  get letters(): (string | undefined)[] {
    return this.open.map((op) => op?.letter);
  }
}

test("a late answer of an earlier round does not count for the proposal of a later one", () => {
  const stage = new Stage();
  const { acquisition } = stage;
  stage.answer(0, "a", "- 5000 0 0");
  stage.answer(1, "a", "- 5000 0 0");
  acquisition.onMessage(0, "w");
  stage.answer(0, "a", "+");
  stage.now += 20;
  acquisition.onDue(stage.now);
  stage.answer(0, "g", "-");
  acquisition.onMessage(1, "w");
  expect(stage.proposal).toBe(2_000);

  // The first instance of the second round stored 2,000; the other one stored what it was sent before.
  stage.answer(1, "a", "+");
  stage.answer(2, "a", "+");

  expect(acquisition.acquired).toBeUndefined();
  expect(stage.letters).toEqual([undefined, "f", "f"]);
  stage.answer(1, "f", "+");
  stage.answer(2, "f", "+");
  expect(acquisition.acquired?.fencingToken).toBe(2_001);
});

test("an answer to a raise that was given up does not count for the next one, which ends", () => {
  const stage = new Stage();
  const { acquisition } = stage;
  stage.answer(0, "a", "+3000");
  stage.answer(1, "a", "+");
  expect(stage.letters).toEqual(["f", "f", "a"]);
  stage.answer(0, "f", "-");
  stage.answer(2, "a", "- 5000 0 0");
  expect(stage.letters).toEqual(["a", "f", "a"]);

  stage.answer(1, "f", "+");
  stage.answer(0, "a", "+4000");
  stage.answer(2, "a", "+");
  const [, second] = stage.letters;
  expect([stage.letters[0], stage.letters[2]]).toEqual(["f", "f"]);
  stage.answer(0, "f", "-");
  stage.answer(2, "f", "+");
  if (second === "a") stage.answer(1, "a", "- 5000 0 0");

  // One instance of three is too few, so it has to have asked the others again.
  expect(acquisition.acquired).toBeUndefined();
  expect(stage.letters[0]).toBe("a");
});

test("an instance that was asked anew while the token is raised counts only below the token", () => {
  const stage = new Stage();
  const { acquisition } = stage;
  stage.answer(0, "a", "+");
  stage.answer(1, "a", "- 5000 0 0");
  stage.answer(2, "a", "- 5000 0 0");
  // This process stood still for longer than the lease: another one had the lock on 0 and 2, with 9,000.
  stage.now += 20_000;
  acquisition.onDue(stage.now);
  stage.answer(0, "g", "+");
  stage.now += 5;
  acquisition.onDue(stage.now);
  expect(stage.letters).toEqual(["a", "a", "a"]);
  stage.answer(1, "a", "+");
  expect(stage.letters).toEqual(["a", "f", "a"]);

  stage.answer(0, "a", "+9000");
  stage.answer(1, "f", "+");
  if (stage.letters[0] === "f") stage.answer(0, "f", "+");
  stage.answer(2, "a", "- 5000 0 0");

  expect(acquisition.acquired).toBeUndefined();
});

test("a message that overtakes the answer to a giving back is acted upon", () => {
  const stage = new Stage();
  const { acquisition } = stage;
  stage.answer(0, "a", "+");
  stage.answer(1, "a", "- 5000 1 0");
  stage.answer(2, "a", "- 5000 1 0");
  stage.now += 20;
  acquisition.onDue(stage.now);
  expect(stage.letters[0]).toBe("g");

  acquisition.onMessage(0, "w");
  stage.answer(0, "g", "-");

  expect(stage.letters[0]).toBe("a");
});

describe("with a spare", () => {
  const WITH_SPARE = { ...PLAN, first: [true, true, false] };

  test("a quorum that grants is enough, and the spare is never asked", () => {
    const stage = new Stage(WITH_SPARE);
    expect(stage.letters).toEqual(["a", "a", undefined]);

    stage.answer(0, "a", "+");
    stage.answer(1, "a", "+");

    expect(stage.acquisition.acquired?.fencingToken).toBe(1_000);
    expect(stage.letters).toEqual([undefined, undefined, undefined]);
    expect(stage.acquisition.ballots[2]?.isSpare).toBe(true);
  });

  test("the spare is asked for the same token when one of the first refuses", () => {
    const stage = new Stage(WITH_SPARE);

    stage.answer(0, "a", "- 5000 0 0");

    expect(stage.letters).toEqual([undefined, "a", "a"]);
    stage.answer(1, "a", "+");
    stage.answer(2, "a", "+");
    expect(stage.acquisition.acquired?.fencingToken).toBe(1_000);
  });

  test("the spare is asked when one of the first fails", () => {
    const stage = new Stage(WITH_SPARE);

    stage.acquisition.onFailure(1, stage.open[1]!, new CoterieError("NO_ANSWER", "gone"));

    expect(stage.letters[2]).toBe("a");
  });

  test("the spare is asked when the others take too long, once", () => {
    const stage = new Stage(WITH_SPARE);
    expect(stage.dueAt).toBe(1_000 + PLAN.spareMs);
    stage.now += PLAN.spareMs;

    stage.acquisition.onDue(stage.now);
    stage.answer(2, "a", "+");
    stage.acquisition.onDue(stage.now + 1);

    expect(stage.letters).toEqual(["a", "a", undefined]);
    expect(stage.acquisition.acquired).toBeUndefined();
    stage.answer(0, "a", "+");
    expect(stage.acquisition.acquired?.fencingToken).toBe(1_000);
  });

  test("the spare is asked when a raise fails, and its grant is raised as well", () => {
    const stage = new Stage({ ...WITH_SPARE, waitMs: 0 });
    stage.answer(0, "a", "+3000");
    stage.answer(1, "a", "+");
    expect(stage.letters).toEqual(["f", "f", undefined]);

    stage.answer(0, "f", "+");
    stage.acquisition.onFailure(1, stage.open[1]!, new CoterieError("MAYBE_APPLIED", "gone"));

    expect([stage.acquisition.error, stage.letters[2]]).toEqual([undefined, "a"]);
    stage.answer(2, "a", "+");
    stage.answer(2, "f", "+");
    expect(stage.acquisition.acquired?.fencingToken).toBe(3_001);
  });

  test("whoever gives up releases only what was asked", () => {
    const stage = new Stage(WITH_SPARE);

    stage.acquisition.abort(new CoterieError("ABORTED", "enough"));

    expect(stage.letters).toEqual(["r", "r", undefined]);
  });
});
