/** How the demo judges and counts single answers. */
import { expect, test } from "vitest";

import { type Answer, type Sample, Tally } from "../../../examples/demo/tally.ts";

const OK: Answer = {
  status: 200,
  contentType: "application/json",
  retryAfter: "",
  body: '{"shard":"a","value":"4"}',
};
const PROBLEM = { type: "urn:x", title: "t", status: 503, detail: "d", code: "UNREACHABLE" };
const REFUSAL: Answer = {
  status: 503,
  contentType: "application/problem+json; charset=utf-8",
  retryAfter: "1",
  body: JSON.stringify(PROBLEM),
};

function sample(answer: Answer | Error, more: Partial<Sample> = {}): Sample {
  return { app: "app 1", owner: "a", askedIn: "before", answeredIn: "before", answer, ...more };
}

test.each<[string, Sample]>([
  ["200", sample(OK)],
  ["201", sample({ ...OK, status: 201 })],
  ["the acknowledged value", sample(OK, { versions: { acknowledged: 4, tried: 4 } })],
  ["a value that was tried and not acknowledged", sample(OK, { versions: { acknowledged: 3, tried: 5 } })],
])("%s counts as served", (_name, one) => {
  const tally = new Tally();

  expect(tally.add(one)).toBe("served");
  expect(tally.snapshot().served).toEqual({ "app 1": 1 });
});

test("503 as RFC 9457 says with Retry-After counts as refused", () => {
  expect(new Tally().add(sample(REFUSAL))).toBe("refused");
});

test.each<[string, Sample, string]>([
  ["no answer", sample(new Error("socket hang up")), "no answer (socket hang up)"],
  ["another status", sample({ ...OK, status: 500 }), "status 500"],
  ["404", sample({ ...OK, status: 404 }), "status 404"],
  ["another shard than the owner", sample(OK, { owner: "b" }), "served by a, but the owner is b"],
  ["no shard", sample({ ...OK, body: "{}" }), "served by undefined, but the owner is a"],
  ["a body that is no JSON", sample({ ...OK, body: "oops" }), "served by undefined, but the owner is a"],
  [
    "a stale value",
    sample(OK, { versions: { acknowledged: 5, tried: 6 } }),
    "read 4, but 5 was acknowledged and 6 tried last",
  ],
  [
    "a value that nobody wrote",
    sample(OK, { versions: { acknowledged: 1, tried: 3 } }),
    "read 4, but 1 was acknowledged",
  ],
  [
    "no value",
    sample({ ...OK, body: '{"shard":"a"}' }, { versions: { acknowledged: 0, tried: 3 } }),
    "read undefined",
  ],
  [
    "null for a value",
    sample({ ...OK, body: '{"shard":"a","value":null}' }, { versions: { acknowledged: 0, tried: 3 } }),
    "read null",
  ],
  ["503 in another format", sample({ ...REFUSAL, contentType: "text/html" }), "503 as text/html"],
  ["503 without Retry-After", sample({ ...REFUSAL, retryAfter: "" }), '503 with Retry-After ""'],
  ["503 with a Retry-After of 0", sample({ ...REFUSAL, retryAfter: "0" }), '503 with Retry-After "0"'],
  [
    "503 whose body says another status",
    sample({ ...REFUSAL, body: JSON.stringify({ ...PROBLEM, status: 500 }) }),
    "503 whose body says 500",
  ],
  [
    "503 without a code",
    sample({ ...REFUSAL, body: JSON.stringify({ ...PROBLEM, code: undefined }) }),
    "503 without a member",
  ],
])("%s counts as wrong, and is kept in words", (_name, one, words) => {
  const tally = new Tally();

  expect(tally.add(one)).toBe("wrong");
  expect(tally.snapshot().wrongs).toEqual([expect.stringContaining(`app 1: ${words}`)]);
  expect(tally.snapshot().served).toEqual({});
});

test("a request belongs to a phase only when it was asked and answered in it", () => {
  const tally = new Tally();

  tally.add(sample(OK, { askedIn: "outage", answeredIn: "outage" }));
  tally.add(sample(REFUSAL, { askedIn: "before", answeredIn: "outage" }));
  tally.add(sample(OK, { askedIn: "outage", answeredIn: "after" }));

  const { phases } = tally.snapshot();
  expect(phases.outage).toEqual({ a: { served: 1, refused: 0, wrong: 0 } });
  expect(phases.changing).toEqual({ a: { served: 1, refused: 1, wrong: 0 } });
  expect([phases.before, phases.after]).toEqual([{}, {}]);
});

test("a snapshot does not change afterwards, and only the first wrong answers are kept", () => {
  const tally = new Tally();
  tally.add(sample(OK));
  const early = tally.snapshot();

  for (let n = 0; n < 100; n += 1) tally.add(sample({ ...OK, status: 500 }));

  expect(early.phases.before["a"]).toEqual({ served: 1, refused: 0, wrong: 0 });
  expect(tally.snapshot().phases.before["a"]).toEqual({ served: 1, refused: 0, wrong: 100 });
  expect(tally.snapshot().wrongs).toHaveLength(5);
});
