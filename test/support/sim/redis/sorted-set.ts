/** A Redis sorted set: members by score, and by their bytes where scores are equal. Small ones only. */

export interface Ranked {
  readonly member: string;
  readonly score: number;
}

export class SortedSet {
  readonly #scores = new Map<string, number>();
  #order: Ranked[] | undefined;

  get size(): number {
    return this.#scores.size;
  }

  score(member: string): number | undefined {
    return this.#scores.get(member);
  }

  set(member: string, score: number): void {
    this.#scores.set(member, score);
    this.#order = undefined;
  }

  delete(member: string): boolean {
    this.#order = undefined;
    return this.#scores.delete(member);
  }

  /** All members, the lowest first. */
  ranked(): readonly Ranked[] {
    this.#order ??= Array.from(this.#scores, ([member, score]) => ({ member, score })).toSorted(
      (a, b) => a.score - b.score || (a.member < b.member ? -1 : 1),
    );
    return this.#order;
  }

  copy(): SortedSet {
    const other = new SortedSet();
    for (const [member, score] of this.#scores) other.set(member, score);
    return other;
  }
}
