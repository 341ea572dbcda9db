/** Named counters that only grow. Cheap enough for every command: a counter is a field of an object. */

export class Counters<Name extends string> {
  readonly #counts: Record<Name, number>;

  constructor(names: readonly Name[]) {
    this.#counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  }

  add(name: Name, by = 1): void {
    this.#counts[name] += by;
  }

  get(name: Name): number {
    return this.#counts[name];
  }

  /** A copy of all counts. */
  snapshot(): Readonly<Record<Name, number>> {
    return { ...this.#counts };
  }
}
