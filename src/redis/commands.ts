/**
 * What must be known of a Redis command before it is sent: whether it only reads (then asking again is
 * always safe), and whether it may travel on a connection that others share. The names are Redis' own;
 * a command that is not listed counts as a write.
 */

/** A command's argument. Numbers are sent in decimal; bytes as they are. */
export type Argument = string | number | Uint8Array;

/** What may stand in the place of arguments on the way out. */
export type SentArgument = Argument | Encoded;

/**
 * Several arguments that are sent again and again, to many servers for one: put into RESP once. Made by
 * `encodeArguments`.
 */
export class Encoded {
  readonly count: number;
  /** In RESP: each with its length before it. */
  readonly text: string;

  constructor(count: number, text: string) {
    this.count = count;
    this.text = text;
  }
}

/** What Redis answers: text unless bytes were asked for. Integers beyond 2^53 lose digits. */
export type Reply = string | number | null | Buffer | readonly Reply[];

export interface CommandSpec {
  /** Lower case. */
  readonly name: string;
  readonly readOnly: boolean;
  /** RESP header by number of arguments, filled on first use. */
  readonly headers: string[];
}

const READ_ONLY = [
  "bitcount bitfield_ro bitpos dbsize dump echo eval_ro evalsha_ro exists expiretime fcall_ro geodist",
  "geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall",
  "hkeys hlen hmget hrandfield hscan hstrlen hvals info keys lastsave lcs lindex llen lolwut lpos lrange",
  "memory mget object pexpiretime pfcount ping pttl randomkey role scan scard sdiff sinter sintercard",
  "sismember slowlog smembers smismember sort_ro srandmember sscan strlen substr sunion time ttl type xinfo",
  "xlen xpending xrange xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore zrandmember zrange",
  "zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion",
]
  .join(" ")
  .split(" ");

/** These change or hold the connection itself, which other callers share. */
const NEEDS_OWN_CONNECTION = new Set(
  [
    "auth blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin discard exec hello monitor multi",
    "psubscribe psync replconf punsubscribe quit reset select ssubscribe subscribe sunsubscribe swapdb sync",
    "unsubscribe unwatch wait waitaof watch",
  ]
    .join(" ")
    .split(" "),
);

const specs = new Map<string, CommandSpec>();
for (const name of READ_ONLY) specs.set(name, { name, readOnly: true, headers: [] });

const UNKNOWN_SPECS_MAX = 1000;

/** The spec of a command by its name in any case. */
export function commandSpec(name: string): CommandSpec {
  const known = specs.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const spec = specs.get(lower) ?? { name: lower, readOnly: false, headers: [] };
  if (specs.size < UNKNOWN_SPECS_MAX) specs.set(lower, spec);
  return spec;
}

/** True when the command would block, or change, a connection that other callers share. */
export function needsOwnConnection(spec: CommandSpec, args: readonly Argument[]): boolean {
  if (NEEDS_OWN_CONNECTION.has(spec.name)) return true;
  const first = args[0] === undefined ? "" : asText(args[0]);
  if (spec.name === "script") return /^debug$/i.test(first);
  if (spec.name === "client") {
    return /^(reply|setname|tracking|no-evict|no-touch|caching)$/i.test(first);
  }
  if (spec.name !== "xread" && spec.name !== "xreadgroup") return false;
  const words = args.map((arg) => asText(arg).toLowerCase());
  const streams = words.indexOf("streams");
  return words.slice(0, streams === -1 ? words.length : streams).includes("block");
}

function asText(arg: unknown): string {
  return arg instanceof Uint8Array ? Buffer.from(arg).toString() : String(arg);
}
