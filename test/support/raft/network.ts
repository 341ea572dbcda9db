/**
 * What is between the peers of a transcript: one queue of messages in the order in which they were sent, and
 * who cannot reach whom. Nothing moves by itself; a message is taken out by a command, or is lost.
 */
import type { Message, MessageType } from "../../../src/raft/index.ts";

export interface Filter {
  readonly to: number;
  /** Any, when undefined. */
  readonly from?: number | undefined;
  readonly types?: readonly MessageType[] | undefined;
  /** The first so many; all, when undefined. */
  readonly count?: number | undefined;
}

export class Network {
  #queue: Message[] = [];
  /** Groups that cannot reach each other; empty: everybody reaches everybody. */
  #groups: readonly (readonly number[])[] = [];
  readonly #down = new Set<number>();

  get inFlight(): readonly Message[] {
    return this.#queue;
  }

  /** False when the message is lost. */
  send(message: Message): boolean {
    if (!this.#canPass(message)) return false;
    this.#queue.push(message);
    return true;
  }

  hasFor(to: number): boolean {
    return this.#queue.some((message) => message.to === to);
  }

  /** Takes the messages out that match, in order. */
  take({ to, from, types, count = Infinity }: Filter): readonly Message[] {
    const taken: Message[] = [];
    this.#queue = this.#queue.filter((message) => {
      const matches =
        message.to === to &&
        (from === undefined || message.from === from) &&
        (types === undefined || types.includes(message.type)) &&
        taken.length < count;
      if (matches) taken.push(message);
      return !matches;
    });
    return taken;
  }

  /** These messages arrive after all others that are on their way now. Returns them. */
  delay(filter: Filter): readonly Message[] {
    const late = this.take(filter);
    this.#queue.push(...late);
    return late;
  }

  /** These messages arrive once more, after all others that are on their way now. Returns them. */
  duplicate(filter: Filter): readonly Message[] {
    const queue = this.#queue;
    const again = this.take(filter);
    this.#queue = [...queue, ...again];
    return again;
  }

  /** Returns what was under way between the groups, and is lost. */
  partition(groups: readonly (readonly number[])[]): readonly Message[] {
    this.#groups = groups;
    return this.#lose();
  }

  heal(): void {
    this.#groups = [];
  }

  /** A crashed peer gets nothing; what was on its way is lost. */
  setDown(peerId: number, isDown: boolean): readonly Message[] {
    if (isDown) this.#down.add(peerId);
    else this.#down.delete(peerId);
    return this.#lose();
  }

  #canPass({ from, to }: Message): boolean {
    if (this.#down.has(to)) return false;
    const group = this.#groups.find((members) => members.includes(from));
    return group === undefined || group.includes(to);
  }

  #lose(): readonly Message[] {
    const lost = this.#queue.filter((message) => !this.#canPass(message));
    this.#queue = this.#queue.filter((message) => this.#canPass(message));
    return lost;
  }
}
