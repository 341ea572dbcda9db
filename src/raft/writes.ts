/**
 * The writes that were handed out and are not on the disk yet, oldest first. Each remembers what may be
 * believed once it is: acknowledgements of this peer to itself, entries that are safe, a snapshot.
 */
import { invariant } from "../invariant.ts";
import type { RaftLog } from "./log/log.ts";
import type { Message } from "./message/message.ts";

export interface Write {
  readonly write: number;
  readonly toSelf: readonly Message[];
  /** The last entry of the log when this was handed out; 0 when all were on the disk already. */
  readonly lastIndex: number;
  readonly truncations: number;
  /** 0 when there was none. */
  readonly snapshotIndex: number;
}

export class Writes {
  #begun = 0;
  #open: Write[] = [];

  /** Returns the number of the write. */
  begin(log: RaftLog, toSelf: readonly Message[], snapshotIndex: number): number {
    this.#begun += 1;
    this.#open.push({
      write: this.#begun,
      toSelf,
      lastIndex: log.unstable.isEmpty ? 0 : log.lastIndex,
      truncations: log.unstable.truncations,
      snapshotIndex,
    });
    return this.#begun;
  }

  /** Takes out all up to this one. */
  finish(write: number): readonly Write[] {
    const [oldest] = this.#open;
    const isOpen = oldest !== undefined && write >= oldest.write && write <= this.#begun;
    invariant(isOpen, "a write that is finished was open", {
      write,
      oldest: oldest?.write,
      begun: this.#begun,
    });
    const count = write - oldest.write + 1;
    return this.#open.splice(0, count);
  }
}
