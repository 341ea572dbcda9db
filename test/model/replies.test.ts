import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { commandSpec } from "../../src/redis/commands.ts";
import { ReplyReader } from "../../src/redis/stream/replies.ts";
import { type CommandOwner, Promised, WireCommand } from "../../src/redis/wire.ts";

/** A reply as RESP2 text, and what our own command gets for it when it need not go to ioredis. */
interface Frame {
  readonly wire: Buffer;
  readonly ours: string | number | null | undefined;
}

const line = fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[\r\n]/g, " "));
const status = line.map((text): Frame => ({ wire: Buffer.from(`+${text}\r\n`), ours: text }));
const failure = line.map((text): Frame => ({ wire: Buffer.from(`-ERR ${text}\r\n`), ours: undefined }));
const integer = fc
  .maxSafeInteger()
  .map((value): Frame => ({ wire: Buffer.from(`:${value}\r\n`), ours: value }));
const text = fc
  .oneof(
    fc.string({ maxLength: 30 }),
    fc.string({ maxLength: 9, unit: "grapheme" }),
    fc.constant("\r\n$5\r\n"),
  )
  .map((value): Frame => ({
    wire: Buffer.from(`$${Buffer.byteLength(value)}\r\n${value}\r\n`),
    ours: value,
  }));
const nil = fc.constant<Frame>({ wire: Buffer.from("$-1\r\n"), ours: null });
const noList = fc.constant<Frame>({ wire: Buffer.from("*-1\r\n"), ours: undefined });

const { frame } = fc.letrec<{ frame: Frame; list: Frame }>((tie) => ({
  frame: fc.oneof({ maxDepth: 4 }, text, status, integer, nil, failure, noList, tie("list")),
  list: fc.array(tie("frame"), { maxLength: 4 }).map((frames) => ({
    wire: Buffer.concat([Buffer.from(`*${frames.length}\r\n`), ...frames.map(({ wire }) => wire)]),
    ours: undefined,
  })),
}));

const owner: CommandOwner = { onReply() {}, onDone() {}, toError: (_, error) => error as Error };

/** Cuts the bytes into chunks of these lengths, over and over. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = lengths[chunks.length % lengths.length]!;
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

test("however replies are cut, each goes whole to the one who waits for it, in order", async () => {
  const replies = fc.array(fc.tuple(frame, fc.boolean()), { minLength: 1, maxLength: 20 });
  const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(replies, lengths, async (expected, chunkLengths) => {
      const outcomes = expected.map(() => new Promised());
      const commands = expected.map(([, isOurs], at) =>
        isOurs
          ? new WireCommand(owner, commandSpec("get"), ["k"], false, outcomes[at]!)
          : "sent through the client",
      );
      const queue = commands.map((command) => ({ command }));
      const toDecoder: string[] = [];
      const reader = new ReplyReader({ peekFront: () => queue[0], shift: () => queue.shift() }, (bytes) => {
        toDecoder.push(bytes.toString("latin1"));
        queue.shift();
      });

      for (const chunk of cut(Buffer.concat(expected.map(([{ wire }]) => wire)), chunkLengths))
        reader.read(chunk);

      const goesOn = ([{ ours }, isOurs]: [Frame, boolean]): boolean => !isOurs || ours === undefined;
      expect(toDecoder).toEqual(expected.filter(goesOn).map(([{ wire }]) => wire.toString("latin1")));
      for (const [at, [{ ours }, isOurs]] of expected.entries()) {
        if (!isOurs || ours === undefined) continue;
        expect(await outcomes[at]!.promise).toBe(ours);
      }
      expect(queue).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test.each<[string, ...Buffer[]]>([
  ["a string of 8 MiB", Buffer.from(`$${8 << 20}\r\n`), Buffer.alloc(8 << 20, "x"), Buffer.from("\r\n")],
  ["a list of 200,000 strings", Buffer.from("*200000\r\n"), Buffer.from("$4\r\nabcd\r\n".repeat(200_000))],
])("%s in small chunks is read in linear time: no byte is copied more than a few times", (_, ...parts) => {
  const wire = Buffer.concat(parts);
  const queue = [{ command: "sent through the client" }];
  let delivered = 0;
  const reader = new ReplyReader({ peekFront: () => queue[0], shift: () => queue.shift() }, (bytes) => {
    delivered += bytes.length;
  });
  const copy = vi.spyOn(Buffer.prototype, "copy");

  for (const chunk of cut(wire, [1000])) reader.read(chunk);
  const copied = copy.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
  copy.mockRestore();

  expect(delivered).toBe(wire.length);
  expect(copied).toBeLessThan(4 * wire.length);
});

test.each(["!3\r\nabc\r\n", ":1.5\r\n", "$abc\r\n", "*x\r\n", "\u0000\r\n", ">1\r\n+x\r\n"])(
  "%j is not RESP2, and said so",
  (wire) => {
    const command = new WireCommand(owner, commandSpec("get"), ["k"], false, new Promised());
    const reader = new ReplyReader({ peekFront: () => ({ command }), shift: () => undefined }, () => {});

    expect(() => reader.read(Buffer.from(wire))).toThrow("broken invariant: a RESP");
  },
);
