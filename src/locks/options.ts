/** What a locker and an acquire can be told, with defaults and checks. */
import { type Env, WAIT_MS_MAX } from "../env/index.ts";
import {
  booleanField,
  type Field,
  numberField,
  optionalNumberField,
  signalField,
  valueField,
} from "../options.ts";
import type { InstanceInput } from "../redis/index.ts";

export interface LockerOptions {
  /** Prefix of every key and channel: 1 to 64 letters, digits, `.`, `_`, `-`. Default `"coterie"`. */
  readonly name?: string | undefined;
  /** The lock group: independent Redis servers, at least one. Every process gives the same ids. */
  readonly instances: readonly InstanceInput[];
  /** The longest lease in milliseconds, agreed on by the whole group. Default 30,000. */
  readonly leaseMsMax?: number | undefined;
  /**
   * True: an instance that nobody in the group has ever seen may vote at once. False: it waits `leaseMsMax`
   * first, as one that was emptied must. Default: false if `NODE_ENV` is `"production"`, else true.
   */
  readonly assumeNew?: boolean | undefined;
  /** Ids of instances that lose nothing they acknowledged (`appendfsync always`); checked. Default none. */
  readonly durable?: readonly string[] | undefined;
  /** Milliseconds within which every command is answered, with an error if need be. Default 1,000. */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds that one attempt to connect may take, handshake included. Default 2,000. */
  readonly connectDeadlineMs?: number | undefined;
  /** Milliseconds between two health checks of an instance. Default 1,000. */
  readonly healthMs?: number | undefined;
  /**
   * Milliseconds for which a released lock is kept for this client when it is first in the queue; then the
   * next one is asked. At most 500, and by itself more where calls take long. Default 10: longer is fairer to
   * slow processes, shorter gets past stopped ones sooner. A process that is passed over keeps its place.
   */
  readonly reserveMs?: number | undefined;
  /** Milliseconds after which the tickets of a process that fell silent are void. Default 10,000. */
  readonly ticketMs?: number | undefined;
  /** Milliseconds after which less than a quorum is given back where somebody else is first. Default 10. */
  readonly splitMs?: number | undefined;
  /**
   * Milliseconds after which the instances beyond a quorum are asked as well, or told of a lock that is kept;
   * more where calls take longer, and at once where one of the quorum refuses or fails. Default 2; 0 asks all
   * at once, which costs up to twice the commands.
   */
  readonly spareMs?: number | undefined;
  /** Milliseconds that a caller with `fair: false` may go before one that has waited. Default 1,000. */
  readonly bargeMaxMs?: number | undefined;
  /** How many may wait for one resource; more are refused with OVERLOADED. Default 10,000. */
  readonly waitersMax?: number | undefined;
  /**
   * `"encoded"` (default): keys begin with the name, and values say who holds. `"plain"`: the resource is
   * the key, as the `redlock` package has it. The two do not exclude each other.
   */
  readonly keys?: "encoded" | "plain" | undefined;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
  /** Clock, timers and chance; the system's by default. For tests. */
  readonly env?: Env | undefined;
}

export interface AcquireOptions {
  /** Milliseconds for which it is held unless renewed: 10 to the group's `leaseMsMax`. Default 10,000. */
  readonly leaseMs?: number | undefined;
  /** Milliseconds to wait while others hold it; 0 does not wait. Default 10,000. */
  readonly waitMs?: number | undefined;
  /** Ends the wait. What was acquired by then is released. */
  readonly signal?: AbortSignal | undefined;
  /** False may go before those who wait, for at most `bargeMaxMs`. Default true: first come, first served. */
  readonly fair?: boolean | undefined;
  /** Renewed by itself until it is released. Default true; false lets it end with its lease. */
  readonly renew?: boolean | undefined;
  /** Milliseconds for one command. Default the locker's, and never more than half the lease. */
  readonly deadlineMs?: number | undefined;
  /** Kept with the lock and shown by `inspect`: what W3C Trace Context calls so. At most 256 characters. */
  readonly traceparent?: string | undefined;
}

const LEASE_MS_DEFAULT = 10_000;
export const LEASE_MS_MAX_DEFAULT = 30_000;
export const WAIT_MS_DEFAULT = 10_000;
export const LEASE_MS_MIN = 10;

/** A shape for each `leaseMsMax`: the group decides it. */
export function acquireShape(leaseMsMax: number): AcquireShape {
  return {
    leaseMs: numberField(Math.min(LEASE_MS_DEFAULT, leaseMsMax), { min: LEASE_MS_MIN, max: leaseMsMax }),
    waitMs: numberField(WAIT_MS_DEFAULT, { min: 0, max: WAIT_MS_MAX }),
    signal: signalField(),
    fair: booleanField(true),
    renew: booleanField(true),
    deadlineMs: optionalNumberField({ min: 1, max: WAIT_MS_MAX }),
    traceparent: valueField<string | undefined>(
      undefined,
      "1 to 256 printable ASCII characters",
      (value) => typeof value === "string" && /^[ -~]{1,256}$/.test(value),
    ),
  };
}

export interface AcquireShape extends Readonly<Record<string, Field<unknown>>> {
  readonly leaseMs: Field<number>;
  readonly waitMs: Field<number>;
  readonly signal: Field<AbortSignal | undefined>;
  readonly fair: Field<boolean>;
  readonly renew: Field<boolean>;
  readonly deadlineMs: Field<number | undefined>;
  readonly traceparent: Field<string | undefined>;
}
