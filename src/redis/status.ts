/** What an instance is told when it is made, and what it tells about itself. */
import type { HistogramSnapshot } from "../observe/index.ts";

export type InstanceState = "connecting" | "ready" | "reconnecting" | "closed";
export type CircuitState = "closed" | "open";

/** What all instances of a group share. */
export interface InstanceSettings {
  /** Default deadline of a command, in milliseconds. */
  readonly deadlineMs: number;
  /** How long a connect with its handshake may take before it is given up and tried again. */
  readonly connectDeadlineMs: number;
  /** Commands that may be in flight at once; more are refused with OVERLOADED. */
  readonly inFlightMax: number;
  /** Time between two health checks; a quarter of it while the circuit is open. */
  readonly healthMs: number;
}

export const DEFAULT_INSTANCE_SETTINGS: InstanceSettings = {
  deadlineMs: 1000,
  connectDeadlineMs: 2000,
  inFlightMax: 100_000,
  healthMs: 1000,
};

/** What is counted from the moment an instance is opened. */
export const INSTANCE_COUNTERS = ["sent", "replied", "missed", "lost", "connected", "scriptsSent"] as const;

/**
 * `sent` commands, `replied` ones, those that `missed` their deadline, those `lost` with their
 * connection, how often it `connected`, and `scriptsSent` in full because the server did not know them.
 */
export type InstanceCounter = (typeof INSTANCE_COUNTERS)[number];

export interface InstanceStatus {
  readonly id: string;
  /** `host:port` or a socket's path; never with credentials. */
  readonly address: string;
  readonly state: InstanceState;
  readonly circuit: CircuitState;
  /** Of our own PINGs since the instance was opened. */
  readonly roundTrip: HistogramSnapshot;
  readonly lastError: string | undefined;
  readonly runId: string | undefined;
  readonly redisVersion: string | undefined;
  readonly inFlight: number;
  readonly counters: Readonly<Record<InstanceCounter, number>>;
}

export interface CloseOptions {
  /** Milliseconds to wait for calls in flight. Default 1,000; 0 cuts at once. */
  readonly graceMs?: number | undefined;
}
