/**
 * What the lock group needs of one Redis. The instances of `src/redis` have this shape, and so have those
 * of the simulation, on which the same code runs.
 */
import type { CoterieError } from "../../errors.ts";
import type {
  Argument,
  CallOptions,
  CloseOptions,
  Encoded,
  InstanceStatus,
  Outcome,
  Reply,
  Script,
  SentArgument,
} from "../../redis/index.ts";

/** The messages of channels, over a connection of its own. */
export interface MemberSubscriber {
  /** Connected and all channels confirmed: no message is missed. */
  readonly live: boolean;
  /** Kept over reconnects. */
  subscribe(channel: string, onMessage: (message: string) => void): void;
  /** Calls back whenever `live` changed; returns how to stop that. */
  onChange(listener: () => void): () => void;
}

export interface MemberInstance {
  readonly id: string;
  /** A command would be sent now. */
  readonly available: boolean;
  /** Grows with each connection that became ready. */
  readonly connections: number;
  open(signal?: AbortSignal): Promise<void>;
  close(options?: CloseOptions): Promise<void>;
  destroy(): void;
  refusal(): CoterieError | undefined;
  status(): InstanceStatus;
  call(name: string, args: readonly Argument[], options?: CallOptions): Promise<Reply>;
  run(
    script: Script,
    keys: readonly SentArgument[],
    args: readonly SentArgument[],
    options?: CallOptions,
  ): Promise<Reply>;
  /** `run` for what is in RESP already; `outcome` hears of it later. */
  evaluate(script: Script, keys: Encoded, args: Encoded, deadlineMs: number, outcome: Outcome): void;
  /** `available` or `connections` may have changed; returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Made on the first call, closed with the instance. */
  subscriber(): MemberSubscriber;
}
