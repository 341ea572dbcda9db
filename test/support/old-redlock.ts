/**
 * The packages that `coterie/redlock` stands in for, with the types that they would have. Both are what npm
 * gives: 5.0.0-beta.2 as `redlock`, 4.2.0 as `redlock4`.
 */
import type { EventEmitter } from "node:events";

import type { Redis } from "ioredis";
import redlock5 from "redlock";
import redlock4 from "redlock4";

import type * as types5 from "../../node_modules/redlock/dist/index.js";

export type OldRedlock = types5.default;

/** redlock 5.0.0-beta.2. */
export const OldRedlock: typeof types5.default = redlock5 as typeof types5.default;

interface Lock4 {
  readonly resource: string | string[];
  readonly value: string;
  readonly expiration: number;
  unlock(): Promise<void>;
  extend(ttl: number): Promise<Lock4>;
}

export interface Redlock4 extends EventEmitter {
  lock(resource: string | string[], ttl: number): Promise<Lock4>;
  unlock(lock: Lock4): Promise<void>;
}

interface Settings4 {
  readonly driftFactor?: number;
  readonly retryCount?: number;
  readonly retryDelay?: number;
  readonly retryJitter?: number;
}

/** redlock 4.2.0. */
export const Redlock4: new (clients: Redis[], settings?: Settings4) => Redlock4 = redlock4 as never;
