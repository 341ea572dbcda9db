/**
 * Leaves nothing behind, however the process that started Redis ends: returned, crashed, Ctrl-C, SIGKILL.
 * Its one idea: a small shell waits at the other end of a pipe that only this process holds. The kernel
 * closes that pipe when the process is gone, for whatever reason; the shell then kills what it was last
 * told about and removes the folder. So no signal handler is needed in this process, and the host
 * application's own handlers and exit codes stay as they are (docs/decisions/0020).
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";

import { CoterieError } from "../../index.ts";
import { within } from "./wait.ts";

const CLOSE_MS_MAX = 10_000;

/**
 * $1: a folder to remove, $2: the label of containers to remove; either may be empty. Each line on stdin
 * is the whole list of process groups that are alive, so a lost or repeated line would do no harm.
 * A process that was just killed may still be writing: hence the second try at the folder.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -s KILL -- "-$group"; done
if [ -n "$2" ]; then
  left=$(docker ps -aq --filter "label=$2") && [ -n "$left" ] && docker rm -f -v $left
fi
if [ -n "$1" ]; then rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }; fi
`;

export interface WatchdogDuties {
  readonly folder?: string;
  readonly containerLabel?: string;
}

export class Watchdog {
  readonly #shell: ChildProcessByStdio<Writable, null, null>;
  readonly #gone: Promise<void>;
  readonly #groups = new Set<number>();
  #closing = false;

  constructor({ folder = "", containerLabel = "" }: WatchdogDuties) {
    // A session of its own: a Ctrl-C in the terminal reaches this process and not its watchdog.
    this.#shell = spawn("/bin/sh", ["-c", SCRIPT, "coterie-watchdog", folder, containerLabel], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell.unref();
    (this.#shell.stdin as Socket).unref();
    this.#shell.stdin.on("error", (error) => this.#onLoss(error));
    this.#gone = new Promise((resolve) => {
      const end = (cause?: unknown) => {
        this.#onLoss(cause);
        resolve();
      };
      this.#shell.once("error", end);
      this.#shell.once("exit", () => end());
    });
  }

  /** From now on this process group is killed with us. */
  watch(processGroup: number): void {
    this.#groups.add(processGroup);
    this.#tell();
  }

  forget(processGroup: number): void {
    this.#groups.delete(processGroup);
    this.#tell();
  }

  /** Lets the shell do its duties now and resolves when it is gone. */
  close(): Promise<void> {
    this.#closing = true;
    this.#shell.stdin.end();
    return within(
      this.#gone,
      CLOSE_MS_MAX,
      () => new CoterieError("NO_ANSWER", "the watchdog of startRedis does not end"),
    );
  }

  #tell(): void {
    if (this.#shell.stdin.writable) this.#shell.stdin.write(`${[...this.#groups].join(" ")}\n`);
  }

  #onLoss(cause: unknown): void {
    if (this.#closing) return;
    this.#closing = true;
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    process.emitWarning(
      `the watchdog of startRedis is gone${reason}; call stop(), or servers may be left behind`,
    );
  }
}
