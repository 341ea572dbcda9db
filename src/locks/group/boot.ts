/**
 * The boot record: what stands on each instance of a lock group, and what every lock script compares as
 * a whole before it does anything. It says which group and which instance this is, which run of the server
 * it was written for, and whether the instance may vote. Whoever changes it does so by compare-and-set and
 * with a fresh nonce, so that no two records are ever equal. Pure.
 */
import { createHash } from "node:crypto";

import { CoterieError } from "../../errors.ts";

/** What processes must agree on beside their options: keys, records, scripts. */
const PROTOCOL_VERSION = 1;

/**
 * `new`: nobody was found yet who knows it, and somebody is asking. `member`: it votes. `abstaining`: it may
 * have lost data, and waits for old leases to end and for counters. `leapt`: it waits for old leases alone;
 * its clock leapt and it lost nothing.
 */
export type BootState = "new" | "member" | "abstaining" | "leapt";

export interface BootRecord {
  readonly leaseMsMax: number;
  readonly digest: string;
  readonly id: string;
  readonly runId: string;
  readonly state: BootState;
  readonly nonce: string;
  /** It was seen to lose nothing that it acknowledged, even in a crash. */
  readonly durable: boolean;
}

/** What this process was told, and the record must say too. */
export interface Identity {
  readonly leaseMsMax: number;
  readonly digest: string;
  readonly id: string;
}

/**
 * What a record means to this process. `absent`: none there. `foreign`: of another group, instance or
 * protocol. `restarted`: written for an earlier run of the server. Else its state, for this very run.
 */
export type BootVerdict =
  | { readonly is: "absent" }
  | { readonly is: "foreign"; readonly record: BootRecord | undefined }
  | { readonly is: "restarted"; readonly record: BootRecord }
  | { readonly is: BootState; readonly record: BootRecord };

const STATES: readonly string[] = ["new", "member", "abstaining", "leapt"] satisfies BootState[];

/** 16 hex digits over everything that the processes of a group must agree on. */
export function groupDigest(ids: readonly string[], leaseMsMax: number): string {
  const agreed = JSON.stringify([PROTOCOL_VERSION, leaseMsMax, ids.toSorted(byCodeUnit)]);
  return createHash("sha256").update(agreed).digest("hex").slice(0, 16);
}

/** The order of members, the same in every process. */
export function byCodeUnit(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

export function encodeBoot(record: BootRecord): string {
  const { leaseMsMax, digest, id, runId, state, nonce, durable } = record;
  const fields = [PROTOCOL_VERSION, leaseMsMax, digest, encodeURIComponent(id), runId, state, nonce];
  return `${fields.join(" ")} ${durable ? 1 : 0}`;
}

/** Undefined for anything that `encodeBoot` did not write. */
export function parseBoot(text: string): BootRecord | undefined {
  const [version, lease, digest, id, runId, state, nonce, durable, ...more] = text.split(" ");
  if (version !== String(PROTOCOL_VERSION) || more.length > 0) return undefined;
  if (!/^\d+$/.test(lease ?? "") || !/^[01]$/.test(durable ?? "") || !STATES.includes(state ?? "")) {
    return undefined;
  }
  const record: BootRecord = {
    leaseMsMax: Number(lease),
    digest: digest as string,
    id: decodeId(id as string),
    runId: runId as string,
    state: state as BootState,
    nonce: nonce as string,
    durable: durable === "1",
  };
  return encodeBoot(record) === text ? record : undefined;
}

/** What the record on an instance, null for none, means while the server's run id is `runId`. */
export function judgeBoot(text: string | null, own: Identity, runId: string): BootVerdict {
  if (text === null) return { is: "absent" };
  const record = parseBoot(text);
  const isOurs =
    record !== undefined &&
    record.digest === own.digest &&
    record.id === own.id &&
    record.leaseMsMax === own.leaseMsMax;
  if (!isOurs) return { is: "foreign", record };
  return record.runId === runId ? { is: record.state, record } : { is: "restarted", record };
}

/** What old leases may be longer than they are on our clock: what two sound clocks drift apart. */
const DRIFT_RATIO = 0.01;
const DRIFT_MS = 2;

/**
 * The time for which an abstaining instance must wait, until every lease is over that it granted before.
 * It counts from when this process saw this very record under this run of the server, on our monotonic clock.
 */
export class Quarantine {
  readonly #waitMs: number;
  #watched: string | undefined;
  #sinceMs = 0;

  constructor(leaseMsMax: number) {
    this.#waitMs = leaseMsMax * (1 + DRIFT_RATIO) + DRIFT_MS;
  }

  /** Takes in what was just seen; true when a wait begins with it. */
  observe(verdict: BootVerdict, nowMs: number): boolean {
    const waits = verdict.is === "abstaining" || verdict.is === "leapt";
    const watched = waits ? `${verdict.record.runId} ${verdict.record.nonce}` : undefined;
    if (watched === this.#watched) return false;
    this.#watched = watched;
    this.#sinceMs = nowMs;
    return waits;
  }

  /** 0 when it is over, or when there is none. */
  leftMs(nowMs: number): number {
    if (this.#watched === undefined) return 0;
    return Math.max(0, Math.ceil(this.#sinceMs + this.#waitMs - nowMs));
  }
}

const REASONS: Readonly<Partial<Record<BootVerdict["is"], string>>> = {
  absent: "it is new, or was emptied; the others are being asked",
  new: "it is new, or was emptied; the others are being asked",
  restarted: "it restarted, and may have forgotten locks",
  leapt: "its clock leapt",
};

/** Why an instance does not vote, in the words that are used where nobody knows better. */
export function reasonFor(verdict: BootVerdict["is"] = "abstaining"): string {
  return REASONS[verdict] ?? "it may have forgotten locks";
}

export interface Mismatch {
  readonly id: string;
  readonly text: string | null;
  readonly record: BootRecord | undefined;
  /** The group as its processes described it, if that can be read. */
  readonly registered: string | null;
  readonly given: string;
  readonly digest: string;
}

/** The error for an instance that belongs to another group, or is another instance of this one. */
export function mismatch({ id, text, record, registered, given, digest }: Mismatch): CoterieError {
  const what =
    record === undefined
      ? "something of another protocol"
      : `instance "${record.id}" of the group ${registered ?? record.digest}`;
  const details = {
    instance: id,
    registered: { group: registered, record: text },
    given: { group: given, digest },
  };
  return new CoterieError(
    "CONFIG_MISMATCH",
    `instance "${id}" is registered as ${what}; this process has the group ${given}`,
    { details },
  );
}

/** The text itself where it is no encoding: then encoding it again gives another text, and fools nobody. */
function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
