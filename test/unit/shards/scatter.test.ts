import fc from "fast-check";
import { expect, test } from "vitest";

import { CoterieError } from "../../../src/errors.ts";
import { gather, merge, type Part, split } from "../../../src/shards/scatter.ts";
import { rejection } from "../../support/reject.ts";

test("split and merged again, every key has its own result, whatever the owners", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.nat({ max: 6 }))), (pairs) => {
      const keys = pairs.map(([key]) => key);
      const owners = new Map(pairs);

      const parts = split(keys, (key) => owners.get(key as string)!);
      const results = parts.map((part) => part.keys.map((key) => `${part.owner}:${key as string}`));

      expect(merge(parts, results, keys.length)).toEqual(keys.map((key) => `${owners.get(key)!}:${key}`));
      expect(new Set(parts.map((part) => part.owner)).size).toBe(parts.length);
    }),
  );
});

const parts = split(["a", "b", "c", "d"], (key) => ["a", "b", "c", "d"].indexOf(key as string) % 3);

test("one failed part says for each key what is known of it", async () => {
  const certain = new CoterieError("UNREACHABLE", "down", { retryable: true });
  const unknown = new CoterieError("MAYBE_APPLIED", "no answer");

  const error = await rejection(
    () =>
      gather("DEL", parts, ({ owner }) =>
        owner === 0 ? Promise.resolve(2) : Promise.reject(owner === 1 ? certain : unknown),
      ),
    "PARTIAL",
  );

  expect(error.message).toBe("DEL over 3 shards: 2 failed (2 keys done, 1 certainly not, 1 unknown)");
  expect(error.details).toEqual({ command: "DEL", done: ["a", "d"], notDone: ["b"], unknown: ["c"] });
  expect(error.retryable).toBe(false);
  expect((error.cause as AggregateError).errors).toEqual([certain, unknown]);
});

test("when certainly nothing happened anywhere, trying again is safe", async () => {
  const certain = new CoterieError("UNREACHABLE", "down", { retryable: true });

  const error = await rejection(() => gather("DEL", parts, () => Promise.reject(certain)), "PARTIAL");

  expect(error.retryable).toBe(true);
});

test("a read of which a part failed is safe to make again", async () => {
  const certain = new CoterieError("UNREACHABLE", "down");

  const error = await rejection(
    () => gather("MGET", parts, ({ owner }) => (owner === 0 ? Promise.resolve([]) : Promise.reject(certain))),
    "PARTIAL",
  );

  expect(error.retryable).toBe(true);
});

test("the caller's mistake, made in every part, is said once", async () => {
  const refused = new CoterieError("INVALID_ARGUMENT", "no such value");

  const mset = (): Promise<unknown> => gather("MSET", parts, () => Promise.reject(refused));
  const error = await rejection(mset, "INVALID_ARGUMENT");

  expect(error).toBe(refused);
});

test("a part that was refused for its arguments wrote nothing, while another was done", async () => {
  const refused = new CoterieError("INVALID_ARGUMENT", "no such value");

  const send = ({ owner }: Part): Promise<string> =>
    owner === 0 ? Promise.resolve("OK") : Promise.reject(refused);
  const error = await rejection(() => gather("MSET", parts, send), "PARTIAL");

  expect(error.details).toMatchObject({ done: ["a", "d"], notDone: ["b", "c"], unknown: [] });
  expect(error.retryable).toBe(false);
});

test("a command over one shard fails with that shard's own error", async () => {
  const down = new CoterieError("UNREACHABLE", "down", { retryable: true });

  const error = await rejection(
    () => gather("DEL", parts.slice(0, 1), () => Promise.reject(down)),
    "UNREACHABLE",
  );

  expect(error).toBe(down);
});
