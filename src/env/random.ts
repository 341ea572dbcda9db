/** Chance as an argument, so that a seed replays a run exactly. */

export interface Random {
  /** A whole number from 0 to n - 1, each equally likely; n from 1 to 2^32. */
  below(n: number): number;
  /** A number from 0 up to, not including, 1. */
  fraction(): number;
  /** `bytes` random bytes in lower-case hex; the system's are good enough for secrets. */
  hex(bytes: number): string;
}
