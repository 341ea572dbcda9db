/**
 * Redis servers whose wall clocks a test can move, each by itself, while they run. Only TIME and expiry
 * leap; the server's monotonic clock stays true, as when somebody sets a machine's clock. The shim
 * (clock-shim.c) is compiled at the start into a private folder, which is gone afterwards however this
 * process ends. It needs a C compiler, and says so.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { RedisConfig } from "../../src/testing/redis/config.ts";
import { findRedisServer } from "../../src/testing/redis/find.ts";
import { openGroup, type RedisGroup } from "../../src/testing/redis/handle.ts";
import { ProcessBackend } from "../../src/testing/redis/process.ts";
import { Watchdog } from "../../src/testing/redis/watchdog.ts";

export interface ClockedRedis {
  readonly group: RedisGroup;
  /** Moves the wall clock of one instance by so much, on top of earlier moves; it stays over a restart. */
  leap(at: number, byMs: number): void;
  stop(): Promise<void>;
}

const SHIM = fileURLToPath(new URL("clock-shim.c", import.meta.url));
const INSTALL = "the clock shim cannot be compiled: apt-get install -y --no-install-recommends gcc libc6-dev";
const COMPILE_MS_MAX = 30_000;

/** Children of this process, as `startRedis({ provider: "process" })` starts them. */
export async function startClockedRedis(count: number, config: RedisConfig = {}): Promise<ClockedRedis> {
  const realServer = findRedisServer();
  if (realServer === undefined) throw new Error("neither redis-server nor valkey-server is on the PATH");
  const folder = await mkdtemp(join(tmpdir(), "coterie-clock-"));
  const watchdog = new Watchdog({ folder });
  const cleanUp = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await watchdog.close();
  };
  try {
    const library = await compile(folder);
    const clocks = Array.from({ length: count }, (_, at) => new ServerClock(join(folder, `${at}`)));
    for (const clock of clocks) await clock.install(library, realServer);
    let next = 0;
    const open = (): Promise<ProcessBackend> => {
      const clock = clocks[next++]!;
      return ProcessBackend.open({
        serverPath: clock.serverPath,
        folder: join(clock.folder, "redis"),
        config,
        watchdog,
      });
    };
    const group = await openGroup(count, open, cleanUp);
    return { group, leap: (at, byMs) => clocks[at]!.leap(byMs), stop: () => group.stop() };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** One server's offset, and the small program that starts it under the shim. */
class ServerClock {
  readonly folder: string;
  readonly serverPath: string;
  readonly #offsetPath: string;
  #offsetMs = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.serverPath = join(folder, "redis-server");
    this.#offsetPath = join(folder, "offset");
  }

  async install(library: string, realServer: string): Promise<void> {
    await mkdir(this.folder);
    this.leap(0);
    // exec keeps the process id, on which signals and the end of the server rest.
    const lines = [
      "#!/bin/sh",
      `COTERIE_CLOCK_OFFSET='${this.#offsetPath}' LD_PRELOAD='${library}' exec '${realServer}' "$@"`,
    ];
    await writeFile(this.serverPath, `${lines.join("\n")}\n`);
    await chmod(this.serverPath, 0o700);
  }

  /** Eight bytes in one write: whoever has them mapped sees the old number or the new one. */
  leap(byMs: number): void {
    this.#offsetMs += byMs;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(Math.round(this.#offsetMs * 1_000)) * 1_000n);
    writeFileSync(this.#offsetPath, bytes, { flag: this.#offsetMs === 0 && byMs === 0 ? "w" : "r+" });
  }
}

async function compile(folder: string): Promise<string> {
  const library = join(folder, "clock-shim.so");
  const words = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SHIM];
  try {
    await promisify(execFile)("gcc", words, { timeout: COMPILE_MS_MAX });
  } catch (cause) {
    throw new Error(INSTALL, { cause });
  }
  return library;
}
