import { Command } from "ioredis";
import { expect, test } from "vitest";

import { commandSpec } from "../../../src/redis/commands.ts";
import { encode } from "../../../src/redis/wire.ts";

function byIoredis(name: string, args: readonly (string | number | Uint8Array)[]): Buffer {
  return Buffer.from(new Command(name, [...args] as string[]).toWritable(undefined as never));
}

test.each<[string, (string | number | Uint8Array)[]]>([
  ["ping", []],
  ["get", ["key"]],
  ["set", ["key", ""]],
  ["set", ["ключ", "значение 😀"]],
  ["set", ["lone surrogate", "\ud800"]],
  ["set", ["a\r\n$3\r\nfoo", "b\r\n"]],
  ["incrby", ["counter", -17]],
  ["pexpire", ["key", 1e15]],
  ["set", ["bytes", Buffer.from([0, 255, 13, 10])]],
  ["set", [new Uint8Array([1, 2, 3]), "text"]],
])("%s %j is encoded as ioredis encodes it", (name, args) => {
  // ioredis takes Buffers only; ours takes any bytes.
  const forIoredis = args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));

  const encoded = Buffer.from(encode(commandSpec(name), args));

  expect(encoded).toEqual(byIoredis(name, forIoredis));
});

test("a command of text alone is encoded as text, so that a turn's commands can be joined", () => {
  expect(encode(commandSpec("GET"), ["k"])).toBe("*2\r\n$3\r\nget\r\n$1\r\nk\r\n");
});

test("the header does not depend on which command was encoded before", () => {
  const spec = commandSpec("del");

  const two = encode(spec, ["a", "b"]);
  const one = encode(spec, ["a"]);

  expect([two, one]).toEqual([
    "*3\r\n$3\r\ndel\r\n$1\r\na\r\n$1\r\nb\r\n",
    "*2\r\n$3\r\ndel\r\n$1\r\na\r\n",
  ]);
});
