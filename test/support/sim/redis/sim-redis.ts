/**
 * One simulated Redis server's mind: its data, its scripts and what it says of itself, without any network.
 * Its one idea: the same words give the same reply as with a real server (a test compares the two); time
 * is the server's own wall clock, in microseconds, as the caller gives it.
 * It must never ignore what it does not know: an unknown command is an error of the test, not a reply.
 */
import {
  ErrorReply, type RawCall, type RawReply, redisTable, runScript, StatusReply,
} from "../lua/engine.ts";
import type { LuaTable } from "../lua/runtime.ts";
import { type Command, globPattern, KEY_COMMANDS, OK } from "./commands.ts";
import { Keyspace, RedisFailure } from "./keyspace.ts";
import { SORTED_SET_COMMANDS } from "./zset-commands.ts";

export interface SimRedisOptions {
  readonly runId: string;
  /** The server's wall clock, in microseconds since 1970. */
  readonly wallUs: () => number;
  /** Delivers a message; says how many subscribers it reached. */
  readonly publish?: (channel: string, message: string) => number;
  /** How many subscribers a channel has. */
  readonly subscribers?: (channel: string) => number;
}

/** The script that a client sends; of the real one, what running it needs. */
export interface SimScript {
  readonly name: string;
  readonly source: string;
}

const COMMANDS: Readonly<Record<string, Command>> = { ...KEY_COMMANDS, ...SORTED_SET_COMMANDS };

export class SimRedis {
  readonly runId: string;
  readonly db: Keyspace;
  /** What CONFIG GET knows. */
  readonly config = new Map<string, string>([
    ["maxmemory-policy", "noeviction"], ["maxmemory", "0"], ["appendonly", "no"], ["appendfsync", "everysec"],
    ["no-appendfsync-on-rewrite", "no"], ["save", ""], ["cluster-enabled", "no"],
  ]);
  scriptsRun = 0;
  #role: "master" | "slave" = "master";
  readonly #options: SimRedisOptions;
  readonly #redis: LuaTable;
  readonly #known = new Set<string>();

  constructor(options: SimRedisOptions) {
    this.#options = options;
    this.runId = options.runId;
    // Redis looks at whole milliseconds when it decides what is expired.
    this.db = new Keyspace(() => Math.floor(options.wallUs() / 1000));
    const call: RawCall = (words) => this.#execute(words, true);
    this.#redis = redisTable(call);
  }

  /** One command: its name and arguments, as bytes. */
  execute(words: readonly string[]): RawReply {
    return this.#execute(words, false);
  }

  /** EVALSHA, or EVAL when the source comes along: NOSCRIPT until that was seen once. */
  run(script: SimScript, keys: readonly string[], args: readonly string[], hasSource = true): RawReply {
    if (hasSource) this.#known.add(script.source);
    else if (!this.#known.has(script.source)) return new ErrorReply("NOSCRIPT No matching script.");
    this.scriptsRun += 1;
    return runScript(script, this.#redis, keys, args);
  }

  becomeReplica(): void {
    this.#role = "slave";
  }

  #execute(words: readonly string[], fromScript: boolean): RawReply {
    const given = words[0] ?? "";
    const args = words.slice(1);
    // Scripts write names in capitals; only others need to be looked at twice.
    const command = COMMANDS[given] ?? COMMANDS[given.toUpperCase()];
    const name = command === undefined ? given.toUpperCase() : given;
    if (command === undefined) return this.#ofServer(name, args);
    const [least, most] = command.arity;
    if (args.length < least || args.length > most) return wrongCount(name, fromScript);
    try {
      return command.run(this.db, args);
    } catch (error) {
      if (error instanceof RedisFailure) return error.reply;
      throw error;
    }
  }

  #ofServer(name: string, args: readonly string[]): RawReply {
    switch (name) {
      case "TIME": {
        const us = Math.floor(this.#options.wallUs());
        return [String(Math.floor(us / 1_000_000)), String(us % 1_000_000)];
      }
      case "PING":
        return args[0] ?? new StatusReply("PONG");
      case "PUBLISH":
        return this.#options.publish?.(args[0] ?? "", args[1] ?? "") ?? 0;
      case "PUBSUB":
        if (args[0]?.toUpperCase() !== "NUMSUB") break;
        return args.slice(1).flatMap((channel) => [channel, this.#options.subscribers?.(channel) ?? 0]);
      case "FLUSHALL":
      case "FLUSHDB":
        this.db.clear();
        return OK;
      case "INFO":
        return this.#info();
      case "ROLE":
        return this.#role === "master" ? ["master", 0, []] : ["slave", "127.0.0.1", 6379, "connected", 0];
      case "CONFIG":
        if (args[0]?.toUpperCase() === "GET") return this.#configGet(args.slice(1));
        break;
      default:
    }
    throw new Error(`SimRedis has no command ${[name, ...args].join(" ").slice(0, 100)}`);
  }

  #configGet(globs: readonly string[]): RawReply {
    const patterns = globs.map((glob) => globPattern(glob));
    return [...this.config].filter(([name]) => patterns.some((pattern) => pattern.test(name))).flat();
  }

  /** All sections at once: a reader finds its lines whatever section it asked for. */
  #info(): string {
    const lines = [
      "# Server", "redis_version:7.0.15", "redis_mode:standalone", `run_id:${this.runId}`,
      "# Memory", `maxmemory_policy:${this.config.get("maxmemory-policy")}`,
      "# Persistence", `aof_enabled:${this.config.get("appendonly") === "yes" ? 1 : 0}`, "loading:0",
      "# Replication", `role:${this.#role}`, "connected_slaves:0",
      "# Cluster", "cluster_enabled:0", "",
    ];
    return lines.join("\r\n");
  }
}

function wrongCount(name: string, fromScript: boolean): ErrorReply {
  return new ErrorReply(
    fromScript
      ? "ERR Wrong number of args calling Redis command from script"
      : `ERR wrong number of arguments for '${name.toLowerCase()}' command`,
  );
}
