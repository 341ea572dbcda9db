/**
 * Asks a server whether it serves, over a connection of its own that lasts for one question.
 * Written on the bare socket, since this folder knows no Redis client; RESP2, which every version speaks.
 */
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { CoterieError } from "../../index.ts";
import { within } from "./wait.ts";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: boolean | undefined;
}

export interface ProbeAnswer {
  /** True when it answered PING with PONG; an error answer is in `problem`. */
  readonly serves: boolean;
  /** Its own process id, where it said so. */
  readonly processId: number | undefined;
  /** Why it does not serve, in its own or the socket's words; never with a password. */
  readonly problem: string | undefined;
}

/** Never rejects: no answer within `deadlineMs` is an answer too. */
export async function probe(target: ProbeTarget, deadlineMs: number): Promise<ProbeAnswer> {
  const commands = [["INFO", "server"], ["PING"]];
  const { username, password } = target;
  if (password !== undefined)
    commands.unshift(["AUTH", ...(username === undefined ? [] : [username]), password]);
  const socket =
    target.tls === true ? connectTls(target.port, target.host) : connectPlain(target.port, target.host);
  try {
    const late = () => new CoterieError("NO_ANSWER", `no answer within ${deadlineMs} ms`);
    return readAnswer(await within(ask(socket, commands), deadlineMs, late));
  } catch (error) {
    return { serves: false, processId: undefined, problem: (error as Error).message };
  } finally {
    socket.destroy();
  }
}

/** One reply per command, error replies with their leading minus. */
function ask(socket: Socket, commands: readonly (readonly string[])[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let received = "";
    // One character per byte, so that lengths of replies count both.
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      received += text;
      const replies = parseReplies(received, commands.length);
      if (replies !== undefined) resolve(replies);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new CoterieError("UNREACHABLE", "the connection was closed")));
    socket.write(commands.map(encodeCommand).join(""));
  });
}

function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** `count` replies, or undefined while they are not all there. Status, error and bulk replies only. */
function parseReplies(received: string, count: number): string[] | undefined {
  const replies: string[] = [];
  let at = 0;
  while (replies.length < count) {
    const end = received.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = received.slice(at, end);
    at = end + 2;
    if (!line.startsWith("$")) {
      replies.push(line);
      continue;
    }
    const length = Number(line.slice(1));
    if (received.length < at + length + 2) return undefined;
    replies.push(received.slice(at, at + length));
    at += length + 2;
  }
  return replies;
}

function readAnswer(replies: readonly string[]): ProbeAnswer {
  const [info = "", pong = ""] = replies.slice(-2);
  const processId = /^process_id:(\d+)/m.exec(info)?.[1];
  const serves = pong === "+PONG";
  const refusal = replies.find((reply) => reply.startsWith("-")) ?? pong;
  return {
    serves,
    processId: processId === undefined ? undefined : Number(processId),
    problem: serves ? undefined : refusal.replace(/^-/, ""),
  };
}
