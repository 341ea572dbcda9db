/**
 * What must hold of leases: none ends by expiry before its time, counted from where its last renewal was
 * first applied anywhere; and an end takes all of its keys with it.
 */
import { decodeCommand, type MetaStore, type Outcome } from "../../src/meta/index.ts";
import type { Entry } from "../../src/raft/index.ts";
import { Violation } from "./violation.ts";

interface Held {
  readonly ttlMs: number;
  renewedAtMs: number;
}

export class LeaseChecks {
  readonly #held = new Map<number, Held>();
  readonly counts = { granted: 0, renewed: 0, expired: 0, revoked: 0, stale: 0 };

  /** An entry was applied for the first time. */
  applied(entry: Entry, outcome: Outcome, store: MetaStore, nowMs: number): void {
    const command = decodeCommand(entry.data);
    if (command === undefined || !("lease" in command) || command.lease === undefined) {
      this.#note(outcome, nowMs);
      return;
    }
    const { type, lease } = command;
    this.#note(outcome, nowMs);
    if (type === "expireLease" && !outcome.ok) this.counts.stale += 1;
    if ((type !== "expireLease" && type !== "revokeLease") || !outcome.ok) return;
    const held = this.#held.get(lease);
    if (held === undefined) throw new Violation("lease", `lease ${lease} ends, and was never granted`);
    if (type === "expireLease" && nowMs - held.renewedAtMs < held.ttlMs) {
      const lived = nowMs - held.renewedAtMs;
      throw new Violation("lease", `lease ${lease} of ${held.ttlMs} ms expires after ${lived} ms`);
    }
    if (store.get(`lease/${lease}`) !== undefined || store.lease(lease) !== undefined) {
      throw new Violation("lease", `lease ${lease} is over, and its key is still there`);
    }
    this.#held.delete(lease);
    this.counts[type === "expireLease" ? "expired" : "revoked"] += 1;
  }

  #note({ ok, answer, isRepeat }: Outcome, nowMs: number): void {
    if (!ok || isRepeat || answer.type !== "lease") return;
    const known = this.#held.get(answer.lease);
    if (known === undefined) {
      this.#held.set(answer.lease, { ttlMs: answer.ttlMs, renewedAtMs: nowMs });
      this.counts.granted += 1;
    } else {
      known.renewedAtMs = nowMs;
      this.counts.renewed += 1;
    }
  }
}
