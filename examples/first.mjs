import { fencedSet, openCoterie } from "coterie";

const urls = process.env.REDIS_URLS ?? "redis://127.0.0.1:6379"; // one, three or five, with commas
const coterie = await openCoterie({ name: "shop", instances: urls.split(",") });
const { locks, shards } = coterie;
try {
  await locks.using("cart:7", { leaseMs: 5_000 }, async ({ fencingToken }) => {
    const apples = Number(await shards.get("cart:7")) + 1;
    await fencedSet(shards, "cart:7", apples, fencingToken);
    console.log(`cart:7, on ${shards.for("cart:7").id}, has ${apples} apples, by token ${fencingToken}`);
  });
} finally {
  await coterie.close();
}
