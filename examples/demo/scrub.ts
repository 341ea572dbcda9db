/**
 * Takes away all that the demo left in a Redis of somebody else's: the app's items expire by themselves, but
 * what a group of instances has agreed on about locks is there to stay.
 */
import { openShards } from "coterie";

/** Deletes every key whose name begins with the demo's, on each Redis by itself. */
export async function scrub(urls: readonly string[], name: string): Promise<void> {
  await Promise.all(
    urls.map(async (url) => {
      const shards = await openShards({ instances: [url] });
      for await (const key of shards.scan({ match: `${name}:*` })) await shards.unlink(key);
      await shards.close();
    }),
  );
}
