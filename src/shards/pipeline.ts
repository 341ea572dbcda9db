/**
 * Many commands in one go, over any shards. They leave in one write per shard and each gets its own
 * result, in the order in which they were added; one that fails changes no other. It is neither atomic
 * nor ordered across shards; within one shard the order is kept.
 */
import { CoterieError } from "../errors.ts";
import type { Argument, CallOptions, Reply } from "../redis/index.ts";
import {
  type Key,
  KEY_COMMAND_NAMES,
  type KeyCommandName,
  type KeyCommands,
  prepare,
  type Prepared,
} from "./key-commands.ts";

/** Each command's own outcome: `status` is "fulfilled" with `value`, or "rejected" with `reason`. */
export type PipelineResult = PromiseSettledResult<unknown>;

type PipelineCommands<Self> = {
  readonly [Name in KeyCommandName]: (...received: Parameters<KeyCommands[Name]>) => Self;
};

export interface Pipeline extends PipelineCommands<Pipeline> {
  /** How many commands were added. */
  readonly length: number;
  /** Any command whose first argument is its key. */
  call(name: string, key: Key, args?: readonly Argument[], options?: CallOptions): Pipeline;
  /** Sends all. Resolves when every command has its outcome; rejects only when called twice. */
  exec(): Promise<PipelineResult[]>;
}

/** What a pipeline needs of the shards it was made by. */
export interface PipelineTarget {
  sendPrepared(prepared: Prepared): Promise<unknown>;
  call(name: string, key: Key, args?: readonly Argument[], options?: CallOptions): Promise<Reply>;
}

class PipelineCore {
  readonly #target: PipelineTarget;
  readonly #commands: (() => Promise<unknown>)[] = [];
  #executed = false;

  constructor(target: PipelineTarget) {
    this.#target = target;
  }

  get length(): number {
    return this.#commands.length;
  }

  add(name: KeyCommandName, received: readonly unknown[]): this {
    const prepared = prepare(name, received);
    this.#commands.push(() => this.#target.sendPrepared(prepared));
    return this;
  }

  call(name: string, key: Key, args?: readonly Argument[], options?: CallOptions): this {
    this.#commands.push(() => this.#target.call(name, key, args, options));
    return this;
  }

  exec(): Promise<PipelineResult[]> {
    if (this.#executed) {
      return Promise.reject(
        new CoterieError("INVALID_ARGUMENT", "a pipeline is sent once; make a new one"),
      );
    }
    this.#executed = true;
    return Promise.allSettled(this.#commands.map((send) => send()));
  }
}

for (const name of KEY_COMMAND_NAMES) {
  Object.defineProperty(PipelineCore.prototype, name, {
    value(this: PipelineCore, ...received: unknown[]): PipelineCore {
      return this.add(name, received);
    },
  });
}

export function createPipeline(target: PipelineTarget): Pipeline {
  return new PipelineCore(target) as unknown as Pipeline;
}
