/**
 * Where values are kept. The bytes of an entry belong to the log, which may use them again, so the state
 * takes a copy. A buffer for each small value would cost ten times what the copy costs, so small values
 * share slabs of 2 KiB: no larger, because one value that lives long keeps its whole slab.
 */
import { NO_BYTES } from "../codec/reader.ts";

const SLAB_BYTES = 2_048;
/** Larger values have a buffer of their own. */
const SHARED_BYTES_MAX = 256;

export class Values {
  #slab: Uint8Array = NO_BYTES;
  #used = 0;

  /** A plain Uint8Array with the same bytes, whatever kind of bytes it comes from. */
  keep(value: Uint8Array): Uint8Array {
    const { length } = value;
    if (length === 0) return NO_BYTES;
    if (length > SHARED_BYTES_MAX) {
      const own = new Uint8Array(length);
      own.set(value);
      return own;
    }
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const kept = this.#slab.subarray(this.#used, this.#used + length);
    this.#used += length;
    kept.set(value);
    return kept;
  }
}
