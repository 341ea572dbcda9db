/**
 * What lies behind an ioredis client: its socket and its queue of commands. Neither is documented API, so
 * each is looked at for the shape that we need and is undefined where it has another; then only speed is
 * lost. It must never change what it looks at.
 */
import type { Socket } from "node:net";

import type { Redis } from "ioredis";

import type { CommandQueue } from "./replies.ts";

/** The connection's socket; undefined where ioredis does not let it be reached. */
export function socketOf(client: Redis): Socket | undefined {
  const stream: unknown = Reflect.get(client, "stream");
  return isSocket(stream) ? stream : undefined;
}

/** What the operating system has not taken yet; 0 where that cannot be seen. */
export function queuedBytesOf(client: Redis): number {
  const socket = socketOf(client);
  const handle: unknown = socket === undefined ? undefined : Reflect.get(socket, "_handle");
  const { writeQueueSize } = (handle ?? {}) as { writeQueueSize?: unknown };
  return typeof writeQueueSize === "number" ? writeQueueSize : 0;
}

/** The commands that wait for their replies; undefined unless the connection speaks RESP2. */
export function commandQueueOf(client: Redis): CommandQueue | undefined {
  const queue: unknown = Reflect.get(client, "commandQueue");
  const protocol = (Reflect.get(client, "condition") as { protocol?: number } | null)?.protocol ?? 2;
  return isCommandQueue(queue) && protocol === 2 ? queue : undefined;
}

function isSocket(stream: unknown): stream is Socket {
  const socket = stream as { write?: unknown; cork?: unknown; end?: unknown } | null | undefined;
  return [socket?.write, socket?.cork, socket?.end].every((method) => typeof method === "function");
}

function isCommandQueue(queue: unknown): queue is CommandQueue {
  const { peekFront, shift } = (queue ?? {}) as Partial<Record<keyof CommandQueue, unknown>>;
  return typeof peekFront === "function" && typeof shift === "function";
}
