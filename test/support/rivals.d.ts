/** Types of the packages that tests compare with, as far as they are used; they bring none that are found. */
declare module "hashring" {
  interface ServerOptions {
    readonly weight?: number;
    readonly vnodes?: number;
  }
  interface Options {
    readonly "vnode count"?: number;
    readonly "default port"?: number;
    readonly "max cache size"?: number;
    readonly replicas?: number;
    readonly compatibility?: "hash_ring";
  }
  type Servers = readonly string[] | Readonly<Record<string, ServerOptions>>;
  class HashRing {
    constructor(servers: Servers, hash?: string, options?: Options);
    readonly ring: readonly { readonly value: number; readonly server: string }[];
    get(key: string): string;
    range(key: string, size: number): string[];
  }
  export = HashRing;
}

/** It brings types, but its exports do not lead there: see test/support/old-redlock.ts. */
declare module "redlock" {
  const found: unknown;
  export = found;
}

declare module "redlock4" {
  const found: unknown;
  export = found;
}
