/**
 * What the package tells observers, over node:diagnostics_channel. Each channel has one message shape,
 * listed in `Messages`; nobody pays for a channel without a subscriber. Messages never carry values of
 * keys, passwords or secrets.
 */
import { type Channel, channel } from "node:diagnostics_channel";

/** Channel name to the message published on it. */
export interface Messages {
  /** An instance's connection became usable, was lost, or was closed. */
  "coterie:instance:state": {
    readonly instance: string;
    readonly from: string;
    readonly to: string;
    readonly error?: unknown;
  };
  /** A shard's circuit breaker changed. */
  "coterie:shard:circuit": { readonly instance: string; readonly from: string; readonly to: string };
  /** An instance came back under another run id: what it held may be gone. */
  "coterie:instance:restarted": {
    readonly instance: string;
    readonly runId: string;
    readonly runIdBefore: string;
  };
  /** A member of a lock group may vote now, or may not any more; `reason` says why not. */
  "coterie:lock:member": {
    readonly group: string;
    readonly instance: string;
    readonly from: string;
    readonly to: string;
    readonly reason: string | undefined;
  };
  /**
   * Instances wait until every lease is over that they could have granted and forgotten. `option` names the
   * option that saves this wait where nothing can have been lost, on a first installation.
   */
  "coterie:lock:abstaining": {
    readonly group: string;
    readonly instances: readonly string[];
    readonly waitMs: number;
    readonly reason: string;
    readonly option: string | undefined;
  };
  /**
   * So many instances lost their data that nobody knows the last fencing token for certain: the next ones are
   * ahead of every server's clock, and are greater than all before as far as the clocks agreed.
   */
  "coterie:lock:data-loss": { readonly group: string; readonly instances: readonly string[] };
  /** Somebody asks for a lock. */
  "coterie:lock:asked": {
    readonly resources: readonly string[];
    readonly leaseMs: number;
    readonly waitMs: number;
  };
  /** It was granted; `tookMs` is the time since it was asked for, waits included. */
  "coterie:lock:acquired": LockMessage & { readonly tookMs: number };
  /** It was not: another holder has it, or whatever the code says. */
  "coterie:lock:refused": { readonly resources: readonly string[]; readonly code: string };
  /** A wait for other holders is over, with the lock or without. */
  "coterie:lock:waited": { readonly resources: readonly string[]; readonly waitedMs: number };
  /** A lease was renewed; `leaseMs` is the new one. */
  "coterie:lock:renewed": LockMessage & { readonly leaseMs: number };
  /** A lock was lost before it was released. */
  "coterie:lock:lost": LockMessage & { readonly heldMs: number; readonly why: string };
  "coterie:lock:released": LockMessage & { readonly heldMs: number };
}

/** Which lock it is about. */
interface LockMessage {
  readonly resources: readonly string[];
  readonly fencingToken: number;
}

export type ChannelName = keyof Messages;

const channels = new Map<ChannelName, Channel>();

function channelOf(name: ChannelName): Channel {
  let found = channels.get(name);
  if (found === undefined) {
    found = channel(name);
    channels.set(name, found);
  }
  return found;
}

/** True when somebody listens: where a message for nobody would cost too much to make. */
export function isObserved(name: ChannelName): boolean {
  return channelOf(name).hasSubscribers;
}

/** Publishes to the channel's subscribers, if any; a subscriber that throws cannot stop the caller. */
export function publish<Name extends ChannelName>(name: Name, message: Messages[Name]): void {
  const target = channelOf(name);
  if (target.hasSubscribers) target.publish(message);
}
