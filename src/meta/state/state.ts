/**
 * All that is replicated, and its hash. Equal entries make equal states, and equal states have equal
 * hashes: the digests of all things in it are summed up as they change, so asking for the hash costs a
 * few dozen multiplications. `hashFully` takes everything anew, and must say the same.
 */
import { LIMIT_NAMES, type MetaLimits } from "../options.ts";
import { Digest, type Sum } from "./digest.ts";
import { History } from "./history.ts";
import { KeySpace } from "./key-space.ts";
import { LeaseTable } from "./leases.ts";
import { SessionTable } from "./sessions.ts";

const STATE_TAG = 7;

export class State {
  readonly limits: MetaLimits;
  readonly keys: KeySpace = new KeySpace();
  readonly leases: LeaseTable = new LeaseTable();
  readonly sessions: SessionTable;
  readonly history: History;
  /** Grows by one with each command that changes keys. */
  revision = 0;
  appliedIndex = 0;
  appliedTerm = 0;
  /** Entries that were no command. */
  malformedCount = 0;
  readonly #digest = new Digest();
  /** How each hash begins. */
  readonly #limitsDigest: Digest;

  constructor(limits: MetaLimits) {
    this.limits = limits;
    this.#limitsDigest = digestOfLimits(limits);
    this.sessions = new SessionTable(limits);
    this.history = new History(limits.historyEventsMax, limits.historyBytesMax);
  }

  /** The hash as two words; the Digest is used again by the next call. */
  hash(): Digest {
    const { keys, leases, sessions, history } = this;
    return this.#hashOf(keys.sum, leases.sum, sessions.sum, history.sum);
  }

  /** The same from all that is there, in time that grows with it; the Digest is used again. */
  hashFully(): Digest {
    const { keys, leases, sessions, history } = this;
    return this.#hashOf(keys.sumFully(), leases.sumFully(), sessions.sumFully(), history.sumFully());
  }

  #hashOf(keys: Sum, leases: Sum, sessions: Sum, history: Sum): Digest {
    const digest = this.#digest;
    digest.low = this.#limitsDigest.low;
    digest.high = this.#limitsDigest.high;
    addSum(digest, keys);
    addSum(digest, leases);
    addSum(digest, sessions);
    addSum(digest, history);
    digest.number(this.appliedIndex);
    digest.number(this.appliedTerm);
    digest.number(this.revision);
    digest.number(this.history.compactedRevision);
    digest.number(this.malformedCount);
    digest.end();
    return digest;
  }
}

function digestOfLimits(limits: MetaLimits): Digest {
  const digest = new Digest();
  digest.begin(STATE_TAG);
  for (const name of LIMIT_NAMES) digest.word(limits[name]);
  return digest;
}

function addSum(digest: Digest, { low, high }: Sum): void {
  digest.word(low);
  digest.word(high);
}
