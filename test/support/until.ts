/** Waiting for something to become true, with a bound. */
import { systemEnv } from "../../src/env/index.ts";

/** Looks every 5 ms; fails with `what` after `withinMs`. */
export async function until(what: string, holds: () => boolean, withinMs = 5000): Promise<void> {
  const { clock } = systemEnv;
  const giveUpAt = clock.now() + withinMs;
  while (!holds()) {
    if (clock.now() > giveUpAt) throw new Error(`not within ${withinMs} ms: ${what}`);
    await clock.sleep(5);
  }
}
