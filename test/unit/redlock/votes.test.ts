import { expect, test } from "vitest";

import { CoterieError } from "../../../src/errors.ts";
import type { Client } from "../../../src/redlock/clients.ts";
import { ExecutionError, ResourceLockedError } from "../../../src/redlock/errors.ts";
import { isOpen, refusalsIn, statsOf, votesIn } from "../../../src/redlock/votes.ts";

const made = ["a", "b", "c"].map((host) => ({ options: { host } }) as Client);
const [a, b, c] = made as [Client, Client, Client];
const clients = new Map([
  ["a", a],
  ["b", b],
  ["c", c],
]);

test("votes name the caller's own clients, and a refusal is redlock's error", () => {
  const error = new CoterieError("UNREACHABLE", "c is away");
  const stats = statsOf(
    clients,
    [
      { instance: "a", vote: "granted" },
      { instance: "b", vote: "refused" },
      { instance: "c", vote: "unreachable", error },
    ],
    ["x", "y"],
  );

  expect(stats.membershipSize).toBe(3);
  expect(stats.quorumSize).toBe(2);
  expect([...stats.votesFor]).toEqual([a]);
  expect(stats.votesAgainst.get(b)).toBeInstanceOf(ResourceLockedError);
  expect(stats.votesAgainst.get(b)?.message).toBe(
    "The operation was applied to: 0 of the 2 requested resources.",
  );
  expect(stats.votesAgainst.get(c)).toBe(error);
});

test("every client has voted: one that was not heard has voted against", () => {
  const stats = statsOf(clients, [{ instance: "a", vote: "unreachable" }], ["x"]);

  expect(stats.votesFor.size + stats.votesAgainst.size).toBe(3);
  expect(stats.votesAgainst.get(c)).toMatchObject({ code: "NO_ANSWER" });
});

test("an instance that was slower than a quorum is no error to be told", () => {
  const error = new CoterieError("UNREACHABLE", "away");
  const told = refusalsIn(
    [
      { instance: "a", vote: "refused" },
      { instance: "b", vote: "unreachable" },
      { instance: "c", vote: "unreachable", error },
      { instance: "d", vote: "granted" },
    ],
    ["x"],
  );

  expect(told).toEqual([expect.any(ResourceLockedError), error]);
});

test("votes are open while an instance has neither voted nor failed", () => {
  const error = new CoterieError("UNREACHABLE", "away");

  expect(isOpen([{ instance: "a", vote: "unreachable" }])).toBe(true);
  expect(isOpen([{ instance: "a", vote: "unreachable", error }])).toBe(false);
  expect(isOpen([{ instance: "a", vote: "refused" }])).toBe(false);
});

test("an ExecutionError has redlock's fields, and the code and details of its cause", () => {
  const cause = new CoterieError("LOCKED", "held", { details: { retryAfterMs: 7, votes: [] } });
  const error = new ExecutionError("no quorum", [], cause);

  expect(error).toBeInstanceOf(Error);
  expect(CoterieError.is(error, "LOCKED")).toBe(true);
  expect(error).toMatchObject({ name: "ExecutionError", message: "no quorum", attempts: [] });
  expect(error.retryable).toBe(true);
  expect(error.details["retryAfterMs"]).toBe(7);
  expect(error.cause).toBe(cause);
  expect(votesIn(error)).toEqual([]);
  expect(new ExecutionError("made by hand", []).code).toBe("NO_QUORUM");
});
