/** Types of the packages that the benches compare with, as far as they are used. */
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

/** It brings types, but its exports do not lead there. */
declare module "redlock" {
  class Redlock {
    constructor(clients: Iterable<object>, settings?: { readonly retryCount?: number });
    acquire(resources: string[], leaseMs: number): Promise<{ release(): Promise<unknown> }>;
    using<T>(resources: string[], leaseMs: number, body: (signal: AbortSignal) => Promise<T>): Promise<T>;
    on(event: "error", listener: (error: Error) => void): this;
  }
  export = Redlock;
}

declare module "redlock4" {
  class Redlock {
    constructor(clients: readonly object[], settings?: { readonly retryCount?: number });
    lock(resource: string, leaseMs: number): Promise<{ unlock(): Promise<void> }>;
    on(event: "clientError", listener: (error: Error) => void): this;
  }
  export = Redlock;
}
