/**
 * However a program that called startRedis ends, nothing of it is left. Each case is a real program in a
 * process of its own, run on the built package, with one of its two instances paused when the end comes.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Redis } from "ioredis";
import { describe, expect, test } from "vitest";

import { systemEnv } from "../../src/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GONE_MS_MAX = 10_000;

/** Starts two, pauses one, prints the urls, and does what `atEnd` says when told to on stdin. */
function program(atEnd: string, before = ""): string {
  return `
    import { startRedis } from "coterie/testing";
    const group = await startRedis({ count: 2, provider: "process" });
    ${before}
    console.log(JSON.stringify(group.urls));
    process.stdin.once("data", async () => {
      process.stdin.destroy();
      await group.instances[1].pause();
      console.log("paused");
      ${atEnd}
    });
  `;
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** Still alive or still there after the bound. */
  readonly leftovers: readonly string[];
}

/** Runs the program to its end; `how` is called when it is ready for it. */
async function run(source: string, how: (child: ChildProcessWithoutNullStreams) => void): Promise<Ending> {
  // A session of its own, so that a signal to its group is a Ctrl-C to it alone.
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], { cwd: ROOT, detached: true });
  const printed = collect(child);
  const ended = new Promise<Pick<Ending, "code" | "signal">>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  try {
    const urls = JSON.parse(await printed.until("\n")) as string[];
    const traces = await Promise.all(urls.map(traceOf));
    child.stdin.write("end\n");
    await printed.until("paused");
    how(child);
    await eventually(() => child.exitCode !== null || child.signalCode !== null);
    // One that hangs is ended here, and then the signal is not the one that the test expects.
    child.kill("SIGKILL");
    const { code, signal } = await ended;
    return { code, signal, output: printed.text(), leftovers: await leftoversOf(traces.flat()) };
  } finally {
    child.kill("SIGKILL");
  }
}

function collect(child: ChildProcessWithoutNullStreams): {
  until(part: string): Promise<string>;
  text(): string;
} {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  return {
    text: () => text,
    async until(part) {
      await eventually(() => text.includes(part) || child.exitCode !== null);
      if (!text.includes(part))
        throw new Error(`the program did not print ${JSON.stringify(part)}:\n${text}`);
      return text.slice(0, text.indexOf("\n"));
    },
  };
}

/** The instance's process and its folder. */
async function traceOf(url: string): Promise<string[]> {
  const redis = new Redis(url, { protocol: 2, maxRetriesPerRequest: 0 });
  const pid = /process_id:(\d+)/.exec(await redis.info("server"))?.[1] ?? "";
  const [, folder] = (await redis.config("GET", "dir")) as [string, string];
  redis.disconnect();
  return [pid, folder];
}

async function leftoversOf(traces: readonly string[]): Promise<string[]> {
  const left = () =>
    traces.filter((trace) => (trace.startsWith("/") ? existsSync(trace) : isAlive(Number(trace))));
  await eventually(() => left().length === 0);
  return left();
}

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = systemEnv.clock.now() + GONE_MS_MAX;
  while (!holds() && systemEnv.clock.now() < deadline) await systemEnv.clock.sleep(5);
}

/** Dead is also what only waits for its new parent to take note of it, which an init may do slowly. */
function isAlive(pid: number): boolean {
  if (process.platform !== "linux") return spawnSync("ps", ["-p", String(pid)]).status === 0;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

const nothing = () => undefined;

describe("a program that started Redis leaves nothing behind", () => {
  test.each<[NodeJS.Signals]>([["SIGTERM"], ["SIGHUP"], ["SIGKILL"]])("when %s ends it", async (signal) => {
    const ending = await run(program("setInterval(() => {}, 1000);"), (child) => child.kill(signal));

    expect(ending).toMatchObject({ code: null, signal, leftovers: [] });
  });

  test("when Ctrl-C ends it and its whole process group", async () => {
    const ending = await run(program("setInterval(() => {}, 1000);"), ({ pid = 0 }) =>
      process.kill(-pid, "SIGINT"),
    );

    expect(ending).toMatchObject({ code: null, signal: "SIGINT", leftovers: [] });
  });

  test("when it calls process.exit", async () => {
    expect(await run(program("process.exit(7);"), nothing)).toMatchObject({ code: 7, leftovers: [] });
  });

  test("when nobody catches its error", async () => {
    const ending = await run(program('throw new Error("nobody catches this");'), nothing);

    expect(ending).toMatchObject({ code: 1, leftovers: [] });
    expect(ending.output).toContain("nobody catches this");
  });

  test("when it comes to its end and has forgotten to stop them: they do not keep it alive", async () => {
    expect(await run(program(""), nothing)).toMatchObject({ code: 0, leftovers: [] });
  });

  test("when it stops them itself", async () => {
    expect(await run(program("await group.stop();"), nothing)).toMatchObject({ code: 0, leftovers: [] });
  });
});

test("a program's own signal handler is called, still finds Redis alive after a Ctrl-C, and chooses the exit code", async () => {
  const handler = `
    process.on("SIGINT", async () => {
      const { connect } = await import("node:net");
      const socket = connect(group.instances[0].port, "127.0.0.1", () => socket.write("PING\\r\\n"));
      socket.once("data", async (answer) => {
        console.log("answered " + answer);
        socket.destroy();
        await group.stop();
        process.exit(42);
      });
    });
  `;
  const ending = await run(program("setInterval(() => {}, 1000);", handler), ({ pid = 0 }) =>
    process.kill(-pid, "SIGINT"),
  );

  expect(ending).toMatchObject({ code: 42, leftovers: [] });
  expect(ending.output).toContain("answered +PONG");
});
