/**
 * A write that an older holder cannot make after a newer one, whatever either believes: the server compares
 * the fencing tokens in the same step that writes. The value stands at its key, as plain SET would leave it;
 * the newest token stands at a key of its own beside it, in the same hash tag, so that both have one owner
 * on shards and in Redis Cluster. Only writes made through here are fenced.
 */
import { CoterieError, quote } from "../errors.ts";
import { type Argument, defineScript, type Reply, type Script } from "../redis/index.ts";
import { fencedSet2Source } from "./scripts/generated.ts";

/** One Redis, as coterie has it: what `shards.for(key)` gives. */
interface RunsScripts {
  run(script: Script, keys: readonly Argument[], args: readonly Argument[]): Promise<Reply>;
}

/** Keys over several Redis: `coterie.shards`. */
interface RoutesScripts {
  eval(script: Script, keys: readonly FencedKey[], args: readonly Argument[]): Promise<Reply>;
}

/** An ioredis client, of 5 or 6, single or Cluster. */
interface SpeaksRedis {
  evalsha(sha: string, keyCount: number, ...rest: WireArgument[]): Promise<unknown>;
  eval(source: string, keyCount: number, ...rest: WireArgument[]): Promise<unknown>;
}

type FencedKey = string | Uint8Array;
type WireArgument = string | number | Buffer;

/** Where `fencedSet` writes: `coterie.shards`, one of its instances, or an ioredis client. */
export type FencedClient = RunsScripts | RoutesScripts | SpeaksRedis;

const FENCED_SET = defineScript({ name: "fenced-set", keyCount: 2, source: fencedSet2Source });

/**
 * Sets `key` to `value` unless a larger token has set it before. True when it was set; false when it was
 * refused, and then nothing has changed. The same token may write again: a holder writes as often as it
 * likes, and repeating a call that got no answer is safe. Rejects with INVALID_ARGUMENT, or as a write does:
 * MAYBE_APPLIED when there was no answer.
 */
export async function fencedSet(
  client: FencedClient,
  key: string | Uint8Array,
  value: Argument,
  token: number,
): Promise<boolean> {
  if (!Number.isSafeInteger(token) || token < 1) {
    throw invalid(`token must be a fencing token, an integer from 1 to 2^53 - 1, got ${quote(token)}`);
  }
  const isSendable = typeof value === "string" || value instanceof Uint8Array || Number.isFinite(value);
  if (!isSendable) throw invalid(`value must be text, bytes or a finite number, got ${typeof value}`);
  const keys = [key, fenceOf(key)];
  return (await run(client, keys, [value, String(token)])) === 1;
}

/**
 * The key at which the newest token of `key` stands. Different keys have different ones, and each has the
 * hash tag of its key, or the whole key as its tag.
 */
function fenceOf(key: FencedKey): FencedKey {
  const isKey = (typeof key === "string" || key instanceof Uint8Array) && key.length > 0;
  if (!isKey) throw invalid(`key must be text or bytes, and not empty, got ${quote(key)}`);
  // Byte by byte, so that text and its bytes have the same fence.
  const text = typeof key === "string" ? key : Buffer.from(key).toString("latin1");
  const fence = fenceOfText(text);
  return typeof key === "string" ? fence : Buffer.from(fence, "latin1");
}

function fenceOfText(key: string): string {
  const open = key.indexOf("{");
  const close = key.indexOf("}", open + 1);
  if (open >= 0 && close > open + 1) return `coterie:fence:${key}`;
  if (!key.includes("}")) return `coterie:fence-of:{${key}}`;
  throw invalid(`a key with a brace needs a whole {hash tag}, got ${quote(key)}`);
}

function run(client: FencedClient, keys: readonly FencedKey[], args: readonly Argument[]): Promise<unknown> {
  const has = (method: string): boolean =>
    typeof (client as unknown as Readonly<Record<string, unknown>> | undefined)?.[method] === "function";
  if (has("evalsha")) return runOnClient(client as SpeaksRedis, keys, args);
  if (has("run")) return (client as RunsScripts).run(FENCED_SET, keys, args);
  if (has("eval")) return (client as RoutesScripts).eval(FENCED_SET, keys, args);
  throw invalid(`client must be coterie.shards, an instance or an ioredis client, got ${typeof client}`);
}

async function runOnClient(
  client: SpeaksRedis,
  keys: readonly FencedKey[],
  args: readonly Argument[],
): Promise<unknown> {
  const rest = [...keys, ...args].map((one) => (one instanceof Uint8Array ? Buffer.from(one) : one));
  try {
    return await client.evalsha(FENCED_SET.sha, keys.length, ...rest).catch((error: unknown) => {
      // The server does not know the script, so it has run nothing.
      if (!/^NOSCRIPT\b/.test((error as Error).message)) throw error;
      return client.eval(FENCED_SET.source, keys.length, ...rest);
    });
  } catch (cause) {
    throw failureOf(cause);
  }
}

/** An error reply is the server's refusal; anything else leaves open whether the script has run. */
function failureOf(cause: unknown): CoterieError {
  const { name, message } = cause as Error;
  if (name === "ReplyError") {
    return new CoterieError("REPLY_ERROR", `fencedSet was refused: ${message}`, { cause });
  }
  return new CoterieError("MAYBE_APPLIED", "fencedSet got no answer; it may or may not have run", { cause });
}

function invalid(what: string): CoterieError {
  return new CoterieError("INVALID_ARGUMENT", `fencedSet: ${what}`);
}
