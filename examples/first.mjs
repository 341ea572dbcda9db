import { openCoterie } from "coterie";

const urls = process.env.REDIS_URLS ?? "redis://127.0.0.1:6379"; // one or more, with commas
const coterie = await openCoterie({ name: "shop", instances: urls.split(",") });
try {
  await coterie.shards.set("cart:7", "3 apples", { ttlMs: 60_000 });
  const value = await coterie.shards.get("cart:7");
  console.log(`cart:7 is on ${coterie.shards.for("cart:7").id}: ${value}`);
} finally {
  await coterie.close();
}
