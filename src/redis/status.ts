/** What an instance is told when it is made, and what it tells about itself. */

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

export interface InstanceStatus {
  readonly id: string;
  /** `host:port` or a socket's path; never with credentials. */
  readonly address: string;
  readonly state: InstanceState;
  readonly circuit: CircuitState;
  /** Of the last PING that was answered. */
  readonly roundTripMs: number | undefined;
  readonly lastError: string | undefined;
  readonly runId: string | undefined;
  readonly redisVersion: string | undefined;
  readonly inFlight: number;
  readonly sent: number;
  readonly replied: number;
  /** Commands whose deadline passed without an answer. */
  readonly missed: number;
}
