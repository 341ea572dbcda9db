/**
 * A response whose handler holds a lock. The four methods by which anything is sent are watched: before the
 * first byte the lock is looked at once more, and the call that ends the response is noticed (its events
 * tell nothing when the client has left). After a refusal of ours every method that would throw or emit an
 * error for a finished response does nothing, so that a handler that answers too late harms nobody.
 */
import type { Response } from "express";

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

interface Watched {
  readonly method: Method;
  /** What stands in its place. */
  readonly ours: Method;
  /** True when it was the response's own property, and not its class's. */
  readonly own: boolean;
}

/** All bytes go through one of these. */
const SENDING: readonly string[] = ["end", "write", "writeHead", "flushHeaders"];
/** These throw once headers were sent. */
const HEADERS: readonly string[] = ["setHeader", "setHeaders", "appendHeader", "removeHeader", "addTrailers"];

export class WatchedResponse {
  readonly #res: Response;
  readonly #beforeSending: () => void;
  readonly #originals = new Map<string, Watched>();
  #onEnd: (() => void) | undefined;
  #isAnswering = false;
  #isRefused = false;
  #isEnded: boolean;

  /** `beforeSending` is called before anything of the handler's is sent, and may refuse it. */
  constructor(res: Response, beforeSending: () => void) {
    this.#res = res;
    this.#beforeSending = beforeSending;
    this.#isEnded = res.writableEnded;
    for (const name of SENDING) this.#watch(name);
  }

  /** True when the answer is ours, and the handler's goes nowhere. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Calls back when the handler ends the response, or at once if it has. */
  onEnd(callback: () => void): void {
    if (this.#isEnded) callback();
    else this.#onEnd = callback;
  }

  /** Must not be called once headers were sent. */
  refuseWith(answer: () => void): void {
    this.#isAnswering = true;
    answer();
    this.#isAnswering = false;
    this.#isRefused = true;
    const silent = this.#res as unknown as Methods;
    for (const name of HEADERS) silent[name] = () => this.#res;
  }

  /** The handler has ended: the methods are the response's own again, unless the answer was ours. */
  forget(): void {
    this.#onEnd = undefined;
    if (this.#isRefused) return;
    const methods = this.#res as unknown as Methods;
    for (const [name, { own, method, ours }] of this.#originals) {
      // Somebody else may have wrapped ours since; then it stays, and only passes on.
      if (methods[name] !== ours) continue;
      if (own) methods[name] = method;
      else delete methods[name];
    }
    this.#originals.clear();
  }

  #watch(name: string): void {
    const methods = this.#res as unknown as Methods;
    const method = methods[name];
    if (method === undefined) return;
    const own = Object.hasOwn(methods, name);
    const ours: Method = (...args) => this.#send(name, method, args);
    this.#originals.set(name, { own, method, ours });
    methods[name] = ours;
  }

  #send(name: string, method: Method, args: unknown[]): unknown {
    const isWatching = !this.#isAnswering && this.#originals.size > 0;
    if (isWatching && !this.#isRefused) this.#beforeSending();
    if (!this.#isAnswering && this.#isRefused) return this.#swallow(name, args);
    const returned = method.apply(this.#res, args);
    if (name === "end") {
      this.#isEnded = true;
      this.#onEnd?.();
    }
    return returned;
  }

  /** What the method gives when all is well. */
  #swallow(name: string, args: readonly unknown[]): unknown {
    const callback = args.at(-1);
    if (typeof callback === "function") process.nextTick(callback);
    if (name === "end") this.#onEnd?.();
    return name === "write" ? true : this.#res;
  }
}
