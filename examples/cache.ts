/**
 * A cache in front of a database. With `purpose: "cache"` the keys of a dead Redis go to the next one, so
 * a Redis that dies costs some misses and no error.
 */
import { openCoterie } from "coterie";

const urls = process.env["REDIS_URLS"] ?? "redis://127.0.0.1:6379";

await using coterie = await openCoterie({
  name: "users",
  instances: urls.split(","),
  shards: { purpose: "cache" },
});

console.log(await nameOf("7"));
console.log(await nameOf("7"));

async function nameOf(id: string): Promise<string> {
  const cached = await coterie.shards.get(`user:${id}`);
  if (cached !== null) return `${cached} (from the cache)`;
  const name = await readFromDatabase(id);
  // A Redis that comes back may hold older values: an expiry bounds how old.
  await coterie.shards.set(`user:${id}`, name, { ttlMs: 60_000 });
  return `${name} (from the database)`;
}

function readFromDatabase(id: string): Promise<string> {
  return Promise.resolve(id === "7" ? "Ann" : "nobody");
}
