/** What the locks' benches share: their arguments, what servers spend, the head they print. */
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

import { Redis } from "ioredis";

import { machine, print } from "./report.ts";

const PACKAGES = [
  "ioredis",
  "redlock",
  "redlock4",
  "@sesamecare-oss/redlock",
  "redlock-universal",
  "redis-semaphore",
];

export interface BenchArguments {
  readonly quick: boolean;
  /** `--instances=3,5`: the sizes of the lock group; undefined means the bench's own. */
  readonly instances: readonly number[] | undefined;
  readonly callers: readonly number[] | undefined;
  readonly rounds: number | undefined;
  /** `--only=coterie,floor`. */
  readonly only: readonly string[] | undefined;
}

export function readArguments(): BenchArguments {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      instances: { type: "string" },
      callers: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string" },
    },
  });
  const numbers = (list: string | undefined): number[] | undefined => list?.split(",").map(Number);
  return {
    quick: values.quick,
    instances: numbers(values.instances),
    callers: numbers(values.callers),
    rounds: numbers(values.rounds)?.[0],
    only: values.only?.split(","),
  };
}

/** Connections of our own, to see what the instances spend. */
export class Servers {
  readonly #clients: readonly Redis[];

  constructor(ports: readonly number[]) {
    this.#clients = ports.map((port) => new Redis({ port, host: "127.0.0.1" }));
  }

  /** User and system time of all instances since they started. */
  async cpuMicros(): Promise<number> {
    const infos = await Promise.all(this.#clients.map((client) => client.info("cpu")));
    const seconds = infos.flatMap((info) =>
      [...info.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)].map(([, value]) => Number(value)),
    );
    return seconds.reduce((sum, value) => sum + value, 0) * 1e6;
  }

  close(): void {
    for (const client of this.#clients) client.disconnect();
  }
}

export async function printHead(title: string, port: number, lines: readonly string[]): Promise<void> {
  const client = new Redis({ port, host: "127.0.0.1" });
  const redis = /redis_version:(\S+)/.exec(await client.info("server"))?.[1] ?? "unknown";
  client.disconnect();
  const { devDependencies } = createRequire(import.meta.url)("coterie/package.json") as Manifest;
  const versions = PACKAGES.map((name) => `${name} ${devDependencies[name]?.replace(/^npm:/, "")}`);
  print(`## ${title}\n\n${machine()}, redis ${redis}`);
  print(`${versions.join(", ")}.`);
  for (const line of lines) print(line);
}

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}
