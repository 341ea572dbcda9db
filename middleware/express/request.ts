/**
 * `req.coterie`: what coterie's middleware knows of a request, typed for Express 4 and 5 alike by the one
 * merged declaration of the package. Each middleware adds its part and leaves the others' alone.
 */
import type { RequestShard } from "./shard.ts";
import type { RequestLock } from "./with-lock-hold.ts";

/** `req.coterie`; each middleware of the package adds its part. */
export interface RequestCoterie {
  shard?: RequestShard;
  lock?: RequestLock;
}

declare global {
  // The one way to type `req.coterie` in Express 4 and 5 alike.
  // oxlint-disable-next-line typescript/no-namespace
  namespace Express {
    interface Request {
      /** Set by coterie's middleware. */
      coterie?: RequestCoterie;
    }
  }
}
