/**
 * The layer table: every room of `src` and `middleware`, its rank, and what it may import. A room may
 * import each room of a lower rank, and none of its own or a higher one, unless its row says less.
 * A folder or file that is not here is an error: whoever builds a room gives it its row, and tells
 * docs/architecture.md.
 */

export interface Room {
  /** A folder, or a file that stands alone. */
  readonly path: string;
  readonly rank: number;
  /** When given: the only rooms that it may import. */
  readonly only?: readonly string[];
  /** Rooms of a lower rank that it may not import. */
  readonly never?: readonly string[];
  /** Rooms from which it may import types, and nothing that is left at run time. */
  readonly typesOf?: readonly string[];
  /** The npm packages that it may import, types included. */
  readonly packages?: readonly string[];
  /** State and a message in, new state and orders out: no node:*, clock, chance, timer or await. */
  readonly pure?: boolean;
}

const PURE: readonly string[] = ["src/ring", "src/raft", "src/meta"];

/** The pure rooms take the interfaces of these as arguments; their code reaches node:*. */
const OUTSIDE: readonly string[] = ["src/env", "src/observe"];

/** What everyone outside sees: code above the package's own rooms uses what any user could. */
const PUBLIC: readonly string[] = ["src/index.ts"];

/** What one middleware may use of the others: how options are read. */
const MIDDLEWARE: readonly string[] = [...PUBLIC, "middleware/options.ts"];

export const ROOMS: readonly Room[] = [
  { path: "src/errors.ts", rank: 0 },
  { path: "src/invariant.ts", rank: 1 },
  { path: "src/options.ts", rank: 1 },

  { path: "src/env", rank: 2 },
  { path: "src/observe", rank: 2 },

  { path: "src/ring", rank: 3, pure: true, typesOf: OUTSIDE },
  { path: "src/raft", rank: 3, pure: true, typesOf: OUTSIDE },
  { path: "src/meta", rank: 3, pure: true, typesOf: OUTSIDE },

  { path: "src/redis", rank: 4, never: PURE, packages: ["ioredis"] },

  { path: "src/shards", rank: 5 },
  { path: "src/locks", rank: 5 },
  { path: "src/transport", rank: 5 },
  { path: "src/storage", rank: 5 },

  { path: "src/peer", rank: 6, never: ["src/shards", "src/locks"] },

  {
    path: "src/redlock",
    rank: 7,
    only: ["src/errors.ts", "src/invariant.ts", "src/options.ts", "src/env", "src/observe", "src/locks"],
  },
  { path: "src/coterie.ts", rank: 7 },
  { path: "src/index.ts", rank: 8 },

  { path: "src/testing", rank: 9, only: PUBLIC, packages: ["testcontainers"] },
  { path: "src/cli", rank: 9, only: PUBLIC },
  { path: "middleware/options.ts", rank: 9, only: PUBLIC },
  { path: "middleware/express", rank: 10, only: MIDDLEWARE, packages: ["express"] },
  { path: "middleware/bullmq", rank: 10, only: MIDDLEWARE, packages: ["bullmq"] },
  { path: "dashboard", rank: 9, only: PUBLIC },
];

/** Where time and chance come from; the only room that touches them. */
export const ENV_ROOM = "src/env";

/** What uses the package by its own name, as a user does: compiled apart, it cannot reach the sources. */
export const CONSUMERS: readonly string[] = ["bench", "examples", "scripts"];
