import { once } from "node:events";
import { type AddressInfo, createServer, type Socket, connect } from "node:net";

import { afterEach, expect, test } from "vitest";

import { coalesceWrites } from "../../../src/redis/stream/coalesce.ts";
import { until } from "../../support/until.ts";

const open: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

/** A client socket whose handle counts its writes, and what the other side received. */
async function stage() {
  const received: Buffer[] = [];
  const server = createServer((socket) => socket.on("data", (data) => received.push(data)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  open.push(socket, { destroy: () => server.close() });
  const writes = countWrites(socket);
  coalesceWrites(socket);
  return { socket, writes, text: () => Buffer.concat(received).toString("latin1") };
}

/** Counts what the socket hands to the operating system: `_write` for one chunk, `_writev` for several. */
function countWrites(socket: Socket): { count: number } {
  const writes = { count: 0 };
  for (const name of ["_write", "_writev"] as const) {
    const original = Reflect.get(socket, name) as (...args: unknown[]) => unknown;
    Reflect.set(socket, name, (...args: unknown[]) => {
      writes.count += 1;
      return original.apply(socket, args);
    });
  }
  return writes;
}

test("a turn's writes leave in one socket write, in order", async () => {
  const { socket, writes, text } = await stage();

  for (let n = 0; n < 100; n += 1) socket.write(`${n},`);
  await until("all arrived", () => text().endsWith("99,"));

  expect(writes.count).toBe(1);
  expect(text()).toBe(Array.from({ length: 100 }, (_, n) => `${n},`).join(""));
});

test("text and bytes of one turn keep their order and leave in one socket write", async () => {
  const { socket, writes, text } = await stage();

  socket.write("a");
  socket.write(Buffer.from("b"));
  socket.write("c");
  socket.write("d");
  socket.write(Buffer.from("e"));
  await until("all arrived", () => text().length === 5);

  expect(text()).toBe("abcde");
  expect(writes.count).toBe(1);
});

test("writes of different turns leave in different socket writes", async () => {
  const { socket, writes, text } = await stage();

  socket.write("a");
  await until("a arrived", () => text() === "a");
  socket.write("b");
  await until("b arrived", () => text() === "ab");

  expect(writes.count).toBe(2);
});

test("a write with a callback keeps its place and its callback", async () => {
  const { socket, text } = await stage();
  let called = false;

  socket.write("a");
  socket.write("b", () => {
    called = true;
  });
  socket.write("c");
  await until("all arrived", () => text().length === 3);

  expect(text()).toBe("abc");
  expect(called).toBe(true);
});

test("what was written before the end of the connection is sent before it", async () => {
  const { socket, text } = await stage();

  socket.write("last words");
  socket.end();
  await until("all arrived", () => text() === "last words");

  expect(text()).toBe("last words");
});

test("a socket destroyed within the turn raises no error", async () => {
  const { socket } = await stage();
  const errors: unknown[] = [];
  socket.on("error", (error) => errors.push(error));

  socket.write("a");
  socket.destroy();
  await once(socket, "close");
  await new Promise((resolve) => setImmediate(resolve));

  expect(errors).toEqual([]);
});
