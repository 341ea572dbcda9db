/**
 * Two collections for what comes and goes by the thousand: `Roster`, all of them, and `Register`, each by its
 * holder token. Both link their elements instead of putting them into a Map: a Map that gains and loses an
 * entry per lock is rebuilt all the time, and its dead tables, each leading to the next, keep everything
 * that was in them until a full garbage collection. Measured, that was half of what a lock cost.
 */

/** An element of a roster; on one roster at a time. */
export interface Listed {
  /** Its place; -1 when it is on none. The roster's own. */
  rosterAt: number;
}

export class Roster<T extends Listed> {
  readonly #all: T[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(one: T): void {
    if (one.rosterAt !== -1) return;
    one.rosterAt = this.#all.length;
    this.#all.push(one);
  }

  /** The last one takes its place. */
  remove(one: T): void {
    const at = one.rosterAt;
    if (at === -1) return;
    one.rosterAt = -1;
    const last = this.#all.pop() as T;
    if (last === one) return;
    last.rosterAt = at;
    this.#all[at] = last;
  }

  /** A copy: what is done with them may add and remove. */
  all(): T[] {
    return [...this.#all];
  }
}

/** An element of a register; in one register at a time. */
export interface Registered<T> {
  /** Its name: a text that ends in hex digits which differ from one to the next. */
  readonly base: string;
  /** The next one with the same digits. The register's own. */
  nextRegistered: T | undefined;
}

/** Digits that a place is made of: 28 bits. */
const DIGITS = 7;
const SIZE_MIN = 64;

export class Register<T extends Registered<T>> {
  #places: (T | undefined)[] = emptyPlaces(SIZE_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** A second one with the same name is not looked for; names are unique. */
  add(one: T): void {
    if (this.#size >= this.#places.length) this.#resize(this.#places.length * 2);
    this.#put(one);
    this.#size += 1;
  }

  get(base: string): T | undefined {
    let one = this.#places[this.#placeOf(base)];
    while (one !== undefined && one.base !== base) one = one.nextRegistered;
    return one;
  }

  /** Does nothing when it is not there. */
  remove(one: T): void {
    const place = this.#placeOf(one.base);
    let before: T | undefined;
    let found = this.#places[place];
    while (found !== undefined && found !== one) {
      before = found;
      found = found.nextRegistered;
    }
    if (found === undefined) return;
    if (before === undefined) this.#places[place] = one.nextRegistered;
    else before.nextRegistered = one.nextRegistered;
    one.nextRegistered = undefined;
    this.#size -= 1;
    if (this.#size < this.#places.length / 8 && this.#places.length > SIZE_MIN) {
      this.#resize(this.#places.length / 2);
    }
  }

  /** A copy: what is done with them may add and remove. */
  all(): T[] {
    const all: T[] = [];
    for (const first of this.#places) {
      for (let one = first; one !== undefined; one = one.nextRegistered) all.push(one);
    }
    return all;
  }

  #placeOf(base: string): number {
    return Number.parseInt(base.slice(-DIGITS), 16) & (this.#places.length - 1);
  }

  #put(one: T): void {
    const place = this.#placeOf(one.base);
    one.nextRegistered = this.#places[place];
    this.#places[place] = one;
  }

  #resize(size: number): void {
    const all = this.all();
    this.#places = emptyPlaces(size);
    for (const one of all) this.#put(one);
  }
}

function emptyPlaces(size: number): undefined[] {
  return Array.from({ length: size }, () => undefined);
}
