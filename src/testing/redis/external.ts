/**
 * Redis that somebody else runs, given by URL. Its one idea: what we did not start we do not touch, so
 * every order but `stop` (which then does nothing) is refused by name rather than half done.
 */
import { CoterieError } from "../../index.ts";
import type { RedisCapability, RedisInstanceHandle } from "./handle.ts";
import { probe, type ProbeTarget } from "./probe.ts";

const ANSWER_MS_MAX = 5_000;
const DEFAULT_PORT = 6379;

export class ExternalHandle implements RedisInstanceHandle {
  readonly provider = "external";
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly capabilities: ReadonlySet<RedisCapability> = new Set();

  private constructor(url: string, { host, port }: ProbeTarget) {
    this.url = url;
    this.host = host;
    this.port = port;
  }

  /** Rejects with UNREACHABLE unless it answers PING; `url` must have passed `readRedisUrl`. */
  static async open(url: string): Promise<ExternalHandle> {
    const target = readRedisUrl(url);
    const answer = await probe(target, ANSWER_MS_MAX);
    if (answer.serves) return new ExternalHandle(url, target);
    const where = `${target.host}:${target.port}`;
    throw new CoterieError(
      "UNREACHABLE",
      `the external Redis at ${where} does not answer: ${answer.problem ?? "?"}`,
      { details: { host: target.host, port: target.port } },
    );
  }

  kill(): Promise<void> {
    return this.#refuse("kill");
  }

  restart(): Promise<void> {
    return this.#refuse("restart");
  }

  pause(): Promise<void> {
    return this.#refuse("pause");
  }

  resume(): Promise<void> {
    return this.#refuse("resume");
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  output(): Promise<string> {
    return this.#refuse("output");
  }

  #refuse(order: string): Promise<never> {
    const where = `${this.host}:${this.port}`;
    const problem = `${order}: not possible for the external Redis at ${where}: startRedis did not start it`;
    return Promise.reject(
      new CoterieError("INVALID_ARGUMENT", problem, { details: { order, provider: "external" } }),
    );
  }
}

/** Throws INVALID_OPTION, naming the option by `where`, for anything but a redis: or rediss: URL. */
export function readRedisUrl(text: string, where = "urls"): ProbeTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["redis:", "rediss:"].includes(url.protocol) || url.hostname === "") {
    // The text is not quoted: it may hold a password.
    throw new CoterieError(
      "INVALID_OPTION",
      `startRedis: ${where} must hold URLs such as redis://127.0.0.1:6379`,
      { details: { option: where } },
    );
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? DEFAULT_PORT : Number(url.port),
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    tls: url.protocol === "rediss:",
  };
}
