/** Types of the packages that the ring's bench compares with, as far as they are used. */
declare module "hashring" {
  class HashRing {
    constructor(servers: readonly string[]);
    readonly ring: readonly { readonly value: number; readonly server: string }[];
    /** The index in `ring` of the first point at or after the position. */
    find(position: number): number;
    hashValue(key: string): number;
  }
  export = HashRing;
}

declare module "consistent-hash" {
  class ConsistentHash {
    add(member: string): this;
    get(key: string): string;
  }
  export = ConsistentHash;
}
