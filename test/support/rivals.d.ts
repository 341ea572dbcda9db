/** Types of the package that tests compare with, as far as it is used; it brings none. */
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
