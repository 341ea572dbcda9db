/**
 * The keys in order: a B+ tree of slots. Slots stand in leaves of at most 64, which are linked, so a range
 * is a walk; branches of at most 64 children say by separators where a key is. What is too full is divided,
 * what has less than a quarter is joined with its neighbour (and divided again where that is too much).
 * A leaf that grows at the end of all keys is not halved: keys that come in order fill their leaves.
 */
import { invariant } from "../../invariant.ts";
import type { Bounds } from "../key-range.ts";

const SIZE_MAX = 64;
const SIZE_MIN = 16;

/** What stands in the tree under its key. */
export interface Keyed {
  readonly key: string;
}

class Leaf<S extends Keyed> {
  readonly isLeaf = true;
  slots: S[];
  next: Leaf<S> | undefined;

  constructor(slots: S[], next: Leaf<S> | undefined) {
    this.slots = slots;
    this.next = next;
  }
}

class Branch<S extends Keyed> {
  readonly isLeaf = false;
  /** Keys below `separators[i]` are in a child up to i, the others in a later one. */
  separators: string[];
  children: Page<S>[];

  constructor(separators: string[], children: Page<S>[]) {
    this.separators = separators;
    this.children = children;
  }
}

type Page<S extends Keyed> = Leaf<S> | Branch<S>;

/** The right part of what was divided, and the least key that belongs there. */
interface Division<S extends Keyed> {
  readonly separator: string;
  readonly right: Page<S>;
}

export class SortedSlots<S extends Keyed> {
  #root: Page<S> = new Leaf<S>([], undefined);

  /** How many pages there are from the root to a slot. */
  get depth(): number {
    let depth = 1;
    for (let page = this.#root; !page.isLeaf; page = page.children[0] as Page<S>) depth += 1;
    return depth;
  }

  /** Puts in a slot whose key is not there yet. */
  insert(slot: S): void {
    const division = this.#insertInto(this.#root, slot);
    if (division !== undefined) this.#root = new Branch([division.separator], [this.#root, division.right]);
  }

  /** Takes out the slot of a key that is there. */
  remove(key: string): void {
    this.#removeFrom(this.#root, key);
    const root = this.#root;
    if (!root.isLeaf && root.children.length === 1) this.#root = root.children[0] as Page<S>;
  }

  /** The slots within the bounds in order, at most `limit` of them. */
  slotsIn({ from, to }: Bounds, limit: number): S[] {
    const found: S[] = [];
    let leaf: Leaf<S> | undefined = this.#leafOf(from);
    let at = lowerBound(leaf.slots, from);
    while (leaf !== undefined) {
      const end = endIn(leaf.slots, to);
      for (; at < end; at++) {
        if (found.length === limit) return found;
        found.push(leaf.slots[at] as S);
      }
      if (end < leaf.slots.length) return found;
      leaf = leaf.next;
      at = 0;
    }
    return found;
  }

  /** How many slots are within the bounds. */
  countIn({ from, to }: Bounds): number {
    let count = 0;
    let leaf: Leaf<S> | undefined = this.#leafOf(from);
    let at = lowerBound(leaf.slots, from);
    while (leaf !== undefined) {
      const end = endIn(leaf.slots, to);
      count += Math.max(0, end - at);
      if (end < leaf.slots.length) return count;
      leaf = leaf.next;
      at = 0;
    }
    return count;
  }

  /** All slots in order. The tree must not change meanwhile. */
  *[Symbol.iterator](): Generator<S> {
    let leaf: Leaf<S> | undefined = this.#leafOf("");
    for (; leaf !== undefined; leaf = leaf.next) yield* leaf.slots;
  }

  #leafOf(key: string): Leaf<S> {
    let page = this.#root;
    while (!page.isLeaf) page = page.children[childAt(page.separators, key)] as Page<S>;
    return page;
  }

  #insertInto(page: Page<S>, slot: S): Division<S> | undefined {
    if (page.isLeaf) {
      const at = lowerBound(page.slots, slot.key);
      page.slots.splice(at, 0, slot);
      if (page.slots.length <= SIZE_MAX) return undefined;
      const isAtEnd = at === SIZE_MAX && page.next === undefined;
      return divideLeaf(page, isAtEnd ? SIZE_MAX : page.slots.length >> 1);
    }
    const at = childAt(page.separators, slot.key);
    const division = this.#insertInto(page.children[at] as Page<S>, slot);
    if (division === undefined) return undefined;
    page.separators.splice(at, 0, division.separator);
    page.children.splice(at + 1, 0, division.right);
    return page.children.length <= SIZE_MAX ? undefined : divideBranch(page);
  }

  #removeFrom(page: Page<S>, key: string): void {
    if (page.isLeaf) {
      const at = lowerBound(page.slots, key);
      invariant(page.slots[at]?.key === key, "what is removed is there");
      page.slots.splice(at, 1);
      return;
    }
    const at = childAt(page.separators, key);
    const child = page.children[at] as Page<S>;
    this.#removeFrom(child, key);
    if (sizeOf(child) < SIZE_MIN) join(page, Math.max(0, at - 1));
  }
}

function sizeOf<S extends Keyed>(page: Page<S>): number {
  return page.isLeaf ? page.slots.length : page.children.length;
}

function divideLeaf<S extends Keyed>(leaf: Leaf<S>, at: number): Division<S> {
  const right = new Leaf(leaf.slots.splice(at), leaf.next);
  leaf.next = right;
  return { separator: (right.slots[0] as S).key, right };
}

function divideBranch<S extends Keyed>(branch: Branch<S>): Division<S> {
  const half = branch.children.length >> 1;
  const children = branch.children.splice(half);
  const separators = branch.separators.splice(half);
  const separator = branch.separators.pop() as string;
  return { separator, right: new Branch(separators, children) };
}

/** Makes one page of children `at` and `at + 1`, or two even ones where one would be too full. */
function join<S extends Keyed>(parent: Branch<S>, at: number): void {
  const left = parent.children[at] as Page<S>;
  const right = parent.children[at + 1] as Page<S>;
  const separator = parent.separators[at] as string;
  let division: Division<S> | undefined;
  if (left.isLeaf && right.isLeaf) {
    left.slots.push(...right.slots);
    left.next = right.next;
    if (left.slots.length > SIZE_MAX) division = divideLeaf(left, left.slots.length >> 1);
  } else if (!left.isLeaf && !right.isLeaf) {
    left.separators.push(separator, ...right.separators);
    left.children.push(...right.children);
    if (left.children.length > SIZE_MAX) division = divideBranch(left);
  } else invariant(false, "all leaves are equally deep");
  parent.separators.splice(at, 1);
  parent.children.splice(at + 1, 1);
  if (division === undefined) return;
  parent.separators.splice(at, 0, division.separator);
  parent.children.splice(at + 1, 0, division.right);
}

/** The first place whose key is not below `key`. */
function lowerBound(slots: readonly Keyed[], key: string): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle] as Keyed).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of a leaf's slots are below `to`. */
function endIn(slots: readonly Keyed[], to: string | undefined): number {
  const last = slots.at(-1);
  return to === undefined || last === undefined || last.key < to ? slots.length : lowerBound(slots, to);
}

/** The child in which the key is, or would be. */
function childAt(separators: readonly string[], key: string): number {
  let low = 0;
  let high = separators.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((separators[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
