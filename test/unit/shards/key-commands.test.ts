import { expect, test } from "vitest";

import { type KeyCommandName, prepare } from "../../../src/shards/key-commands.ts";
import { rejection } from "../../support/reject.ts";

test.each<[KeyCommandName, unknown[], unknown[]]>([
  ["get", ["k"], ["k"]],
  ["get", ["k", { deadlineMs: 5 }], ["k"]],
  ["set", ["k", "v"], ["k", "v"]],
  ["set", ["k", Buffer.from("v")], ["k", Buffer.from("v")]],
  ["set", ["k", "v", { ttlMs: 50, when: "absent" }], ["k", "v", "PX", 50, "NX"]],
  ["set", ["k", "v", { keepTtl: true, when: "present" }], ["k", "v", "KEEPTTL", "XX"]],
  ["set", ["k", "v", { ttlMs: undefined, when: undefined }], ["k", "v"]],
  ["hset", ["k", { a: 1, b: "x" }], ["k", "a", 1, "b", "x"]],
  ["hdel", ["k", ["a", "b"]], ["k", "a", "b"]],
  ["zadd", ["k", { ann: 3, bob: 1.5 }], ["k", 3, "ann", 1.5, "bob"]],
  ["lrange", ["k", 0, -1], ["k", 0, -1]],
  ["zincrby", ["k", 2, "ann", { deadlineMs: 9 }], ["k", 2, "ann"]],
])("%s(%j) sends %j", (name, received, args) => {
  expect(prepare(name, received).args).toEqual(args);
});

test("a list longer than the stack is deep is sent whole", () => {
  const members = Array.from({ length: 300_000 }, (_, n) => n);

  expect(prepare("sadd", ["k", members]).args).toHaveLength(300_001);
});

test.each<[KeyCommandName, unknown[], string]>([
  ["get", ["k", "extra"], "get: takes a key, 0 more arguments and options, got 2 parameters"],
  ["set", ["k", "v", "PX", 5], "set: takes a key, 1 more arguments and options, got 4 parameters"],
  ["sadd", ["k", []], "sadd: needs at least one member or field, got none"],
  ["hset", ["k", {}], "hset: needs at least one member or field, got none"],
])("%s(%j) is refused", async (name, received, message) => {
  const error = await rejection(() => prepare(name, received), "INVALID_ARGUMENT");

  expect(error.message).toBe(message);
});

test.each<[unknown, string]>([
  [{ ttlMs: 0 }, "set: ttlMs must be an integer of at least 1, got 0"],
  [{ ttlMs: 1.5 }, "set: ttlMs must be an integer of at least 1, got 1.5"],
  [{ ttlMs: 5, keepTtl: true }, "set: ttlMs and keepTtl exclude each other"],
  [{ when: "never" }, 'set: when must be "absent" or "present", got "never"'],
  [{ ttl: 5 }, 'set: unknown option "ttl" (known: deadlineMs, signal, ttlMs, keepTtl, when)'],
])("set with %j is refused", async (options, message) => {
  const error = await rejection(() => prepare("set", ["k", "v", options]), "INVALID_OPTION");

  expect(error.message).toBe(message);
});

test("an unknown option of any command is refused", async () => {
  const error = await rejection(() => prepare("get", ["k", { deadline: 5 }]), "INVALID_OPTION");

  expect(error.message).toContain('get: unknown option "deadline"');
});

test("hgetall gives an object without a prototype, so that no field can shadow anything", () => {
  const { finish } = prepare("hgetall", ["k"]);

  const record = finish?.(["__proto__", "polluted", "a", "1"]) as Record<string, string>;

  expect(Object.getPrototypeOf(record)).toBeNull();
  expect(Object.entries(record)).toEqual([
    ["__proto__", "polluted"],
    ["a", "1"],
  ]);
});
