/**
 * A program of the demo as a child of it: it gets its settings as a message, serves, and ends when its
 * parent goes away, for whatever reason. The settings are a message and not arguments: a Redis URL may hold
 * a password, and arguments stand in everybody's `ps`.
 */
import { once } from "node:events";

/** What a child says when it cannot do its work. */
export interface Failure {
  readonly failure: string;
}

/** Runs `serve` with the settings; `gone` aborts when the parent does not want it any more. */
export async function asChild(
  serve: (settings: never, gone: AbortSignal) => Promise<void>,
): Promise<void> {
  // A Ctrl-C reaches this process too; the parent decides when it ends.
  process.on("SIGINT", () => {});
  const gone = new AbortController();
  process.once("disconnect", () => gone.abort());
  try {
    const [settings] = (await once(process, "message", { signal: gone.signal })) as [never];
    await serve(settings, gone.signal);
  } catch (error) {
    if (!gone.signal.aborted) tell({ failure: String(error) } satisfies Failure);
    process.exitCode = gone.signal.aborted ? 0 : 1;
    if (process.connected) process.disconnect();
  }
}

/** Says something to the parent. */
export function tell(message: object): void {
  process.send?.(message);
}

export async function until(gone: AbortSignal): Promise<void> {
  if (!gone.aborted) await once(gone, "abort");
}
