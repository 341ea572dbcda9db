/**
 * The leases: their length, their last renewal, and the keys that end with them. Time is not here: a lease
 * ends by an entry, and the leader's `LeaseClock` says when to propose one.
 * A renewal is known by the index of its entry. It grows, and no other lease that had the number before or
 * will have it later can share it, so an end that was proposed for one life of a lease never ends another.
 */
import { Digest, Sum } from "./digest.ts";

const LEASE_TAG = 4;

export interface Lease {
  readonly lease: number;
  /** How long it lives without being renewed, as counted by the leader. */
  readonly ttlMs: number;
  /** The index of the entry that granted or last renewed it. */
  readonly renewal: number;
  readonly keyCount: number;
}

/** The keys stand in the order in which they came: whoever acts on them sorts them first. */
class HeldLease implements Lease {
  readonly lease: number;
  readonly ttlMs: number;
  readonly keys = new Set<string>();
  renewal: number;

  constructor(lease: number, ttlMs: number, renewal: number) {
    this.lease = lease;
    this.ttlMs = ttlMs;
    this.renewal = renewal;
  }

  get keyCount(): number {
    return this.keys.size;
  }
}

export class LeaseTable {
  readonly sum: Sum = new Sum();
  readonly #leases = new Map<number, HeldLease>();
  readonly #digest = new Digest();

  get size(): number {
    return this.#leases.size;
  }

  has(lease: number): boolean {
    return this.#leases.has(lease);
  }

  get(lease: number): Lease | undefined {
    return this.#leases.get(lease);
  }

  /** In the order of being granted; a restored table is in order of number. */
  values(): IterableIterator<Lease> {
    return this.#leases.values();
  }

  /** Makes a lease whose number is free. */
  grant(lease: number, ttlMs: number, renewal: number): void {
    const held = new HeldLease(lease, ttlMs, renewal);
    this.#leases.set(lease, held);
    this.#addDigest(held);
  }

  /** For a lease that is there. */
  renew(lease: number, renewal: number): void {
    const held = this.#leases.get(lease) as HeldLease;
    this.#removeDigest(held);
    held.renewal = renewal;
    this.#addDigest(held);
  }

  /** Its keys, which are the caller's to delete, must be gone. */
  remove(lease: number): void {
    const held = this.#leases.get(lease) as HeldLease;
    this.#removeDigest(held);
    this.#leases.delete(lease);
  }

  attach(lease: number, key: string): void {
    this.#leases.get(lease)?.keys.add(key);
  }

  detach(lease: number, key: string): void {
    this.#leases.get(lease)?.keys.delete(key);
  }

  /** In order: a peer that was restored holds them in another one. */
  keysOf(lease: number): string[] {
    return [...(this.#leases.get(lease)?.keys ?? [])].toSorted(byCodeUnits);
  }

  /** What `sum` must be, from the leases alone. */
  sumFully(): Sum {
    const sum = new Sum();
    const digest = new Digest();
    for (const held of this.#leases.values()) {
      digestLease(digest, held);
      sum.add(digest.low, digest.high);
    }
    return sum;
  }

  #addDigest(held: HeldLease): void {
    digestLease(this.#digest, held);
    this.sum.add(this.#digest.low, this.#digest.high);
  }

  #removeDigest(held: HeldLease): void {
    digestLease(this.#digest, held);
    this.sum.remove(this.#digest.low, this.#digest.high);
  }
}

/** Its keys are in the digests of their records. */
function digestLease(digest: Digest, { lease, ttlMs, renewal }: Lease): void {
  digest.begin(LEASE_TAG);
  digest.number(lease);
  digest.number(ttlMs);
  digest.number(renewal);
  digest.end();
}

function byCodeUnits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
