/**
 * An entry of the log: what is agreed on, at one index, for ever. Entries are never changed; the log, the
 * messages and the storage share them.
 */

export type EntryKind = "normal" | "config";

export class Entry {
  readonly index: number;
  readonly term: number;
  /** `config` changes who is a member; the driver applies it to the core as well. */
  readonly kind: EntryKind;
  /** A command of the state machine; empty in the entry with which a term begins. */
  readonly data: Uint8Array;

  constructor(index: number, term: number, kind: EntryKind, data: Uint8Array) {
    this.index = index;
    this.term = term;
    this.kind = kind;
    this.data = data;
  }
}

/** What an entry costs beside its data, on the wire and on the disk, as the limits count it. */
const ENTRY_OVERHEAD_BYTES = 16;

export const NO_DATA: Uint8Array = new Uint8Array(0);

/** What limits on messages and batches count. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** The bytes of the commands alone: an empty entry costs nothing, so that a new leader is never refused. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** The longest start of `entries` within so many bytes, and one entry at least. */
export function limitBytes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let bytes = 0;
  for (let at = 0; at < entries.length; at += 1) {
    bytes += entryBytes(entries[at] as Entry);
    if (bytes > bytesMax && at > 0) return entries.slice(0, at);
  }
  return entries;
}
