/** The Express versions that the middleware is tested with, and a coterie over real Redis for them. */
import { createRequire } from "node:module";

import express5 from "express";

import { type Coterie, type CoterieOptions, openCoterie } from "../../src/index.ts";
import { QUICK } from "./instances.ts";

/** Express 4 under another name; it has no types of its own here, and its API is a part of Express 5's. */
const express4 = createRequire(import.meta.url)("express4") as typeof express5;

export const EXPRESS_VERSIONS: readonly (readonly [string, typeof express5])[] = [
  ["Express 5", express5],
  ["Express 4", express4],
];

export class OpenCoteries {
  readonly #opened: Coterie[] = [];

  /** Its instances are called a, b, c and so on. */
  async open(urls: readonly string[], shards: CoterieOptions["shards"] = {}): Promise<Coterie> {
    const { deadlineMs, connectDeadlineMs, healthMs } = QUICK;
    const coterie = await openCoterie({
      name: "test",
      instances: urls.map((url, at) => ({ id: "abcdefgh"[at]!, url })),
      shards: { deadlineMs, connectDeadlineMs, healthMs, ...shards },
    });
    this.#opened.push(coterie);
    return coterie;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((coterie) => coterie.close({ graceMs: 0 })));
  }
}

/** One key per instance id. */
export function keyOfEach({ shards }: Coterie): Map<string, string> {
  const found = new Map<string, string>();
  for (let n = 0; found.size < shards.ring.members.length; n += 1) {
    const { id } = shards.for(`item:${n}`);
    if (!found.has(id)) found.set(id, `item:${n}`);
  }
  return found;
}
