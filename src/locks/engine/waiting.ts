/**
 * Who waits here, and what the instances tell them: each instance has one channel for this locker, and
 * a message names the ticket that it is for. A message for somebody who has left is answered by taking the
 * ticket back, so that the next one is asked at once.
 */
import { type Acquisition } from "../core/acquisition.ts";
import { Register } from "../core/roster.ts";
import { type Kind, type Op, type OpSink, releaseOp, Target } from "../core/ops.ts";
import { encodeArguments } from "../../redis/index.ts";
import type { Member } from "../group/index.ts";

const TICKET_CHARS = 29;
const LAST_NUMBER = 2 ** 32 - 1;
const NOBODY: OpSink = { onAnswer: () => {}, onFailure: () => {} };

export class Waiting {
  readonly #send: (at: number, op: Op) => void;
  readonly #byBase = new Register<Acquisition>();

  constructor(members: readonly Member[], channel: string, send: (at: number, op: Op) => void) {
    this.#send = send;
    for (const { at, instance } of members) {
      const subscriber = instance.subscriber();
      subscriber.subscribe(channel, (message) => this.#onMessage(at, message));
      subscriber.onChange(() => this.#onMemberChange(at));
    }
    for (const member of members) member.onChange(() => this.#onMemberChange(member.at));
  }

  add(acquisition: Acquisition): void {
    this.#byBase.add(acquisition);
  }

  remove(acquisition: Acquisition): void {
    this.#byBase.remove(acquisition);
  }

  #onMessage(at: number, message: string): void {
    const start = message.indexOf(" ") + 1;
    const word = message.slice(0, start - 1);
    const ticket = message.slice(start, start + TICKET_CHARS);
    const key = message.slice(start + TICKET_CHARS + 1);
    const base = ticket.slice(0, -1);
    const acquisition = this.#byBase.get(base);
    if (acquisition !== undefined) acquisition.onMessage(at, word);
    else if (word === "w") {
      const kind = ticket.slice(-1) as Kind;
      const target = new Target(kind, base, encodeArguments([key]), [], "");
      this.#send(at, releaseOp(target, NOBODY, LAST_NUMBER));
    }
  }

  /** An instance came back, or its messages may have been missed: tickets are filed again. */
  #onMemberChange(at: number): void {
    for (const acquisition of this.#byBase.all()) acquisition.onMemberChange(at);
  }
}
