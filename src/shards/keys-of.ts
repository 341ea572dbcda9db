/**
 * Which arguments of a command are its keys, for commands that have several or whose first argument is
 * none: what `call` needs so that no key ends up on a server that does not own it. A command that is not
 * listed has one key, its first argument, as nearly all do.
 */
import { CoterieError, quote } from "../errors.ts";
import type { Argument } from "../redis/index.ts";
import type { Key } from "./key-commands.ts";

/** All arguments are keys. */
const ALL = names(
  "del exists mget pfcount pfmerge sdiff sdiffstore sinter sinterstore sunion sunionstore touch unlink",
);
/** The first two arguments are keys. */
const FIRST_TWO = names(
  "copy geosearchstore lcs lmove rename renamenx rpoplpush smove zrangestore brpoplpush blmove",
);
/** Keys and values take turns. */
const PAIRS = names("mset msetnx");
/** A destination, the number of keys, and the keys. */
const COUNTED = names("zdiffstore zinterstore zunionstore");
/** The first argument is no key, or there is none. */
const FIRST_IS_NO_KEY = names(
  "acl bgrewriteaof bgsave bitop client cluster command config dbsize debug eval eval_ro evalsha " +
    "evalsha_ro failover fcall fcall_ro flushall flushdb function info keys lastsave latency lmpop lolwut " +
    "memory migrate module object ping publish pubsub randomkey replicaof role save scan script shutdown " +
    "sintercard slaveof slowlog spublish time xgroup xinfo xread xreadgroup zdiff zinter zintercard zmpop " +
    "zunion",
);

/** The command's keys; throws INVALID_ARGUMENT when its first argument is none. */
export function keysOf(name: string, args: readonly Argument[]): readonly Key[] {
  const command = typeof name === "string" ? name.toLowerCase() : "";
  if (command === "" || FIRST_IS_NO_KEY.has(command)) {
    throw new CoterieError(
      "INVALID_ARGUMENT",
      `call: ${quote(name)} cannot be routed by its first argument; ` +
        "send it to one instance with shards.for(key).call(...)",
      { details: { command } },
    );
  }
  return keyArguments(command, args) as readonly Key[];
}

function keyArguments(command: string, args: readonly Argument[]): readonly Argument[] {
  if (ALL.has(command)) return args;
  if (FIRST_TWO.has(command)) return args.slice(0, 2);
  if (PAIRS.has(command)) return args.filter((_, at) => at % 2 === 0);
  if (COUNTED.has(command)) return [...args.slice(0, 1), ...args.slice(2, 2 + Number(args[1]))];
  return args.slice(0, 1);
}

function names(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
